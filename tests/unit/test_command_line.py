# SPDX-License-Identifier: GPL-2.0-only
"""The command line's help and completion, and that documents name no option that is not there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main

from pinhole.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MAIN = "import sys; sys.argv[0] = 'pinhole'; from pinhole.cli import main; main()"
PINHOLE = (sys.executable, "-c", MAIN)
_OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")
_EXPECTED_LINES = 3


def commands() -> Mapping[str, Any]:
    """Every command by its words: ``plan check``."""

    def below(group: Any, words: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, f"{words}{name} ")
            else:
                yield f"{words}{name}", command

    return dict(below(typer.main.get_command(app), ""))


def options_of(command: Any) -> set[str]:
    names = (name for one in command.params for name in (*one.opts, *one.secondary_opts))
    return {name for name in names if name[0] == "-"} | {"--help"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PINHOLE, *arguments],
        env={**os.environ, "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("words", ["", *sorted(commands()), "plan"])
def test_help_of_each_command(words: str) -> None:
    done = run(*words.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: {'pinhole ' + words}".rstrip())
    assert len(done.stdout.splitlines()) > _EXPECTED_LINES
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert run(*words.split(), "-h").stdout == done.stdout


def test_each_option_and_argument_says_what_it_does() -> None:
    for words, command in commands().items():
        assert command.help, words
        for one in command.params:
            assert getattr(one, "help", None), f"{words}: {one.name}"


def test_examples_of_the_help_have_options_that_are_there() -> None:
    found = [
        line.strip()
        for command in commands().values()
        for line in (command.epilog or "").splitlines()
        if "pinhole " in line
    ]
    assert len(found) >= 10
    for line in found:
        check_line(re.split(r" {3,}", line)[0])


def test_commands_of_the_documents_are_there() -> None:
    found = [
        re.sub(r"\s+#.*", "", line).strip().removeprefix("./scripts/run")
        for path in DOCUMENTS
        for line in re.findall(
            r"^ {4}(.*\bpinhole .*)$|`(pinhole [a-z][^`]*)`", path.read_text(), re.M
        )
        for line in line
        if line
    ]
    assert len(found) >= 10
    for line in found:
        check_line(line)


def check_line(line: str) -> None:
    """Each option on a line ``… pinhole COMMAND …`` is one of that command."""
    parts = shlex.split(line[line.index("pinhole ") :], comments=True)[1:]
    known = commands()
    if parts[0].startswith("-"):
        assert parts[0] in {"--help", "--version", "--install-completion", "--show-completion"}
        return
    words = " ".join(parts[:2]) if parts[0] in {"plan", "kernel"} else parts[0]
    assert words in known, line
    for part in parts:
        if _OPTION.fullmatch(part):
            assert part in options_of(known[words]), line


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_options_that_a_document_names_are_there(path: Path) -> None:
    known = {"--full"}.union(*map(options_of, commands().values()))
    plugin = (ROOT / "harness" / "pinhole" / "pytest_plugin.py").read_text()
    holder = (ROOT / "guest" / "pinholder" / "options.c").read_text()
    known |= set(re.findall(r'"(--pinhole-[\w-]+)"', plugin))
    known |= set(re.findall(r"^\s+\"  (--[\w-]+)", holder, re.M))
    known |= {"--install-completion", "--show-completion", "--version"}
    text = re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.S)
    named = {name for name in _OPTION.findall(text) if name.startswith("--")}
    assert named <= known


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rum",), "pinhole: No such command 'rum'."),
        (("run", "--strikt"), "pinhole: No such option: --strikt"),
        (("run", "--repeat", "0"), "pinhole: Invalid value for '--repeat': Input should be"),
        (("plan", "check"), "pinhole: Missing argument 'FILE'."),
        (("shell", "--kernel", "debian:6.21"), "pinhole: unknown kernel 'debian:6.21' (did you"),
    ],
)
def test_mistake_is_one_line_and_status_2(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


# -- completion


@pytest.fixture
def completed(tmp_path: Path) -> Callable[[str], list[str]]:
    """What bash offers for the last word of a line, by the script that pinhole gives it."""
    command = tmp_path / "pinhole"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(PINHOLE)} "$@"\n')
    command.chmod(0o755)
    script = run(_PINHOLE_COMPLETE="source_bash").stdout
    assert "complete -o default -F _pinhole_completion pinhole" in script

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        ask = f"""{script}
            COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}
            _pinhole_completion pinhole; printf '%s\\n' "${{COMPREPLY[@]}}" """
        done = subprocess.run(
            ["bash", "-c", ask],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return complete


def test_bash_completes_commands_options_and_values(
    completed: Callable[[str], list[str]],
) -> None:
    assert completed("pinhole ") == [
        *("run", "judge", "compare", "catalogue", "export", "doctor", "shell", "plan", "kernel")
    ]
    assert completed("pinhole plan ") == ["check", "schema"]
    assert completed("pinhole run --qe") == ["--qemu", "--qemu-arg"]
    assert completed("pinhole shell --accel ") == ["kvm", "tcg"]
    assert completed("pinhole run --kernel debian:6") == ["debian:6.1", "debian:6.12"]
    assert completed("pinhole kernel b") == ["build"]


@pytest.mark.parametrize(
    ("shell", "told"),
    [("zsh", "#compdef pinhole"), ("fish", "complete --command pinhole"), ("bash", "complete -o")],
)
def test_each_shell_has_a_script(shell: str, told: str) -> None:
    done = run(_PINHOLE_COMPLETE=f"source_{shell}")
    assert done.returncode == 0
    assert told in done.stdout


@pytest.mark.parametrize(
    ("shell", "more"), [("zsh", {}), ("fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"})]
)
def test_other_shells_complete_with_descriptions(shell: str, more: dict[str, str]) -> None:
    asked = {"_PINHOLE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "pinhole do"}
    said = run(**asked, **more).stdout
    assert "doctor" in said
    assert "Check what this host lacks" in said
    assert "judge" not in said


def test_completion_loads_nothing_that_is_slow() -> None:
    program = (
        "import sys\n"
        "from pinhole.cli import app\n"
        "import typer.main\n"
        "typer.main.get_command(app)\n"
        "slow = {'pydantic', 'paramiko', 'yaml', 'qemu', 'cryptography'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

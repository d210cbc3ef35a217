# SPDX-License-Identifier: GPL-2.0-only
"""Run one tool of the host to its end: argument lists, a time limit, clear failures.

The tool is killed with the harness (``setpriv --pdeathsig``): a killed harness must not leave
a download or a compiler behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pinhole.errors import HostError

_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))
"""Where Debian keeps depmod and dropbear; an ordinary user's PATH lacks these."""


class ToolError(Exception):
    """A tool ended otherwise than it had to; ``lines`` are the last ones it wrote, if any.

    Internal to the rooms that run tools: each caller says in its own words what that means.
    """

    def __init__(self, argv: Sequence[str], reason: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(f"{argv[0]} {reason}" + "".join(f"\n  {line}" for line in lines))
        self.lines = lines


def find(tool: str, package: str) -> str:
    """The path of ``tool``; raises ``HostError`` naming the Debian ``package`` that has it."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), _PATH))
    found = shutil.which(tool, path=path)
    if found is None:
        raise HostError(f"the tool {tool!r} is missing; install it: apt-get install {package}")
    return found


def run(
    argv: Sequence[str],
    *,
    package: str,
    seconds: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """What ``argv`` wrote to standard output, as text.

    ``environment`` is added to the host's, less what would change a tool's words or loader, or
    which repository git means.
    Raises ``HostError`` if the tool is missing, ``ToolError`` if it fails or is not done after
    ``seconds``.
    """
    return output(
        argv, package=package, seconds=seconds, folder=folder, environment=environment
    ).decode(errors="replace")


def output(
    argv: Sequence[str],
    *,
    package: str,
    seconds: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    given: bytes | None = None,
) -> bytes:
    """``run``, with ``given`` on standard input and the output as bytes."""
    program = find(argv[0], package)
    guard = [find("setpriv", "util-linux"), "--pdeathsig", "KILL", "--"]
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LD_", "LC_", "MAKE", "GIT_"))
        and name not in {"LANGUAGE", "MFLAGS"}
    }
    try:
        done = subprocess.run(
            [*guard, program, *argv[1:]],
            capture_output=True,
            check=False,
            cwd=folder,
            env={**inherited, "LC_ALL": "C", **(environment or {})},
            input=given if given is not None else b"",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(argv, f"was not done after {seconds:.0f} s") from error
    if done.returncode:
        how = f"failed with status {done.returncode}"
        if done.returncode < 0:
            how = f"was killed by signal {-done.returncode}"
        raise ToolError(argv, how, _last_lines(done.stderr or done.stdout))
    return done.stdout


def _last_lines(said: bytes, count: int = 12) -> tuple[str, ...]:
    lines = said.decode(errors="replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip())[-count:]

# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole export``: a scenario as one C file and one shell script, for a machine without pinhole.

The C file is put together from the parts' own sources in ``guest/``, so that what a bug report has
is what pinhole runs: the way to hold, the kind of memory, the tricks, whatever they include, and a
small main of its own (``guest/export/``) instead of events, options and supervision.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole import __version__
from pinhole.errors import HostError, UsageError
from pinhole.plan import Scenario
from pinhole.resources import shipped
from pinhole.scenario.matrix import scenario_named
from pinhole.scenario.vocabulary import needs_of

_INCLUDE = re.compile(r'^#include (?P<name>[<"][^>"]+[>"]).*\n', re.MULTILINE)
_GUARD = re.compile(
    r"#ifndef (?P<name>PINHOLE_\w+_H)\n#define (?P=name)\n(?P<body>.*)#endif\n\Z", re.S
)
_LICENSE = re.compile(r"\A(?:// SPDX-[^\n]*\n|/\* SPDX-[^\n]*\*/\n)")
_STATIC = re.compile(
    r"^static (?:const )?(?:[a-z_0-9]+ )*?[*]?(?P<name>[a-z_0-9]+)(?:\(| =|;|\[)", re.M
)
_DEFINE = re.compile(r"^#define (?P<name>[A-Z_0-9]+)\b", re.M)
_EXTERN = re.compile(r"^extern const struct (?:hold_path|memory_kind) (?P<name>\w+);\n", re.M)
_REPLACED = {"json.h": "export/json.h"}
"""What an exported file has instead: plain lines of text where pinholder writes JSON."""
_SOURCES = {"pages.h": ("runs.c", "pagemap.c")}
"""The sources of a header, where these are not called as it is."""
_SYSTEM = (
    *("errno.h", "linux/mempolicy.h", "poll.h", "signal.h", "stdbool.h", "stdio.h", "stdlib.h"),
    *("string.h", "sys/signalfd.h", "sys/syscall.h", "unistd.h"),
)
"""What the main of its own takes."""
_QEMU = (
    "-machine q35 -smp 2 -m 1G,slots=4,maxmem=8G -object memory-backend-ram,id=m0,size=1G "
    "-numa node,nodeid=0,cpus=0-1,memdev=m0 -numa node,nodeid=1 "
    "-object memory-backend-ram,id=m1,size=512M -device pc-dimm,memdev=m1,node=1"
)
_RDMA = "-DHAVE_LIBIBVERBS -DRDMA_STATIC_PROVIDERS=rxe,siw"
_RDMA_LIBRARIES = "-lrxe-rdmav34 -lsiw-rdmav34 -libverbs -lnl-route-3 -lnl-3"


@dataclass(frozen=True)
class Exported:
    """The two files that were written."""

    program: Path
    script: Path


def export(name: str, folder: Path) -> Exported:
    """Writes ``NAME.c`` and ``NAME.sh`` of that scenario into ``folder``.

    Raises ``UsageError`` for an unknown scenario, ``HostError`` where it cannot write.
    """
    scenario = scenario_named(name)
    exported = Exported(folder / f"{name}.c", folder / f"{name}.sh")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        exported.program.write_text(program(scenario), encoding="utf-8")
        exported.script.write_text(script(scenario), encoding="utf-8")
        exported.script.chmod(0o755)
    except OSError as error:
        raise HostError(f"cannot write {error.filename}: {error.strerror}") from error
    return exported


def program(scenario: Scenario) -> str:
    """The C file of ``scenario``."""
    root = shipped("guest")
    files = _closure(root, scenario)
    headers = [path for path in files if path.suffix == ".h"]
    sources = _own_names([(path, path.read_text()) for path in files if path.suffix == ".c"])
    body = [_body(path.read_text()) for path in headers]
    body += [_body(text) for _, text in sources]
    main = (root / "export" / "main.c").read_text()
    tricks = "".join(f"&trick_{_identifier(one)}, " for one in scenario.tricks)
    for word, value in (
        ("THE_WAY", f"&hold_{_identifier(scenario.hold)}"),
        ("THE_KIND", f"&kind_{_identifier(scenario.kind)}"),
        ("THE_SIZE_BYTES", f"((size_t){scenario.size >> 10} << 10)"),
        ("THE_TRICKS ", tricks),
    ):
        main = main.replace(word, value)
    includes = sorted({*_SYSTEM, *_system_includes(files)})
    text = "\n".join(
        [
            _head(scenario),
            "#define _GNU_SOURCE",
            *(f"#include <{one}>" for one in _time_first(includes)),
            "",
            *(part.strip() + "\n" for part in body),
            "/* This scenario. */",
            main,
        ]
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def script(scenario: Scenario) -> str:
    """The shell script of ``scenario``: POSIX, and enough for busybox."""
    text = (shipped("guest") / "export" / "reproduce.sh").read_text()
    for word, value in (
        ("NAME", scenario.name),
        ("SUMMARY", scenario.summary),
        ("QEMU", _QEMU),
        ("LIBRARIES", f"{_RDMA} {_RDMA_LIBRARIES}" if _is_rdma(scenario) else ""),
    ):
        text = text.replace(f"@{word}@", value)
    return text


# -- which files


def _closure(root: Path, scenario: Scenario) -> list[Path]:
    """The parts' files and all that they include, each behind what it takes."""
    found: dict[Path, None] = {}
    names = [("hold", scenario.hold), ("kind", scenario.kind)]
    names += [("trick", trick) for trick in scenario.tricks]
    _add(root, root / "pinholder" / "failure.c", found)
    for folder, name in names:
        _add(root, _file_of(root, folder, name), found)
    if any("struct json" in path.read_text() for path in found if path.suffix == ".c"):
        found[root / "export" / "json.c"] = None
    return list(found)


def _file_of(root: Path, folder: str, name: str) -> Path:
    """The file that defines a part; two tricks share ``exit.c``."""
    wanted = re.compile(rf"^const struct \w+ {folder}_{_identifier(name)} = ", re.M)
    for path in sorted((root / folder).glob("*.c")):
        if wanted.search(path.read_text()):
            return path
    raise UsageError(f"guest/{folder} defines no {name!r}; report this as a bug")


def _add(root: Path, path: Path, found: dict[Path, None]) -> None:
    """Adds ``path`` behind what it includes, and behind the source of each header."""
    if path in found:
        return
    text = path.read_text()
    waiting: list[Path] = []
    for match in _INCLUDE.finditer(text):
        name = match["name"]
        if name.startswith('"'):
            header = _header(root, path, name.strip('"'))
            if header not in found:
                _add(root, header, found)
                waiting += _sources_of(header)
    for part in _EXTERN.finditer(text):
        folder, _, name = part["name"].partition("_")
        waiting.append(_file_of(root, folder, name))
    if path.suffix == ".h":
        found[path] = None
        for source in _sources_of(path):
            _add(root, source, found)
        return
    # In the way first, so that a part is read below what it calls.
    for source in waiting:
        if source != path:
            _add(root, source, found)
    found[path] = None


def _sources_of(header: Path) -> list[Path]:
    """What defines a header's functions; of export's own the closure adds it itself."""
    if header.parent.name == "export":
        return []
    names = _SOURCES.get(header.name, (f"{header.stem}.c",))
    return [path for path in map(header.with_name, names) if path.is_file()]


def _header(root: Path, path: Path, name: str) -> Path:
    name = _REPLACED.get(name, name)
    for folder in (root, path.parent, root / "common", root / "pinholder"):
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"{path} includes {name!r}, which is not there; report this as a bug")


def _system_includes(files: Iterable[Path]) -> Iterator[str]:
    for path in files:
        for match in _INCLUDE.finditer(path.read_text()):
            if match["name"].startswith("<"):
                yield match["name"].strip("<>")


def _time_first(includes: Sequence[str]) -> list[str]:
    """<linux/errqueue.h> takes struct timespec, and some versions of it do not say so."""
    return sorted(includes, key=lambda one: (one != "time.h", one))


# -- their text


def _body(text: str) -> str:
    """A file without its licence, its guard and its includes; conditional includes stay."""
    text = _LICENSE.sub("", text)
    guard = _GUARD.search(text)
    if guard is not None:
        text = text[: guard.start()] + guard["body"]
    if "#ifdef HAVE_LIBIBVERBS" in text:
        return re.sub(r'^#include "[^"]+"\n', "", text, flags=re.M)
    return _EXTERN.sub("", _INCLUDE.sub("", text))


def _own_names(sources: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """The sources, where two of them call something alike, by names that tell them apart."""
    names = [
        (path, text, {*_names(_STATIC, text), *_names(_DEFINE, text)}) for path, text in sources
    ]
    counts = Counter(name for _, _, found in names for name in found)
    renamed = []
    for path, text, found in names:
        own = text
        for name in sorted(one for one in found if counts[one] > 1):
            prefix = f"{path.stem}_c_"
            new = (prefix.upper() if name.isupper() else prefix) + name
            # Not a member's name, nor a word in a text.
            own = re.sub(rf"(?<![\w.\"])(?<!->){name}(?![\w\"])", new, own)
        renamed.append((path, own))
    return renamed


def _names(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    return (one["name"] for one in pattern.finditer(text))


def _head(scenario: Scenario) -> str:
    lines = ["// SPDX-License-Identifier: GPL-2.0-only", "/*", f" * {scenario.summary}.", " *"]
    tricks = ", ".join(scenario.tricks) or "none"
    lines += [
        f" * Way to hold: {scenario.hold}; kind of memory: {scenario.kind}; tricks: {tricks}.",
        " *",
    ]
    libraries = f" {_RDMA} {_RDMA_LIBRARIES}" if _is_rdma(scenario) else ""
    lines += [
        f" *   gcc -O2 -static -pthread -o {scenario.name} {scenario.name}.c{libraries}",
        f" *   ./{scenario.name} [NODE]      as root; Enter or Ctrl-C lets the pages go",
        " *",
    ]
    needs = needs_of(scenario)
    if needs.options:
        lines += _wrapped("It takes " + ", ".join(sorted(needs.options)) + ".")
    if needs.cmdline:
        lines += _wrapped("Kernel parameters: " + " ".join(needs.cmdline) + ".")
    if needs.boot_devices or needs.plugged_devices:
        devices = (one.argument for one in (*needs.boot_devices, *needs.plugged_devices))
        lines += _wrapped("Devices of QEMU: " + ", ".join(devices) + ".")
    lines.append(" *")
    for one in scenario.expect:
        if one.variants:
            continue
        shown = f"{one.kernels or 'all kernels'}: {one.pin or 'differs from run to run'}"
        lines += _wrapped(f"Expected on {shown}, for {one.because}.")
    lines += [f" * Put together by pinhole {__version__}.", " */"]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:

    return [f" * {line}" for line in textwrap.wrap(text, 95)]


def _identifier(name: str) -> str:
    return name.replace("-", "_")


def _is_rdma(scenario: Scenario) -> bool:
    return scenario.hold.startswith("rdma_")

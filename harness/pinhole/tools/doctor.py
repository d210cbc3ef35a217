# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole doctor``: each need of this host, ok or not, with the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pinhole.boot.programs import build_programs
from pinhole.boot.userland import interpreter
from pinhole.dirs import cache_dir
from pinhole.errors import PinholeError
from pinhole.kernel.kernel import Kernel, resolve
from pinhole.kernel.recipe import DebianRecipe
from pinhole.kernel.suites import SERIES
from pinhole.kernel.tool import find
from pinhole.machine.host import available_bytes
from pinhole.machine.probe import choose
from pinhole.machine.process import find_qemu, qemu_version
from pinhole.progress import Progress
from pinhole.size import GIB, MIB

_DISK_BYTES = 2 * GIB
"""Two Debian kernels unpacked take 0.45 GiB; the rest is room to fetch and unpack the next."""
_MEMORY_BYTES = 2 * GIB
"""A boot node of 1 GiB, a DIMM of 512 MiB, and what QEMU and pinhole take themselves."""


@dataclass(frozen=True)
class Finding:
    """One need: ``good`` is None where it could not be found out; ``said`` says what was seen."""

    need: str
    good: bool | None
    said: str


Check = Callable[[], str]


def examine(qemu: Path | None, accel: str | None, progress: Progress) -> list[Finding]:
    """Looks at everything that a run takes."""
    checks: Sequence[tuple[str, Check]] = (
        ("Python 3.11 or newer", _python),
        ("x86-64 host", _architecture),
        ("QEMU 7.2 or newer", lambda: _qemu(qemu)),
        ("setpriv", lambda: find("setpriv", "util-linux")),
        ("C compiler and static C library", lambda: str(build_programs(progress))),
        ("static busybox", _busybox),
        ("dropbear", lambda: find("dropbear", "dropbear-bin")),
        ("depmod", lambda: find("depmod", "kmod")),
        ("dpkg-deb", lambda: find("dpkg-deb", "dpkg")),
        ("apt, for Debian's kernels", lambda: find("apt-get", "apt")),
        ("Debian's archive keys", _keyring),
        ("disk for the cache", _disk),
        ("memory", _memory),
    )
    findings = [_find_out(need, check) for need, check in checks]
    kernel = _cached_kernel(progress)
    if kernel is None:
        findings.append(
            Finding(
                "accelerator that boots",
                None,
                "not tried: no kernel is cached yet; 'pinhole run' fetches one and tries",
            )
        )
    else:
        findings.append(
            _find_out("accelerator that boots", lambda: _accelerator(kernel, qemu, accel, progress))
        )
    return findings


def print_findings(findings: Sequence[Finding], console: Console) -> int:
    """Prints a line for each need; returns 0 if none is unmet, else 3."""
    marks = {True: ("ok", "green"), False: ("NOT", "bold red"), None: ("?", "yellow")}
    width = max(len(finding.need) for finding in findings)
    for finding in findings:
        word, style = marks[finding.good]
        line = Text.assemble((f"{word:>3}", style), f"  {finding.need:<{width}}  {finding.said}")
        console.print(line, soft_wrap=True, highlight=False)
    return 3 if any(finding.good is False for finding in findings) else 0


def _find_out(need: str, check: Check) -> Finding:
    try:
        return Finding(need, True, check())
    except PinholeError as error:
        return Finding(need, False, str(error))


def _python() -> str:
    # The package does not install on an older one, so this is for people to read.
    return f"{sys.version.split()[0]} ({sys.executable})"


def _architecture() -> str:
    machine = platform.machine()
    if machine != "x86_64":
        raise PinholeError(f"this host is {machine}; pinhole builds and boots x86-64 guests")
    return machine


def _qemu(path: Path | None) -> str:
    found = find_qemu(path)
    return f"{'.'.join(map(str, qemu_version(found)))} ({found})"


def _busybox() -> str:
    path = Path(find("busybox", "busybox-static"))
    if interpreter(path) is not None:
        raise PinholeError(f"{path} is not static; apt-get install busybox-static")
    return str(path)


def _keyring() -> str:
    path = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if not path.is_file():
        raise PinholeError(f"{path} is missing; apt-get install debian-archive-keyring")
    return str(path)


def _disk() -> str:
    folder = cache_dir()
    free = shutil.disk_usage(folder).free
    said = f"{free / GIB:.1f} GiB free in {folder}"
    if free < _DISK_BYTES:
        raise PinholeError(
            f"{said}, {_DISK_BYTES // GIB} GiB are wanted; free some, or point PINHOLE_CACHE "
            "to another disk"
        )
    if not os.access(folder, os.W_OK):
        raise PinholeError(f"{folder} cannot be written; mend its permissions: chmod u+w {folder}")
    return said


def _memory() -> str:
    free = available_bytes()
    said = f"{free // MIB} MiB available"
    if free < _MEMORY_BYTES:
        raise PinholeError(f"{said}, {_MEMORY_BYTES // MIB} are wanted; end something")
    return said


def _cached_kernel(progress: Progress) -> Kernel | None:
    """The newest series that is in the cache; nothing is fetched for a check-up."""
    for series in reversed(list(SERIES)):
        try:
            return resolve(DebianRecipe(series), progress, offline=True)
        except PinholeError:
            # Not cached, which is no fault of the host; the next series may be.
            continue
    return None


def _accelerator(kernel: Kernel, qemu: Path | None, accel: str | None, progress: Progress) -> str:
    choice = choose(accel, find_qemu(qemu), kernel.image, progress)
    remembered = " (remembered)" if choice.remembered else ""
    return f"{choice.accelerator}{remembered}: {choice.reason}"

# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole doctor``: each need of this host, ok or not, with the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pinhole.boot.programs import build_programs, static_library
from pinhole.boot.userland import interpreter
from pinhole.dirs import cache_dir
from pinhole.errors import HostError, KernelError, PinholeError, UsageError
from pinhole.kernel import sandbox
from pinhole.kernel.apt import host_mirror
from pinhole.kernel.kernel import Kernel, resolve
from pinhole.kernel.recipe import DebianRecipe
from pinhole.kernel.suites import SERIES
from pinhole.kernel.tool import find
from pinhole.kernel.toolchain import toolchain
from pinhole.machine.accel import Accelerator
from pinhole.machine.host import available_bytes
from pinhole.machine.probe import choose
from pinhole.machine.process import find_qemu, qemu_version
from pinhole.progress import Progress
from pinhole.size import GIB, MIB

_DISK_BYTES = 2 * GIB
"""Two Debian kernels unpacked take 0.45 GiB; the rest is room to fetch and unpack the next."""
_QEMU = "QEMU 7.2 or newer"
_SETPRIV = "setpriv"
_MEMORY_BYTES = 2 * GIB
"""A boot node of 1 GiB, a DIMM of 512 MiB, and what QEMU and pinhole take themselves."""


class _NotTriedError(PinholeError):
    """Whether a need is met cannot be found out yet."""


@dataclass(frozen=True)
class Finding:
    """One need: ``good`` is None where it could not be found out; ``said`` says what was seen,
    and what mends it. ``packages`` are Debian's that bring it."""

    need: str
    good: bool | None
    said: str
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Need:
    """How a need is looked at: ``check`` says what it saw, or raises with what mends it.

    It is looked at only where the needs named in ``after`` are met. What is only ``for_builds`` of
    kernels from source is told, and not missed.
    """

    name: str
    check: Callable[[], str]
    packages: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    for_builds: bool = False


def examine(qemu: Path | None, accel: str | None, progress: Progress) -> list[Finding]:
    """Looks at everything that a run takes. Raises ``UsageError`` for an unknown ``accel``."""
    if accel is not None and accel not in set(Accelerator):
        raise UsageError(f"unknown accelerator {accel!r}: it is kvm or tcg")
    findings: list[Finding] = []
    for need in _needs(qemu, accel, progress):
        met = {one.need for one in findings if one.good}
        missing = [name for name in need.after if name not in met]
        findings.append(_find_out(need, missing))
    return findings


def _needs(qemu: Path | None, accel: str | None, progress: Progress) -> Iterable[_Need]:
    tools = (_SETPRIV, "C compiler", "make")
    yield _Need("Python 3.11 or newer", _python)
    yield _Need("x86-64 host", _architecture)
    yield _Need(_QEMU, lambda: _qemu(qemu), ("qemu-system-x86",))
    yield _Need(_SETPRIV, lambda: find("setpriv", "util-linux"), ("util-linux",))
    yield _Need("C compiler", lambda: find("gcc", "gcc"), ("gcc",))
    yield _Need("make", lambda: find("make", "make"), ("make",))
    yield _Need(
        "static C library",
        lambda: str(static_library().resolve()),
        ("libc6-dev",),
        (_SETPRIV, "C compiler"),
    )
    yield _Need(
        "the guest's programs compile",
        lambda: str(build_programs(progress)),
        after=(*tools, "static C library"),
    )
    yield _Need("static busybox", _busybox, ("busybox-static",))
    yield _Need("dropbear", lambda: find("dropbear", "dropbear-bin"), ("dropbear-bin",))
    yield _Need("depmod", lambda: find("depmod", "kmod"), ("kmod",))
    yield _Need("dpkg-deb", lambda: find("dpkg-deb", "dpkg"), ("dpkg",))
    yield _Need("apt", lambda: find("apt-get", "apt"), ("apt",))
    yield _Need("tools to build kernels", _build_tools, after=(_SETPRIV,), for_builds=True)
    yield _Need("git, for patches", lambda: find("git", "git"), for_builds=True)
    yield _Need("a sandbox for builds", _sandbox, after=(_SETPRIV,), for_builds=True)
    yield _Need("ccache", lambda: find("ccache", "ccache"), for_builds=True)
    yield _Need("a Debian archive in apt's sources", _mirror, after=("apt", _SETPRIV))
    yield _Need("Debian's archive keys", _keyring, ("debian-archive-keyring",))
    yield _Need("disk for the cache", _disk)
    yield _Need("memory", _memory)
    yield _Need(
        "accelerator that boots",
        lambda: _accelerator(qemu, accel, progress),
        after=(_QEMU, _SETPRIV),
    )


def _build_tools() -> str:
    toolchain.cache_clear()  # something may have been installed since
    return toolchain("gcc").identity.splitlines()[0]


def _sandbox() -> str:
    sandbox.why_not.cache_clear()
    reason = sandbox.why_not()
    if reason is not None:
        raise HostError(reason)
    return "bubblewrap works"


def print_findings(findings: Sequence[Finding], console: Console) -> int:
    """Prints a line for each need; returns 0 if none is unmet, else 3."""
    marks = {True: ("ok", "green"), False: ("NOT", "bold red"), None: ("?", "yellow")}
    width = max(len(finding.need) for finding in findings)
    for finding in findings:
        word, style = marks[finding.good]
        line = Text.assemble((f"{word:>3}", style), f"  {finding.need:<{width}}  {finding.said}")
        console.print(line, soft_wrap=True, highlight=False)
    unmet = [finding for finding in findings if finding.good is False]
    packages = [package for finding in unmet for package in finding.packages]
    if packages:
        console.print(
            f"\nAll that is missing, as root: apt-get install {' '.join(packages)}",
            soft_wrap=True,
            highlight=False,
        )
    return 3 if unmet else 0


def _find_out(need: _Need, missing: Sequence[str]) -> Finding:
    if missing:
        return Finding(need.name, None, f"not tried: it takes {' and '.join(missing)}")
    try:
        return Finding(need.name, True, _one_line(need.check()))
    except _NotTriedError as reason:
        return Finding(need.name, None, f"not tried: {reason}")
    except PinholeError as error:
        if need.for_builds:
            return Finding(need.name, None, f"only to build kernels: {_one_line(str(error))}")
        return Finding(need.name, False, _one_line(str(error)), need.packages)


def _one_line(said: str) -> str:
    """QEMU's last words may be several lines; a need has one."""
    return "; ".join(line.strip() for line in said.splitlines() if line.strip())


def _python() -> str:
    # The package does not install on an older one, so this is for people to read.
    return f"{sys.version.split()[0]} ({sys.executable})"


def _architecture() -> str:
    machine = platform.machine()
    if machine != "x86_64":
        raise HostError(f"this host is {machine}; pinhole boots x86-64 guests; run it on x86-64")
    return machine


def _qemu(path: Path | None) -> str:
    found = find_qemu(path)
    return f"{'.'.join(map(str, qemu_version(found)))} ({found})"


def _busybox() -> str:
    path = Path(find("busybox", "busybox-static"))
    if interpreter(path) is not None:
        raise HostError(
            f"{path} is not static; install the static one: apt-get install busybox-static"
        )
    return str(path)


def _keyring() -> str:
    path = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if not path.is_file():
        raise HostError(f"{path} is missing; install it: apt-get install debian-archive-keyring")
    return str(path)


def _mirror() -> str:
    mirror = host_mirror()
    archives = {"main": mirror.main, "security": mirror.security}
    return ", ".join(name for name, uri in archives.items() if uri)


def _disk() -> str:
    folder = cache_dir()
    free = shutil.disk_usage(folder).free
    said = f"{free / GIB:.1f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        raise HostError(f"{folder} cannot be written; mend its permissions: chmod u+w {folder}")
    if free < _DISK_BYTES:
        raise HostError(
            f"{said}, {_DISK_BYTES // GIB} GiB are wanted; free some, or choose a folder on "
            "another disk: export PINHOLE_CACHE=FOLDER"
        )
    return said


def _memory() -> str:
    free = available_bytes()
    said = f"{free // MIB} MiB available"
    if free < _MEMORY_BYTES:
        raise HostError(
            f"{said}, {_MEMORY_BYTES // MIB} are wanted; end something (ps -e -o rss,pid,comm "
            "--sort -rss shows the largest), or give the plan's machine less"
        )
    return said


def _accelerator(qemu: Path | None, accel: str | None, progress: Progress) -> str:
    kernel = _cached_kernel(progress)
    if kernel is None:
        raise _NotTriedError("no kernel is cached yet; 'pinhole run' fetches one and tries")
    choice = choose(accel, find_qemu(qemu), kernel.image, progress)
    remembered = " (remembered)" if choice.remembered else ""
    return f"{choice.accelerator}{remembered}: {choice.reason}"


def _cached_kernel(progress: Progress) -> Kernel | None:
    """The newest series that is in the cache; nothing is fetched for a check-up."""
    for series in reversed(list(SERIES)):
        try:
            return resolve(DebianRecipe(series), progress, offline=True)
        except KernelError:
            # Not cached, which is no fault of the host; the next series may be.
            continue
    return None

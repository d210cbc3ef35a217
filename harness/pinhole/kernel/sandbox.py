# SPDX-License-Identifier: GPL-2.0-only
"""Where a build runs: confined by bubblewrap, or as it is.

Building runs code that came with the source and the patches. Confined, it sees the host's
programs and the source read-only, and can write into its build folder and to a folder for what
its ccache finds new; no network, no other process, none of the user's files. Inside, the paths
are the same for every build, so that what is built does not depend on where it was built.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import HostError
from pinhole.kernel.tool import ToolError, run

BUILD_FOLDER = "pinhole-build"
"""Inside the source: from there the kernel's build names its sources by relative paths."""

_SOURCE = Path("/pinhole/source")
_CCACHE = Path("/pinhole/ccache")
_NEW = Path("/pinhole/ccache-new")
_HOST_FOLDERS = ("/usr", "/opt", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf.d")
_USR_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_PROBE_SECONDS = 20.0


@dataclass(frozen=True)
class Folders:
    """A build's folders on the host.

    ``source`` holds ``BUILD_FOLDER``. ``ccache`` is the user's, which is read, ``ccache_new`` takes
    what this build adds: what becomes of that is the harness's to say.
    """

    source: Path
    ccache: Path
    ccache_new: Path

    @property
    def build(self) -> Path:
        """Where the build writes."""
        return self.source / BUILD_FOLDER


@dataclass(frozen=True)
class Confinement:
    """How a command of a build is run; ``confined`` says whether bubblewrap is around it."""

    folders: Folders
    confined: bool

    @property
    def source(self) -> Path:
        """The source as the build sees it."""
        return _SOURCE if self.confined else self.folders.source

    @property
    def ccache(self) -> Path:
        """The user's ccache as the build sees it."""
        return _CCACHE if self.confined else self.folders.ccache

    @property
    def ccache_new(self) -> Path:
        """Where the build puts what its ccache finds new."""
        return _NEW if self.confined else self.folders.ccache_new

    def command(
        self, argv: Sequence[str], environment: Mapping[str, str], *, looks_only: bool = False
    ) -> list[str]:
        """``argv`` in the source folder, with ``environment`` and nothing else of the user's.

        Confined, one that ``looks_only`` cannot write into the build folder either.
        """
        if not self.confined:
            settings = [f"{name}={value}" for name, value in environment.items()]
            return ["env", "-i", "-C", str(self.folders.source), *settings, *argv]
        folders = self.folders
        command = _bwrap()
        command += ["--ro-bind", str(folders.source), str(_SOURCE)]
        bind = "--ro-bind" if looks_only else "--bind"
        command += [bind, str(folders.build), str(_SOURCE / BUILD_FOLDER)]
        command += ["--ro-bind", str(folders.ccache), str(_CCACHE)]
        command += ["--bind", str(folders.ccache_new), str(_NEW)]
        command += ["--chdir", str(_SOURCE), "--clearenv"]
        for name, value in environment.items():
            command += ["--setenv", name, value]
        return [*command, "--", *argv]


def sees(program: Path) -> bool:
    """Whether a program of the host's is there in the sandbox too."""
    real = program.resolve()
    folders = (*_HOST_FOLDERS[:2], *(f"/{name}" for name in _USR_LINKS))
    return any(real.is_relative_to(folder) for folder in folders)


def confinement(folders: Folders, wanted: bool | None) -> Confinement:
    """Confined where ``wanted``, or where nothing is said and bubblewrap works here.

    Raises ``HostError`` if it is wanted and does not work.
    """
    if wanted is False:
        return Confinement(folders, confined=False)
    reason = why_not()
    if reason is not None and wanted:
        raise HostError(f"--sandbox: {reason}")
    return Confinement(folders, confined=reason is None)


@functools.cache
def why_not() -> str | None:
    """Why builds cannot be confined on this host, with the next step; None if they can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is missing; install it: apt-get install bubblewrap"
    try:
        run([*_bwrap(), "--", "true"], package="bubblewrap", seconds=_PROBE_SECONDS)
    except ToolError as error:
        return (
            f"bubblewrap does not work here ({error}); allow user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1), or build with --no-sandbox what you trust"
        )
    return None


def _bwrap() -> list[str]:
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session"]
    # root keeps its capabilities otherwise (bwrap(1), --cap-drop): in there it could mount what
    # is read-only anew, writable.
    command += ["--cap-drop", "ALL", "--tmpfs", "/"]
    for folder in _HOST_FOLDERS:
        command += ["--ro-bind-try", folder, folder]
    for name in _USR_LINKS:
        link = Path("/") / name
        if link.is_symlink():
            command += ["--symlink", str(link.readlink()), str(link)]
        elif link.is_dir():  # a host that is not usr-merged
            command += ["--ro-bind", str(link), str(link)]
    return [*command, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]

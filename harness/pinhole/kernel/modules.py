# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's modules: where each lies, what must be loaded before it, what it holds."""

from __future__ import annotations

import gzip
import lzma
import re
import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

from pinhole.errors import KernelError
from pinhole.kernel.tool import ToolError, output

_VERMAGIC = re.compile(rb"\0vermagic=([^ \0]+)|\Avermagic=([^ \0]+)")
_ZSTD_SECONDS = 30.0


def canonical(name: str) -> str:
    """A module's name as the kernel has it: ``virtio-net.ko.xz`` is ``virtio_net``."""
    return PurePosixPath(name).name.split(".ko", 1)[0].replace("-", "_")


class ModuleTree:
    """The folder ``…/lib/modules/RELEASE`` with the index files that depmod wrote (kmod).

    Paths of modules are relative to it, as in ``modules.dep``: ``kernel/drivers/net/x.ko.xz``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._dependencies: dict[str, tuple[str, ...]] = {}
        for line in self.index("modules.dep").splitlines():
            path, _, rest = line.partition(":")
            self._dependencies[path] = tuple(rest.split())
        self._paths = {canonical(path): path for path in self._dependencies}
        builtin = self.index("modules.builtin") if (root / "modules.builtin").exists() else ""
        self._builtin = frozenset(canonical(line) for line in builtin.split())

    def index(self, name: str) -> str:
        """The text of depmod's file ``name``; raises ``KernelError`` if it cannot be read."""
        try:
            return (self.root / name).read_text(errors="replace")
        except OSError as error:
            raise KernelError(
                f"cannot read {self.root / name}: {error.strerror}; a folder of modules needs "
                "depmod's files (make modules_install, or depmod -b)"
            ) from error

    def is_builtin(self, name: str) -> bool:
        """Whether the module ``name`` is part of the kernel's image."""
        return canonical(name) in self._builtin

    def path(self, name: str) -> str | None:
        """Where the module ``name`` lies, or None if there is no such file."""
        return self._paths.get(canonical(name))

    def has(self, name: str) -> bool:
        """Whether the kernel has the module ``name``, as a file or built in."""
        return self.path(name) is not None or self.is_builtin(name)

    def loading_order(self, names: Iterable[str]) -> tuple[str, ...]:
        """The paths of ``names`` and of all that they depend on, each after what it needs.

        Built-in modules have no file and are left out. Raises ``KeyError`` with the name that is
        neither built in nor a file.
        """
        order: dict[str, None] = {}
        for name in names:
            path = self.path(name)
            if path is not None:
                self._visit(path, order, frozenset())
            elif not self.is_builtin(name):
                raise KeyError(name)
        return tuple(order)

    def _visit(self, path: str, order: dict[str, None], above: frozenset[str]) -> None:
        if path in order or path in above:
            return
        for needed in self._dependencies.get(path, ()):
            self._visit(needed, order, above | {path})
        order[path] = None

    def content(self, path: str) -> bytes:
        """The module at ``path``, decompressed; raises ``KernelError`` if it cannot be.

        So it does for a path that leads out of the tree: a build wrote the index, and what is
        read here goes into a guest.
        """
        source = self.root / path
        if path.startswith("/") or ".." in PurePosixPath(path).parts:
            raise KernelError(
                f"{self.root}: modules.dep names {path!r}, which is not in there; install the "
                "modules again"
            )
        try:
            packed = source.read_bytes()
            if path.endswith(".xz"):
                return lzma.decompress(packed)
            if path.endswith(".gz"):
                return gzip.decompress(packed)
            if path.endswith(".zst"):
                return output(["zstd", "-dcq"], package="zstd", seconds=_ZSTD_SECONDS, given=packed)
        except OSError as error:
            raise KernelError(f"cannot read the module {source}: {error}") from error
        except (lzma.LZMAError, zlib.error, EOFError, ToolError) as error:
            raise KernelError(
                f"the module {source} cannot be decompressed: {error}; install the modules again"
            ) from error
        return packed

    def built_for(self) -> str | None:
        """The release that a module of this tree was built for, or None if there is no module."""
        for path in self._dependencies:
            found = _VERMAGIC.search(self.content(path))
            if found:
                return (found[1] or found[2]).decode(errors="replace")
        return None

    def reduced_index(self, paths: Collection[str]) -> Mapping[str, str]:
        """depmod's text files for ``paths`` alone, as if these lay there decompressed.

        They are what busybox's modprobe reads when the kernel asks for a module at run time
        (it does not read the ``.bin`` files of kmod).
        """
        names = frozenset(canonical(path) for path in paths)
        kept = {
            name: "".join(
                f"{line}\n"
                for line in self.index(name).splitlines()
                if line.startswith("alias ") and canonical(line.split()[-1]) in names
            )
            for name in ("modules.alias", "modules.symbols")
        }
        dependencies = "".join(
            f"{decompressed(path)}:"
            + "".join(f" {decompressed(needed)}" for needed in self._dependencies[path])
            + "\n"
            for path in sorted(paths)
        )
        builtin = self.index("modules.builtin") if self._builtin else ""
        return {"modules.dep": dependencies, "modules.builtin": builtin, **kept}


def decompressed(path: str) -> str:
    """The path of a module once it is decompressed."""
    return path.split(".ko", 1)[0] + ".ko"

# SPDX-License-Identifier: GPL-2.0-only
"""git as a store of file contents: own bare repositories in the cache, files byte for byte.

A repository that somebody else wrote may name programs: hooks, filters, a file-system monitor. git
takes these from a repository's own configuration only, never from its content, so all that
writes files or objects runs in a store of this harness, without the user's configuration. Content
can still ask for conversions (``.gitattributes``: eol, ident, encodings); a store's
``info/attributes`` comes before those and says no.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pinhole.kernel import cache
from pinhole.kernel.identified import empty
from pinhole.kernel.tool import ToolError, output
from pinhole.progress import Progress

SECONDS = 1800.0
"""For what reads or writes a whole tree on a slow disk; 87,000 files take 10 to 30 s here."""

_KIND = "git"
_LAYOUT = 1
"""The layout of a store; another number makes other keys."""

_ATTRIBUTES = "* -text -ident -filter !working-tree-encoding\n"
_CONFIGURATION = (
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    # Names that only other systems mistake for .git are names like others here.
    "core.protectHFS=false",
    "core.protectNTFS=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "init.defaultBranch=none",
)
_STORE_CONFIGURATION = (
    "core.fileMode=true",
    "core.symlinks=true",
    # Of 6.12's 87,000 files: 27 s and 560 MB; without compression 20 s and 1.6 GB.
    "core.looseCompression=1",
)
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_PROBE_BYTES = 64 << 20


def git(
    *words: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    configuration: Sequence[str] = (),
    given: bytes | None = None,
) -> bytes:
    """What ``git WORDS`` wrote, run in ``folder`` with the user's configuration, less programs.

    Nothing of the user's ``GIT_*`` variables comes in. Raises ``ToolError``.
    """
    options = [part for one in (*_CONFIGURATION, *configuration) for part in ("-c", one)]
    return output(
        ["git", *options, *words],
        package="git",
        seconds=SECONDS,
        folder=folder,
        environment={**_ENVIRONMENT, **(environment or {})},
        given=given,
    )


@dataclass(frozen=True)
class Store:
    """A bare repository in the cache. ``objects`` is another's folder of objects, to read from."""

    key: str
    folder: Path
    what: str
    objects: Path | None = None

    def git(
        self,
        *words: str,
        work_tree: Path | None = None,
        index: Path | None = None,
        configuration: Sequence[str] = (),
        given: bytes | None = None,
        user: Mapping[str, str] | None = None,
    ) -> bytes:
        """``git`` on this store, without the user's configuration.

        With ``user`` (environment variables, perhaps none) it has the user's configuration: how
        to reach a server is in there.
        """
        environment = {"GIT_DIR": str(self.folder)}
        if user is None:
            # Not GIT_CONFIG_GLOBAL: git before 2.32 does not know it.
            environment |= {
                "GIT_CONFIG_NOSYSTEM": "1",
                "HOME": str(self.folder),
                "XDG_CONFIG_HOME": str(self.folder),
            }
        else:
            environment |= user
        if work_tree is not None:
            environment["GIT_WORK_TREE"] = str(work_tree)
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(index)
        if self.objects is not None:
            environment["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = _quoted(self.objects)
        return git(
            *words,
            folder=work_tree or self.folder,
            environment=environment,
            configuration=(*_STORE_CONFIGURATION, *configuration),
            given=given,
        )

    @contextmanager
    def held(self, progress: Progress) -> Iterator[Path]:
        """Holds the store against other processes; gives a private folder, gone afterwards."""
        name = f"{self.key}.use"
        with cache.lock(_KIND, name, what=self.what, progress=progress):
            self._sweep()
            with (
                cache.scratch(_KIND, name) as scratch,
                cache.full_disk_named(self.what, self.folder),
            ):
                yield scratch

    def discard(self, progress: Progress) -> None:
        """Takes a damaged store away; ``store`` makes a new one."""
        cache.discard(_KIND, self.key, what=self.what, progress=progress)

    def _sweep(self) -> None:
        """Removes what a killed git left: it takes its own lock files for a living one's."""
        for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/??/tmp_obj_*"):
            for left in self.folder.glob(pattern):
                left.unlink()


def store(
    name: str, what: str, progress: Progress, *, form: str = "sha1", objects: Path | None = None
) -> Store:
    """The store called ``name``, made if it is missing; ``form`` is git's object format."""
    key = f"{name}-{form}-{_LAYOUT}"

    def make(folder: Path) -> None:
        words = ("init", "--quiet", "--bare", "--template=", f"--object-format={form}")
        Store(key, folder, what).git(*words, str(folder))
        (folder / "info").mkdir()
        (folder / "info" / "attributes").write_text(_ATTRIBUTES)

    digested = ("HEAD", "config", "info/attributes")
    made = cache.entry(_KIND, key, make, what=what, digested=digested, progress=progress)
    return Store(key, made, what, objects)


def lay_out(source: Store, tree: str, folder: Path, what: str) -> None:
    """Makes ``folder`` hold exactly ``tree`` of ``source``, with the fewest changes.

    git remembers in ``FOLDER.index`` what it wrote: a file that differs is unlinked and made
    anew, one that is the same is left alone. Raises ``ToolError``, and ``HostError`` for a full
    disk, which git does not always call so.
    """
    with cache.full_disk_named(what, folder):
        _lay_out(source, tree, folder)


def _lay_out(source: Store, tree: str, folder: Path) -> None:
    index = folder.with_name(f"{folder.name}.index")
    index.with_name(f"{index.name}.lock").unlink(missing_ok=True)
    try:
        if index.exists():
            try:
                _check_out(source, tree, folder, index)
                return
            except ToolError:
                _need_disk(folder)
        # Without an index (or with a damaged one) nobody knows what lies there.
        index.unlink(missing_ok=True)
        empty(folder)
        _check_out(source, tree, folder, index)
    except ToolError:
        _need_disk(folder)
        raise


def _check_out(source: Store, tree: str, folder: Path, index: Path) -> None:
    # The files may have hard links elsewhere, and making one changes a file's ctime.
    configuration = ("core.trustctime=false",)
    if index.exists():
        source.git(
            "update-index", "-q", "--refresh",
            work_tree=folder, index=index, configuration=configuration,
        )  # fmt: skip
    for words in (("read-tree", "--reset", "-u", tree), ("clean", "-ffdxq")):
        source.git(*words, work_tree=folder, index=index, configuration=configuration)


def _need_disk(folder: Path) -> None:
    """Raises ``OSError`` if the disk is full.

    git's checkout says only "unable to write file": entry.c drops the reason.
    """
    with tempfile.TemporaryFile(dir=folder.parent) as probe:
        try:
            os.posix_fallocate(probe.fileno(), 0, _PROBE_BYTES)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP}:  # a file system without it
                raise


def _quoted(path: Path) -> str:
    """As git's C-style quoting has it; a colon would part two folders."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'

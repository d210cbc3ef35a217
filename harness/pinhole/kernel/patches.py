# SPDX-License-Identifier: GPL-2.0-only
"""Patches as people have them: mbox files of a thread, plain diffs, quilt series; one value each.

What a file is, is told by its content: lists and browsers give any name to it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import UsageError
from pinhole.kernel.diff import (
    FileChange,
    MalformedDiff,
    looks_like_diff,
    parse_diff,
    unix_lines,
    usual_strip,
)
from pinhole.kernel.mails import Mail, is_mail, read_mails
from pinhole.kernel.thread import patches_of
from pinhole.progress import Progress, Quiet

_FORMS = "an mbox, a plain diff, a quilt series or the folder of one"
_COMPRESSED = {
    b"\x1f\x8b": "gunzip",
    b"\xfd7zXZ": "unxz",
    b"BZh": "bunzip2",
    b"\x28\xb5\x2f\xfd": "unzstd",
}
_ENTRY = re.compile(r"(?P<name>\S+)(?P<options>(?:\s+-\S+)*)\s*(?:#.*)?")
_MAX_BYTES = 64 << 20
"""No series comes near; a file that is larger was named by mistake (a disk image, a core)."""


@dataclass(frozen=True)
class Patch:
    """One patch. ``text`` is its diff alone, as ``git apply -p<strip>`` takes it.

    ``title`` is the mail's subject without brackets, or the file's name; ``source`` is the file,
    for messages; ``author`` is empty where none is told.
    """

    title: str
    source: Path
    text: bytes
    strip: int = 1
    author: str = ""

    @property
    def changes(self) -> tuple[FileChange, ...]:
        """What it does, file by file."""
        return parse_diff(self.text, self.strip)

    def __str__(self) -> str:
        return f"{self.title!r} ({self.source})"


@dataclass(frozen=True)
class _Given:
    """A file that was named, read."""

    path: Path
    data: bytes
    mails: tuple[Mail, ...] = ()

    @property
    def single(self) -> Mail | None:
        """The one message in it, if it is one of a numbered series (git format-patch's files)."""
        mail = self.mails[0] if len(self.mails) == 1 else None
        return mail if mail and mail.is_patch and (mail.count or 1) > 1 else None


def load_patches(paths: Sequence[Path], progress: Progress | None = None) -> tuple[Patch, ...]:
    """The patches in ``paths``, in order; of a mailed thread the newest version, in its order.

    Files with one mail each, side by side, that are numbered as one series are read as one.
    Raises ``UsageError`` naming the file, the reason and the next step.
    """
    progress = progress or Quiet()
    patches: list[Patch] = []
    for group in _grouped(_given(path) for path in paths):
        if group[0].mails:
            patches += _mailed(group, progress)
        else:
            patches += _plain_or_quilt(group[0])
    seen: dict[str, Patch] = {}
    for patch in patches:
        other = seen.setdefault(digest([patch]), patch)
        if other is not patch:
            raise UsageError(f"the patches {other} and {patch} are the same; take one of them out")
    return tuple(patches)


def digest(patches: Sequence[Patch]) -> str:
    """A content address (hex): the same diffs in the same order have the same, whatever file,
    mail or title they came with.
    """
    whole = hashlib.sha256()
    for patch in patches:
        whole.update(f"-p{patch.strip} {len(patch.text)}\n".encode())
        whole.update(patch.text)
    return whole.hexdigest()


def _given(path: Path) -> _Given:
    if path.is_dir():
        found = [one for one in (path / "series", path / "patches" / "series") if one.is_file()]
        if not found:
            raise UsageError(
                f"{path}: a folder without a quilt series (no file 'series' or 'patches/series'); "
                "name the patches one by one, in order"
            )
        path = found[0]
    data = _read(path)
    return _Given(path, data, read_mails(data) if is_mail(data) else ())


def _read(path: Path) -> bytes:
    """The file; raises ``UsageError`` if it is none, empty or binary."""
    try:
        if path.is_file() and path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path}: larger than {_MAX_BYTES >> 20} MiB; give {_FORMS}")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}; mend the path or its permissions"
        ) from error
    if not data.strip():
        raise UsageError(f"{path}: empty; was it fetched whole? give {_FORMS}")
    for magic, tool in _COMPRESSED.items():
        if data.startswith(magic):
            raise UsageError(f"{path}: compressed; unpack it first: {tool} {path.name}")
    if b"\0" in data:
        raise UsageError(f"{path}: binary, no patch; give {_FORMS}")
    return data


def _grouped(given: Iterator[_Given]) -> list[list[_Given]]:
    """Puts files together that hold one mail each of one series; all others are alone."""
    groups: list[list[_Given]] = []
    for one in given:
        mail = one.single
        others = [other.single for other in groups[-1]] if groups else [None]
        if mail is not None and all(
            other is not None
            and (other.version, other.count) == (mail.version, mail.count)
            and other.number != mail.number
            for other in others
        ):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _mailed(group: Sequence[_Given], progress: Progress) -> Iterator[Patch]:
    where = ", ".join(str(one.path) for one in group)
    from_files = {mail.title: one.path for one in group for mail in one.mails}
    for made in patches_of([mail for one in group for mail in one.mails], where, progress):
        source = from_files.get(made.title, group[0].path)
        yield _patch(made.title, source, made.body, author=made.author)


def _plain_or_quilt(given: _Given) -> Iterator[Patch]:
    if looks_like_diff(given.data):
        yield _patch(given.path.name, given.path, given.data)
        return
    entries = _entries(given)
    if not entries:
        raise UsageError(f"{given.path}: no patch in it; give {_FORMS}")
    for number, name, options in entries:
        where = f"{given.path}:{number}"
        path = _beside(given.path, name, where)
        yield _quilted(path, _strip(options, where))


def _entries(given: _Given) -> list[tuple[int, str, list[str]]]:
    """The lines of a quilt series (number, name, options); none if this is no series at all."""
    entries = []
    for number, line in enumerate(given.data.decode(errors="replace").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _ENTRY.fullmatch(text)
        if found is None:
            if given.path.name == "series":
                raise UsageError(
                    f"{given.path}:{number}: {text!r} is no line of a quilt series; each is a "
                    "patch's name, and -pN where it is not -p1"
                )
            return []
        entries.append((number, found["name"], found["options"].split()))
    known = given.path.name == "series" or any(
        name.endswith((".patch", ".diff")) or (given.path.parent / name).is_file()
        for _, name, _ in entries
    )
    return entries if known else []


def _beside(series: Path, name: str, where: str) -> Path:
    for path in (series.parent / name, series.parent / "patches" / name):
        if path.is_file():
            return path
    raise UsageError(
        f"{where}: the patch {name!r} is not in {series.parent}; put it there or take the line out"
    )


def _strip(options: Sequence[str], where: str) -> int | None:
    """quilt's -pN, and -pab, which is -p1 with other names; None if not said."""
    strip = None
    for option in options:
        found = re.fullmatch(r"-p(\d{1,2}|ab)", option)
        if found is None:
            raise UsageError(
                f"{where}: the option {option!r} is not known (only -pN is); if the patch is to "
                "be taken back (-R), turn it round with interdiff or git diff -R"
            )
        strip = 1 if found[1] == "ab" else int(found[1])
    return strip


def _quilted(path: Path, strip: int | None) -> Patch:
    """One patch of a quilt series: the order is the series', whatever number its mail had."""
    data = _read(path)
    mails = read_mails(data) if is_mail(data) else ()
    if not mails:
        return _patch(path.name, path, data, strip)
    mail = mails[0]
    if len(mails) > 1 or len(mail.diffs) != 1:
        raise UsageError(
            f"{path}: holds {len(mails)} mails with {sum(len(one.diffs) for one in mails)} "
            "patches; in a quilt series each file is one patch"
        )
    return _patch(mail.title, path, mail.diffs[0], strip, mail.author)


def _patch(
    title: str, source: Path, body: bytes, strip: int | None = None, author: str = ""
) -> Patch:
    body = unix_lines(body)
    level = usual_strip(body) if strip is None else strip
    try:
        changes = parse_diff(body, level)
    except MalformedDiff as error:
        raise UsageError(f"{source}: the patch {title!r} is damaged: {error}") from error
    if not changes:
        raise UsageError(f"{source}: no patch in it; give {_FORMS}")
    return Patch(title, source, b"".join(change.text for change in changes), level, author)

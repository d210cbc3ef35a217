# SPDX-License-Identifier: GPL-2.0-only
"""Why ``git apply`` refused a patch, in words: file, hunk, the lines it expected and what is there.

git names the file and the line of the hunk (apply.c: ``patch failed: FILE:LINE``); the rest is
read from the patch and from the file as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pinhole.kernel.diff import FileChange, Hunk
from pinhole.kernel.patches import Patch

_FAILED = re.compile(r"error: patch failed: (?P<path>.+):(?P<line>\d+)")
_GONE = re.compile(r"error: (?P<path>.+): No such file or directory")
_THERE = re.compile(r"error: (?P<path>.+): already exists in (?:the )?working directory")
_SHOWN_LINES = 24
_WIDTH = 160
_UNSEEN = "  (other white space, or bytes that cannot be shown)"


def explain(
    patch: Patch,
    changes: Sequence[FileChange],
    *,
    said: Sequence[str],
    standing: Path,
    base: str,
    applied_already: bool,
) -> str:
    """The message: ``said`` are git's last lines, ``standing`` the folder it was to change."""
    what = f"the patch {patch} does not apply"
    failed = [found["path"] for line in said if (found := _FAILED.fullmatch(line))]
    others = f"\nnor does it to {', '.join(failed[1:])}" if failed[1:] else ""
    if applied_already:
        return f"{what}: {base} has it already; take it out of the list"
    next_step = f"\nis it made for another base? the base is {base}"
    for line in said:
        if found := _FAILED.fullmatch(line):
            change = _change_of(changes, found["path"])
            hunk = _hunk_at(change, int(found["line"]))
            if change is not None and hunk is not None:
                file = _file_of(change, standing)
                return f"{what}: {_mismatch(found['path'], hunk, file)}{others}{next_step}"
        if found := _GONE.fullmatch(line):
            return f"{what}: there is no file {found['path']}{next_step}{_strip_hint(patch)}"
        if found := _THERE.fullmatch(line):
            return f"{what}: it adds the file {found['path']}, which is there already{next_step}"
    words = "".join(f"\n  {_shown(line.encode())}" for line in said)
    return f"{what}; git says:{words}{next_step}"


def base_of(tree: Path) -> str:
    """The version that the tree's Makefile names, or the folder's name if it names none."""
    try:
        text = (tree / "Makefile").read_text(errors="replace")
    except OSError:
        return tree.name
    values = dict(re.findall(r"^([A-Z]+) *= *(\S*) *$", text, re.MULTILINE))
    numbers = [values.get(name, "") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    version = ".".join(number for number in numbers if number)
    return f"Linux {version}{values.get('EXTRAVERSION', '')}" if version else tree.name


def _mismatch(path: str, hunk: Hunk, file: Path) -> str:
    lines = _lines(file)
    at, equal = _nearest(hunk, lines)
    expected = hunk.expected
    text = f"hunk {hunk.number} of {path} ({hunk.header}) expected\n{_block(expected)}"
    if equal * 2 < len(expected):
        return f"{text}\nand nothing like it stands in the file"
    there = lines[at : at + len(expected)]
    return f"{text}\nbut at line {at + 1} there stands\n{_block(there, expected)}"


def _nearest(hunk: Hunk, lines: Sequence[bytes]) -> tuple[int, int]:
    """Where the file is most like what the hunk expects, and how many lines are equal there."""
    expected = hunk.expected
    where: dict[bytes, list[int]] = {}
    for number, line in enumerate(lines):
        where.setdefault(line, []).append(number)
    equal: dict[int, int] = {}
    for offset, line in enumerate(expected):
        for number in where.get(line, []):
            equal[number - offset] = equal.get(number - offset, 0) + 1
    begin = hunk.old_start - 1
    return max(
        ((at, count) for at, count in equal.items() if at >= 0),
        key=lambda one: (one[1], -abs(one[0] - begin)),
        default=(max(begin, 0), 0),
    )


def _block(lines: Sequence[bytes], expected: Sequence[bytes] = ()) -> str:
    """The lines, indented; those that are not as ``expected`` carry a mark."""
    shown = [
        f"    {_shown(line)}"
        if not expected or line == expected[at]
        else f"  ! {_shown(line)}{_UNSEEN if _shown(line) == _shown(expected[at]) else ''}"
        for at, line in enumerate(lines[:_SHOWN_LINES])
    ]
    if len(lines) > _SHOWN_LINES:
        shown.append(f"    … and {len(lines) - _SHOWN_LINES} lines more")
    return "\n".join(shown) or "    (nothing)"


def _shown(line: bytes) -> str:
    text = line.decode(errors="replace").expandtabs(8).rstrip()[:_WIDTH]
    return "".join(one if one.isprintable() else "�" for one in text)


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().split(b"\n") if file.is_file() and not file.is_symlink() else []


def _change_of(changes: Sequence[FileChange], path: str) -> FileChange | None:
    return next((change for change in changes if path in change.paths), None)


def _hunk_at(change: FileChange | None, line: int) -> Hunk | None:
    hunks = change.hunks if change is not None else ()
    return next((hunk for hunk in hunks if hunk.old_start == line), None)


def _file_of(change: FileChange, standing: Path) -> Path:
    return standing / (change.old or change.new or "")


def _strip_hint(patch: Patch) -> str:
    if patch.strip == 0:
        return ""
    return "\n(if the patch has no a/ and b/ in front of names, list it in a series file with -p0)"

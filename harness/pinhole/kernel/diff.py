# SPDX-License-Identifier: GPL-2.0-only
"""Diffs as values: which files a diff changes, in which hunks, and nothing else of the text.

Follows ``git apply``'s reading of both formats, git's own (``diff --git`` with its extended
header lines, git-diff(1)) and the traditional one (``---``, ``+++``). Hunks end where the counts
of their headers say, so that a mail's signature ``-- `` is no removed line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_STAMP = re.compile(rb"(\t| +\d{4}-\d\d-\d\d[ T]\d\d:\d\d).*")
_ESCAPE = re.compile(rb'\\([0-7]{3}|[abfnrtv"\\])')
_ESCAPED = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_MODES = (b"old mode ", b"new mode ", b"new file mode ", b"deleted file mode ")
_NAMES = (b"rename from ", b"rename to ", b"copy from ", b"copy to ")
_SIMILAR = (b"similarity index ", b"dissimilarity index ")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_LITERAL = re.compile(rb"(literal|delta) \d+")


class MalformedDiff(ValueError):  # noqa: N818 - named as what it is, always with what is wrong
    """The text is no diff that could be applied; the message names line and reason."""


@dataclass(frozen=True)
class Hunk:
    """One ``@@`` part; ``number`` counts from 1 within its file, ``lines`` keep their marks."""

    number: int
    header: str
    old_start: int
    lines: tuple[bytes, ...]

    @property
    def expected(self) -> tuple[bytes, ...]:
        """The lines that must stand in the file: context and what is removed, without marks."""
        return tuple(line[1:] for line in self.lines if line[:1] in {b" ", b"-", b""})


@dataclass(frozen=True)
class FileChange:
    """What a diff does to one file; the names are without the ``strip`` leading folders.

    ``old`` and ``new`` are every name that the diff gives for it, None where a side is
    ``/dev/null`` or was not said. ``modes`` are all that it names (``100755``, ``120000``).
    """

    old: str | None
    new: str | None
    modes: tuple[str, ...]
    hunks: tuple[Hunk, ...]
    text: bytes

    @property
    def paths(self) -> tuple[str, ...]:
        """The names that may be touched, each once."""
        return tuple(dict.fromkeys(name for name in (self.old, self.new) if name is not None))


def looks_like_diff(text: bytes) -> bool:
    """Whether a diff begins anywhere in ``text``."""
    return re.search(rb"^(diff --git \S|--- \S.*\r?\n\+\+\+ \S)", text, re.MULTILINE) is not None


def usual_strip(text: bytes) -> int:
    """The strip level that the names ask for: 0 for ``git diff --no-prefix``, else 1."""
    names = re.findall(rb"^diff --git (\S+) (\S+)\r?$", text, re.MULTILINE)
    return 0 if names and all(one == other for one, other in names) else 1


def unix_lines(text: bytes) -> bytes:
    """``text`` without the carriage returns that mailing added: where *every* line has one.

    A diff of a file that has them itself keeps them: its header lines have none.
    """
    lines = text.splitlines(keepends=True)
    if lines and all(line.endswith(b"\r\n") for line in lines if line.endswith(b"\n")):
        return text.replace(b"\r\n", b"\n")
    return text


def parse_diff(text: bytes, strip: int) -> tuple[FileChange, ...]:
    """Every file's change in ``text``; prose around the diffs is skipped.

    Raises ``MalformedDiff``: a hunk that is shorter or longer than its header says (lines wrapped
    or lost by a mailer), a hunk of no file, a binary file without its content, a name that has
    fewer folders than ``strip``.
    """
    return tuple(_Reader(text, strip).changes())


class _Reader:
    """Reads one diff from top to bottom."""

    def __init__(self, text: bytes, strip: int) -> None:
        self._lines = text.split(b"\n")
        if self._lines[-1] == b"":
            self._lines.pop()
        self._strip = strip
        self._at = 0

    def changes(self) -> Iterator[FileChange]:
        while self._at < len(self._lines):
            if self._line().startswith(b"diff --git "):
                yield self._git_change()
            elif self._names_follow():
                yield self._change(self._at, [], [])
            elif _HUNK.match(self._line()):
                raise self._wrong("a hunk that belongs to no file")
            else:
                self._at += 1

    def _line(self, ahead: int = 0) -> bytes:
        at = self._at + ahead
        return self._lines[at] if at < len(self._lines) else b""

    def _names_follow(self) -> bool:
        return self._line().startswith(b"--- ") and self._line(1).startswith(b"+++ ")

    def _wrong(self, reason: str) -> MalformedDiff:
        return MalformedDiff(f"line {self._at + 1} of the diff: {reason}")

    def _git_change(self) -> FileChange:
        began = self._at
        named = self._line()[len(b"diff --git ") :]
        self._at += 1
        modes: list[str] = []
        moved: list[str] = []
        while self._at < len(self._lines):
            line = self._line()
            mode = next((line[len(word) :] for word in _MODES if line.startswith(word)), None)
            name = next((line[len(word) :] for word in _NAMES if line.startswith(word)), None)
            if mode is not None:
                modes.append(mode.decode(errors="replace").strip())
            elif name is not None:
                # These names have no a/ or b/: git strips one folder less (apply.c, p_value - 1).
                moved.append(self._name(name, max(0, self._strip - 1)))
            elif line.startswith(b"index "):
                modes += [word.decode(errors="replace") for word in line.split()[2:3]]
            elif not line.startswith(_SIMILAR):
                break
            self._at += 1
        if self._line().startswith(b"Binary files "):
            raise self._wrong(
                "a binary file's change without its content; make the patch with "
                "git format-patch (or git diff --binary)"
            )
        if self._line() == b"GIT binary patch":
            self._skip_binary()
        elif self._names_follow():
            return self._change(began, modes, moved)
        if not moved:
            moved = self._both_names(named)
        return FileChange(moved[0], moved[-1], tuple(modes), (), self._text(began))

    def _skip_binary(self) -> None:
        """``literal N`` or ``delta N``, lines of base85 up to a blank one; up to two of these."""
        self._at += 1
        while _LITERAL.fullmatch(self._line()):
            while self._at < len(self._lines) and self._line() != b"":
                self._at += 1
            self._at += 1

    def _change(self, began: int, modes: list[str], moved: list[str]) -> FileChange:
        old = self._side(self._line()[4:])
        new = self._side(self._line(1)[4:])
        if old is None and new is None:
            raise self._wrong("both sides are /dev/null")
        self._at += 2
        hunks: list[Hunk] = []
        while _HUNK.match(self._line()):
            hunks.append(self._hunk(len(hunks) + 1))
        if not hunks:
            raise self._wrong("a file's names without a hunk")
        names = [*moved, *(name for name in (old, new) if name is not None)]
        if moved and set(names) != set(moved):
            raise self._wrong(f"a rename of {moved[0]} names other files too: {', '.join(names)}")
        return FileChange(old, new, tuple(modes), tuple(hunks), self._text(began))

    def _hunk(self, number: int) -> Hunk:
        header = self._line()
        found = _HUNK.match(header)
        assert found is not None
        old_left, new_left = (int(found[group] or 1) for group in (2, 4))
        self._at += 1
        lines: list[bytes] = []
        while old_left > 0 or new_left > 0:
            line = self._line()
            mark = line[:1] or b" "
            if self._at >= len(self._lines) or mark not in {b" ", b"-", b"+", b"\\"}:
                raise self._wrong(
                    f"hunk {number} ({_shown(header)}) ends too early; was the text wrapped or "
                    "cut on its way? get the patch anew, as raw text"
                )
            old_left -= mark in {b" ", b"-"}
            new_left -= mark in {b" ", b"+"}
            lines.append(line)
            self._at += 1
        if old_left or new_left:
            raise self._wrong(f"hunk {number} ({_shown(header)}) does not add up")
        if self._line().startswith(b"\\"):
            lines.append(self._line())
            self._at += 1
        # "-- " and "---" are signatures; git would drop any other such line without a word.
        if self._line()[:1] in {b"+", b"-"} and not self._line().startswith(b"--"):
            raise self._wrong(
                f"hunk {number} ({_shown(header)}) has more lines than its header says; was the "
                "patch edited by hand? make it anew"
            )
        return Hunk(number, _shown(header), int(found[1]), tuple(lines))

    def _side(self, named: bytes) -> str | None:
        name = _STAMP.sub(b"", named).rstrip() if not named.startswith(b'"') else named
        return None if name == b"/dev/null" else self._name(name, self._strip)

    def _name(self, name: bytes, strip: int) -> str:
        quoted = _QUOTED.match(name)
        if quoted is not None:
            name = _ESCAPE.sub(_unescape, quoted[1])
        try:
            text = name.decode()
        except UnicodeDecodeError as error:
            raise self._wrong(f"the name {_shown(name)} is not UTF-8") from error
        if not text.isprintable():
            raise self._wrong(f"the name {text!r} has characters that cannot be printed")
        parts = text.split("/", strip)
        if len(parts) <= strip or not parts[-1]:
            raise self._wrong(
                f"the name {_shown(name)} has no {strip} leading folder(s) to strip; if the "
                "patch has no a/ and b/ in front of names, list it in a series file with -p0"
            )
        return parts[-1]

    def _both_names(self, named: bytes) -> list[str]:
        """The name of a file whose diff has no other line with it: mode changes, empty files."""
        if named.startswith(b'"'):
            return [self._name(named, self._strip)]
        middle = len(named) // 2
        first, second = named[:middle], named[middle + 1 :]
        if named[middle : middle + 1] == b" ":
            names = [self._name(first, self._strip), self._name(second, self._strip)]
            if names[0] == names[1]:
                return names
        raise self._wrong(f"no name can be read from {_shown(named)}")

    def _text(self, began: int) -> bytes:
        return b"\n".join(self._lines[began : self._at]) + b"\n"


def _unescape(found: re.Match[bytes]) -> bytes:
    what = found[1]
    return bytes([int(what, 8) & 0xFF]) if len(what) == 3 else _ESCAPED.get(what, what)


def _shown(line: bytes) -> str:
    return line.decode(errors="replace").strip()

# SPDX-License-Identifier: GPL-2.0-only
"""A comparison as Markdown for a reply to a mailing list: plain to read as text, no HTML.

Prose is wrapped for a mail. What a guest or a kernel may have written stands in code spans and
indented code blocks only, bounded and without control characters, so that none of it is markup.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from pinhole.machine.text import printable
from pinhole.results.aspects import Reason, shown_tally
from pinhole.results.change import Change
from pinhole.results.compare import Comparison, Row, Side, Subject, Word

COLUMNS = 72
"""As mails are wrapped, with room for a reply's ``> >``."""
_MOST_CHARACTERS = 400
_BLANKS = re.compile(r"\n{3,}")
_MARKUP = re.compile(r"[\\*\[\]<>|&!#~]|(?<!\w)[_+=-]|_(?!\w)|(?<=\d)[.)](?=\s|$)")


def markdown(comparison: Comparison, reproduce: Sequence[str]) -> str:
    """The whole report; ``reproduce`` are the commands that show the same again."""
    changed = [row for row in comparison.rows if row.word is not Word.SAME]
    same = [row for row in comparison.rows if row.word is Word.SAME]
    lines = [*_wrapped(f"**{summary(comparison)}**"), ""]
    lines += _subject("base", comparison.base)
    lines += _subject("candidate", comparison.candidate)
    lines += _item(_machine(comparison))
    for note in comparison.notes:
        lines += _item(note)
    for row in changed:
        lines += ["", f"## {row.word}: {code(row.scenario)}", "", *_row(row)]
    if same:
        lines += ["", "## same", "", *_same(same)]
    lines += ["", "## To reproduce", ""]
    lines += [f"    {printable(command)}" for command in reproduce]
    return _BLANKS.sub("\n\n", "\n".join(lines) + "\n")


def summary(comparison: Comparison) -> str:
    """How many rows of each verdict: ``1 regression, 2 fixes, 5 same``."""
    counts = [
        f"{count} {'fixes' if word is Word.FIX and count > 1 else _plural(word, count)}"
        for word in Word
        if (count := comparison.count(word))
    ]
    total = len(comparison.rows)
    return f"{', '.join(counts)} of {total} scenario{'s' if total > 1 else ''}"


def code(text: str) -> str:
    """``text`` as a code span, in which nothing is markup; it never breaks over lines."""
    clean = _plain(text).replace("`", "'").strip()
    return f"`{clean}`" if clean else "(nothing)"


def _plural(word: Word, count: int) -> str:
    return f"{word}s" if word is Word.REGRESSION and count > 1 else word.value


def _subject(name: str, subject: Subject) -> Iterator[str]:
    kernel = subject.kernel
    yield from _item(f"{name}: {code(kernel.label)}, release {code(kernel.release)},")
    yield f"  {code(kernel.origin)}"


def _machine(comparison: Comparison) -> str:
    kinds = sorted({*comparison.base.accelerators, *comparison.candidate.accelerators})
    repeats = [comparison.base.repetitions, comparison.candidate.repetitions]
    runs = "once each" if repeats == [1, 1] else f"{repeats[0]} and {repeats[1]} repetitions"
    return f"machine: QEMU, {' and '.join(map(code, kinds)) or 'never started'}; {runs}"


def _row(row: Row) -> Iterator[str]:
    yield from _wrapped(_plain(row.summary), escape=True)
    yield ""
    for name, side in (("base", row.base), ("candidate", row.candidate)):
        if side is not None:
            yield from _side(name, side)
    for reason in row.reasons:
        yield from _reason(reason)


def _side(name: str, side: Side) -> Iterator[str]:
    parts = [f"hold {_tally(side.pin)}", f"blocks {_tally(side.blocks)}"]
    yield from _item(f"{name}: {'; '.join([*parts, *_times(side)])}")


def _times(side: Side) -> Iterator[str]:
    if side.removal_seconds is not None:
        yield f"slowest block removed in {side.removal_seconds:.2f} s"


def _reason(reason: Reason) -> Iterator[str]:
    loud = f"**{reason.change}**" if reason.change is not Change.SAME else "not compared"
    text = f"{loud}: {reason.what}: {code(reason.before)} -> {code(reason.after)}"
    yield from _item("; ".join([text, *reason.words]))
    if reason.shown:
        yield ""
        for sentence in reason.shown:
            yield from _quoted(sentence)
        yield ""


def _same(rows: Sequence[Row]) -> Iterator[str]:
    quiet = [row for row in rows if not row.reasons]
    if quiet:
        yield from _wrapped(
            ", ".join(f"{code(row.scenario)}{_outcome(row.candidate)}" for row in quiet)
        )
    for row in rows:
        if row.reasons:
            yield from _item(f"{code(row.scenario)}{_outcome(row.candidate)}")
            for reason in row.reasons:
                yield from (f"  {line}".rstrip() for line in _reason(reason))


def _outcome(side: Side | None) -> str:
    return f" ({_tally(side.pin)}; {_tally(side.blocks)})" if side is not None else ""


def _tally(counts: Mapping[str, int]) -> str:
    return code(shown_tally(counts))


def _item(text: str) -> Iterator[str]:
    lines = _wrapped(text, width=COLUMNS - 2)
    yield f"- {lines[0]}"
    yield from (f"  {line}" for line in lines[1:])


def _quoted(text: str) -> Iterator[str]:
    """Words that are not pinhole's: an indented code block within a list item."""
    indent = " " * 6
    yield from textwrap.wrap(
        _plain(text),
        COLUMNS,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _wrapped(text: str, width: int = COLUMNS, *, escape: bool = False) -> list[str]:
    """Lines of at most ``width``, broken at spaces outside of code spans."""
    pieces = text.split("`")
    # A code span that were broken could begin a line with '# ' and end the paragraph.
    pieces[1::2] = [f"`{piece.replace(' ', chr(0))}`" for piece in pieces[1::2]]
    if escape:
        pieces[::2] = [_escaped(piece) for piece in pieces[::2]]
    lines = textwrap.wrap("".join(pieces), width, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines] or [""]


def _escaped(text: str) -> str:
    """Text in which nothing is markup; io_uring and long-term stay as they are."""
    return _MARKUP.sub(r"\\\g<0>", text)


def _plain(text: str) -> str:
    """One bounded line without control characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}..."

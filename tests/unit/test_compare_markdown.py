# SPDX-License-Identifier: GPL-2.0-only
"""The report for a mail and the table: what they say, how wide, and no markup from a guest."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tests.unit.compare_records import broken, record, unjudged

from pinhole.plan import Promise
from pinhole.results.compare import Comparison, compared
from pinhole.results.compare_markdown import COLUMNS, markdown, summary
from pinhole.results.compare_table import render
from pinhole.results.record import Record
from pinhole.scenario.expect import Status

HOSTILE = [
    "# heading\n- item\n> quote",
    "``` <script>alert(1)</script> ```",
    "`![x](http://x)` | a | b |",
    "\x1b[31mred\x1b[0m \x00 \u202e right to left",
    "a" * 5000,
    "\n\n\n## fix: `io_uring`\n\n",
    "=====\n-----\n1. one",
]


def comparison(*, words: str = "as it is", name: str = "held", summary: str = "one") -> Comparison:
    bad = record(
        name,
        states=broken(Promise.REMOVAL),
        blocks=("still-looping", "removed", "removed", "removed"),
        reason=words,
        lines=(words,),
        summary=summary,
        label="new",
    )
    same = [record(f"io_uring-{number}") for number in range(6)]
    return compared([record(name, summary=summary), *same], [bad, *same])


def report(found: Comparison) -> str:
    return markdown(found, ["pinhole compare debian:5.10 debian:6.12"])


def table(found: Comparison) -> str:
    out = io.StringIO()
    render(found, Console(file=out, width=120))
    return out.getvalue()


def test_the_summary_comes_first_and_changed_rows_before_the_same_ones() -> None:
    text = report(comparison())
    assert text.startswith("**1 regression, 6 same of 7 scenarios**\n\n- base: `base`, release")
    assert text.index("## regression: `held`") < text.index("## same\n")
    assert "- machine: QEMU, `tcg`; once each\n" in text
    assert "- **worse**: removal: `kept` -> `broken`\n\n      candidate: as it is\n" in text
    assert "    pinhole compare debian:5.10 debian:6.12\n" in text


def test_both_outcomes_are_told() -> None:
    text = report(comparison())
    assert "- base: hold `migrated`; blocks `4 removed`; slowest block" in text
    assert "- candidate: hold `migrated`; blocks `3 removed, 1 still-looping(8 s)`" in text


def test_it_fits_into_a_mail() -> None:
    repeated = [record(pin=pin) for pin in ["migrated"] * 9 + ["refused(ENOMEM)"]]
    for found in (
        comparison(words="a sentence of some words that goes on and on " * 4),
        compared(repeated, [*reversed(repeated[1:]), unjudged(Status.MISS)]),
        compared([record(hold_seconds=0.2)], [record(hold_seconds=12.0)]),
    ):
        assert max(map(len, report(found).splitlines())) <= COLUMNS + 4
    assert "\n\n\n" not in report(comparison())


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([record("a"), record("b")], "2 same of 2 scenarios"),
        ([record("a", pin="refused(EIO)"), record("b")], "1 fix, 1 same of 2 scenarios"),
        ([record(one, pin="refused(EIO)") for one in ("a", "b")], "2 fixes of 2 scenarios"),
        ([record("a", pin="held"), record("b")], "1 unclear, 1 same of 2 scenarios"),
    ],
)
def test_the_summary_counts(records: list[Record], said: str) -> None:
    assert summary(compared(records, [record("a"), record("b")])) == said


def test_a_row_that_is_the_same_by_chance_says_so() -> None:
    base = [record() for _ in range(10)]
    text = report(compared(base, [*base[1:], record(pin="refused(ENOMEM)")]))
    assert "**1 same of 1 scenario**" in text
    assert "0 of 10 against 1 of 10: not more than" in " ".join(text.split())


def markup(text: str) -> list[str]:
    """What of ``text`` a reader of Markdown would take for structure or markup, roughly."""
    outside = []
    for line in text.splitlines():
        # Lines of 4 spaces or more are code blocks here; code spans never break over lines.
        if not line.startswith("    "):
            assert line.count("`") % 2 == 0, line
            outside.append(re.sub(r"`[^`]+`", "CODE", line))
    return outside


@pytest.mark.parametrize("words", HOSTILE)
def test_what_a_guest_says_is_no_markup(words: str) -> None:
    expected, found = (report(comparison(words=one)) for one in ("as it is", words))
    assert markup(found) == markup(expected)
    assert "\x1b" not in found
    assert "\u202e" not in found
    assert len(found) < 4000
    assert "\x1b" not in table(comparison(words=words))


@pytest.mark.parametrize("words", HOSTILE)
def test_what_a_plan_or_a_kernel_says_is_no_markup(words: str) -> None:
    named = comparison(summary=words)
    kernel = named.base.kernel.model_copy(
        update={"label": words, "release": words, "origin": words}
    )
    named = named.model_copy(update={"base": named.base.model_copy(update={"kernel": kernel})})
    lines = markup(report(named))
    headings = [line for line in lines if line.startswith("#")]
    assert headings == ["## regression: CODE", "## same", "## To reproduce"]
    for line in lines:
        assert not re.search(r"(?<!\\)([<>|]|!\[)", line.replace("->", "")), line
        assert not re.match(r"\s*(=+|\d+[.)]\s|[+>~])", line), line


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_no_text_of_a_guest_changes_what_stands_around_it(words: str) -> None:
    expected, found = (report(comparison(words=one)) for one in ("as it is", words))
    assert markup(found) == markup(expected)


def test_the_table_shows_both_sides_and_what_changed() -> None:
    text = table(comparison(words="[bold]x[/bold]"))
    assert "regression held" in text
    assert "[bold]x[/bold]" in text
    assert "1 regression, 6 same of 7 scenarios." in text
    line = next(line for line in text.splitlines() if "[bold]x[/bold]" in line)
    assert line.split("│")[2].strip() == ""
    assert text.index("regression held") < text.index("same")


def test_the_table_shows_a_side_that_is_not_there() -> None:
    text = table(compared([record()], [unjudged(Status.SKIP, reason="lacks CONFIG_X")]))
    assert "gone held" in text
    assert "lacks CONFIG_X" in text.partition("gone held")[2]

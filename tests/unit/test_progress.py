# SPDX-License-Identifier: GPL-2.0-only
"""Progress: a live line on a terminal, plain lines elsewhere, nothing on standard output."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from pinhole.progress import Lines, Live, Progress, for_terminal


def work(progress: Progress) -> None:
    with progress.step("1/2 scenario"):
        with progress.step("booting [bold]6.12[/bold]"):
            time.sleep(0.15)
        progress.note("1/2 done")


def test_plain_lines_say_what_begins_and_when(capfd: pytest.CaptureFixture[str]) -> None:
    work(Lines())
    said = capfd.readouterr()
    assert said.out == ""
    pattern = r"\[ *\d+\.\d s\] "
    assert re.sub(pattern, "", said.err).splitlines() == [
        "1/2 scenario …",
        "booting [bold]6.12[/bold] …",
        "1/2 done",
    ]
    assert len(re.findall(pattern, said.err)) == 3


def test_a_live_line_shows_the_innermost_step_its_time_and_leaves_notes() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, force_interactive=True)
    work(Live(console))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert "1/2 scenario: booting [bold]6.12[/bold]" in text
    assert "0:00:00" in text
    assert "1/2 done\n" in text


def test_a_live_line_is_taken_away_when_a_step_fails() -> None:
    out = io.StringIO()
    live = Live(Console(file=out, force_terminal=True, width=100))
    with pytest.raises(KeyboardInterrupt), live.step("one"), live.step("two"):
        raise KeyboardInterrupt
    # The cursor is shown again, or the user's terminal would stay without one.
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


def test_what_is_no_terminal_gets_plain_lines() -> None:
    assert isinstance(for_terminal(), Lines)

# SPDX-License-Identifier: GPL-2.0-only
"""Progress on every wait longer than a second: a live line on a terminal, plain lines elsewhere.

All of it goes to standard error: standard output is for results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as RichProgress
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn


class Progress(Protocol):
    """Where long-running work says what it is doing."""

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Says ``text`` while the block runs; steps nest, the innermost is shown."""
        yield

    def note(self, text: str) -> None:
        """A line that stays."""

    def share(self, text: str, done: float) -> None:
        """Says that of ``text``, which is under way in a step, the share ``done`` (0 to 1) is."""


class Quiet:
    """Says nothing: for tests and for callers that have their own display."""

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        yield

    def note(self, text: str) -> None:
        """Drops ``text``."""

    def share(self, text: str, done: float) -> None:
        """Drops it."""


class Lines:
    """One plain line as each step begins, with the seconds since the start: for CI's logs."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._read = True
        self._tenths: dict[str, int] = {}

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        self.note(f"{text} …")
        yield

    def note(self, text: str) -> None:
        if not self._read:
            return
        try:
            print(f"[{time.monotonic() - self._began:6.1f} s] {text}", file=sys.stderr, flush=True)
        except BrokenPipeError:
            # Nobody reads progress any more (2>&1 | head): the run itself is not lost for that.
            self._read = False

    def share(self, text: str, done: float) -> None:
        """A line for each tenth."""
        tenths = int(done * 10)
        if tenths > self._tenths.get(text, 0):
            self._tenths[text] = tenths
            self.note(f"{text}: {done:.0%}")


class Live:
    """One line that changes in place, with a spinner and the time that the step has taken."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._line: RichProgress | None = None
        self._texts: list[str] = []

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        self._texts.append(text)
        self._show()
        try:
            yield
        finally:
            self._texts.pop()
            self._show()

    def note(self, text: str) -> None:
        self._console.print(escape(text), highlight=False)

    def share(self, text: str, done: float) -> None:
        """Changes the line in place: its clock goes on."""
        if self._line is not None:
            self._line.update(self._line.task_ids[0], description=escape(f"{text}: {done:.0%}"))

    def _show(self) -> None:
        """A new line for each step: its clock begins anew, and nothing stays on the terminal."""
        if self._line is not None:
            self._line.stop()
            self._line = None
        if self._texts:
            self._line = RichProgress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._line.add_task(escape(": ".join(self._texts[-2:])), total=None)
            self._line.start()


def for_terminal() -> Progress:
    """``Live`` where standard error is a terminal, ``Lines`` elsewhere."""
    console = Console(stderr=True)
    return Live(console) if console.is_terminal else Lines()

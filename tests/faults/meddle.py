# SPDX-License-Identifier: GPL-2.0-only
"""pinhole's command line with somebody at work in the guest: ``meddle.py PHASE SCRIPT ARGUMENT…``.

As the phase begins, ``SCRIPT`` is run by a shell in the guest, beside what the scenario does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pinhole.cli import main
from pinhole.guest.guest import Guest, booted
from pinhole.progress import Lines

SECONDS = 600.0


class Meddling(Lines):
    """Progress that acts where it is told of the phase."""

    def __init__(self, phase: str, script: str) -> None:
        super().__init__()
        self.guest: Guest | None = None
        self._phase = phase
        self._script = script

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        with super().step(text):
            if text.startswith(self._phase):
                assert self.guest is not None
                # By standard input: dropbear takes commands of up to 9000 bytes.
                script = self._script.encode()
                self.guest.channel.run(["sh", "-e"], stdin=script, budget=SECONDS).check()
            yield

    @contextmanager
    def booted(self, *arguments: Any) -> Iterator[Guest]:
        with booted(*arguments) as self.guest:
            yield self.guest


if __name__ == "__main__":
    _, phase, script, *arguments = sys.argv
    meddling = Meddling(phase, script)
    sys.argv = ["pinhole", *arguments]
    with (
        patch("pinhole.scenario.engine.booted", meddling.booted),
        patch("pinhole.tools.run.for_terminal", lambda: meddling),
    ):
        main()

# SPDX-License-Identifier: GPL-2.0-only
"""The status port (ttyS1): where the guest's init says how far it has come.

Lines are ``pinhole stage NAME``, ``pinhole failed WHAT: REASON`` and ``pinhole ready {json}``.
Any root process of the guest can write there, so lines are bounded, and none of them counts
after the first ``ready`` or ``failed``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from pinhole.machine.text import printable

_LINE_BYTES = 64 << 10
_STAGES = 1000


@dataclass(frozen=True)
class Stage:
    """A stage of the guest's init; ``host_monotonic`` is when it was heard, in seconds."""

    name: str
    host_monotonic: float


class StatusPort:
    """Parses what ttyS1 brings; ``news`` guards the fields and is notified of every line."""

    def __init__(self, news: threading.Condition, log: BinaryIO) -> None:
        """``log`` is unbuffered and gets all that comes."""
        self._news = news
        self._log = log
        self._partial = bytearray()
        self._skipping = False
        self.stages: list[Stage] = []
        self.ready: Mapping[str, object] | None = None
        self.ready_at = 0.0
        self.failed: str | None = None

    def feed(self, data: bytes) -> None:
        """Takes what the port brought; called by the thread that drains it."""
        now = time.monotonic()
        self._log.write(data)
        *lines, rest = (bytes(self._partial) + data).split(b"\n")
        with self._news:
            for line in lines:
                if not self._skipping:
                    self._line(line[:_LINE_BYTES].decode(errors="replace").strip(), now)
                self._skipping = False
            if len(rest) > _LINE_BYTES:
                self._skipping = True
                rest = b""
            self._partial = bytearray(rest)
            if lines:
                self._news.notify_all()

    @property
    def decided(self) -> bool:
        """Whether the guest has said that it is ready, or that it failed."""
        return self.ready is not None or self.failed is not None

    def _line(self, line: str, now: float) -> None:
        word, _, rest = line.removeprefix("pinhole ").partition(" ")
        if self.decided or not line.startswith("pinhole "):
            return
        if word == "stage" and len(self.stages) < _STAGES:
            self.stages.append(Stage(printable(rest)[:200], now))
        elif word == "failed":
            self.failed = printable(rest)[:1000] or "(no reason given)"
        elif word == "ready":
            self._ready(rest, now)

    def _ready(self, text: str, now: float) -> None:
        try:
            facts = json.loads(text)
        except ValueError as error:
            self.failed = (
                f"its word that it is ready is not JSON ({error}): {printable(text)[:200]}"
            )
            return
        if not isinstance(facts, dict):
            self.failed = f"its word that it is ready is no JSON object: {printable(text)[:200]}"
            return
        self.ready = facts
        self.ready_at = now

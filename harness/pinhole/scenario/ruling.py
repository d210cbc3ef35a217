# SPDX-License-Identifier: GPL-2.0-only
"""What a judge of one promise returns: a state, one sentence, and what shows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What became of a promise. Missing or contradictory evidence is UNKNOWN, never KEPT."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_APPLICABLE = "not-applicable"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Ruling:
    """A state and its reason; ``pages``, ``ranges``, ``blocks`` and ``lines`` show a hole."""

    state: State
    reason: str
    pages: int | None = None
    ranges: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

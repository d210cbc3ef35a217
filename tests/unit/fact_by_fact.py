# SPDX-License-Identifier: GPL-2.0-only
"""Takes evidence apart fact by fact: what each promise rests on, with one fact gone or changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pinhole.scenario.facts import Path, pointer
from pinhole.scenario.verdict import Judgement, Verdict


def leaves(data: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all facts: numbers, texts, flags and nulls, empty lists and objects too."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(data, dict):
        inside = list(data.items())
    elif isinstance(data, list):
        inside = list(enumerate(data))
    if not inside:
        yield path
    for key, value in inside:
        yield from leaves(value, (*path, key))


def without(evidence: dict[str, Any], path: Path) -> dict[str, Any]:
    """``evidence`` with the fact at ``path`` cut out, as if it had never been there."""
    changed = copy.deepcopy(evidence)
    del holder_of(changed, path)[path[-1]]
    return changed


def having(evidence: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """``evidence`` with ``value`` at ``path``."""
    changed = copy.deepcopy(evidence)
    holder_of(changed, path)[path[-1]] = value
    return changed


def holder_of(evidence: Any, path: Path) -> Any:
    """The list or object that holds the fact at ``path``."""
    for part in path[:-1]:
        evidence = evidence[part]
    return evidence


def value_at(evidence: dict[str, Any], path: Path) -> Any:
    return holder_of(evidence, path)[path[-1]]


def rests_on(judgement: Judgement, path: Path) -> bool:
    """Whether the judgement read the fact at ``path``, or something that holds it."""
    read = set(judgement.rests_on)
    return any(pointer(path[: length + 1]) in read for length in range(len(path)))


def changes(value: Any) -> list[Any]:
    """Other values of the same type, as a bug or a liar would write them."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, -value - 1]
    if isinstance(value, float):
        return [value + 1000.0, -value - 1.0]
    if isinstance(value, str):
        return ["", value + "x", value[: len(value) // 2]]
    return [1.0, 7, "x"]


def told(verdict: Verdict) -> list[object]:
    """All that a verdict says, without the list of facts that it rests on."""
    return [
        verdict.pin,
        verdict.blocks,
        [judgement.model_copy(update={"rests_on": ()}) for judgement in verdict.judgements],
    ]

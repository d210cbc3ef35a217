# SPDX-License-Identifier: GPL-2.0-only
"""A verdict against what the scenario said beforehand: a status in kcidb's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from pinhole.plan import Expectation, Scenario
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import Verdict
from pinhole.yamlfile import StrictModel


class Status(StrEnum):
    """kcidb's test statuses, as the design uses them."""

    PASS = "PASS"
    """Everything as expected, at least one promise judged, none unknown."""
    FAIL = "FAIL"
    """Something else than expected."""
    ERROR = "ERROR"
    """The test's own code failed."""
    MISS = "MISS"
    """The harness or the machine failed: the test did not run to its end."""
    SKIP = "SKIP"
    """The kernel or the machine lacks a named feature."""
    DONE = "DONE"
    """The test ran, but evidence is missing for some promise: no result can be given."""


class Comparison(StrictModel):
    """How a verdict stands to the expectation: the status and every difference, a sentence each."""

    status: Status
    differences: tuple[str, ...]
    because: str | None


def compare(
    scenario: Scenario, kernel_version: str, verdict: Verdict, variant: str | None = None
) -> Comparison:
    """Compares ``verdict`` with what ``scenario`` expects of the upstream ``kernel_version``, built
    as ``variant``.

    Where nothing is expected of that kernel every promise is expected kept: a hole is news.
    """
    expected = scenario.expectation(kernel_version, variant)
    differences = [*_promises(expected, verdict), *_outcomes(expected, verdict)]
    unknown = verdict.promises(State.UNKNOWN)
    judged = verdict.promises(State.KEPT) + verdict.promises(State.BROKEN)
    if differences:
        status = Status.FAIL
    elif unknown or not judged:
        status = Status.DONE
    else:
        status = Status.PASS
    return Comparison(
        status=status,
        differences=tuple(differences),
        because=expected.because if expected else None,
    )


def _promises(expected: Expectation | None, verdict: Verdict) -> list[str]:
    broken = set(expected.broken) if expected else set()
    allowed = broken | (set(expected.may_break) if expected else set())
    differences = []
    for judgement in verdict.judgements:
        if judgement.state is State.BROKEN and judgement.promise not in allowed:
            differences.append(f"{judgement.promise} is broken, which was not expected")
        elif judgement.promise in broken and judgement.state in (State.KEPT, State.NOT_APPLICABLE):
            differences.append(f"{judgement.promise} was expected broken, it is {judgement.state}")
    return differences


def _outcomes(expected: Expectation | None, verdict: Verdict) -> list[str]:
    """Differences in outcomes that are known; an unknown one shows in its promise."""
    if expected is None:
        return []
    differences = []
    if expected.pin is not None and verdict.pin is not None and verdict.pin.name != expected.pin:
        differences.append(f"the pin was expected {expected.pin}, it is {verdict.pin.name}")
    if expected.blocks and verdict.blocks is not None:
        counts = Counter(one.outcome.name for one in verdict.blocks)
        if counts != Counter(expected.blocks):
            differences.append(
                f"the blocks were expected {_shown(expected.blocks)}, they are {_shown(counts)}"
            )
    return differences


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))

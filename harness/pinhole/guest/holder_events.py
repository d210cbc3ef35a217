# SPDX-License-Identifier: GPL-2.0-only
"""What pinholder says, one JSON object a line, as typed events; and its code for PFNs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pinhole.errors import HolderError
from pinhole.guest.parse_error import ParseError, quoted

Run = tuple[int | None, int, int]
"""``[first PFN or null, count, step]``; ``step`` is 1, -1, or 0 for the same frame again."""


class HolderEvent(BaseModel):
    """Any line: ``event`` is its name, ``boottime`` the guest's CLOCK_BOOTTIME in seconds.

    Members that a class does not name are ignored; ``Holder.raw_events`` keeps them.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    event: str
    boottime: float


class StartEvent(HolderEvent):
    """What it is about to do."""

    pid: int
    page_size_bytes: int
    way: str
    kind: str
    size_bytes: int
    node: int | None = None


class PagesEvent(HolderEvent):
    """Where its pages are ``before`` and ``after`` the hold, or ``now``.

    ``runs`` is null where they cannot be known: unmapped, or hidden from an unprivileged user.
    """

    when: str
    runs: tuple[Run, ...] | None
    absent: int = 0
    swapped: int = 0
    hidden: int = 0

    def pfns(self) -> list[int | None]:
        """The PFN of each page, in order; None where there is no page."""
        return list(expand_runs(self.runs or ()))


class HoldEvent(HolderEvent):
    """The call that was to hold the pages: ``result`` below 0 is a refusal with an errno."""

    way: str
    call: str
    result: int
    errno_name: str | None
    seconds: float
    pages: int


class UnansweredEvent(HolderEvent):
    """The call that was to hold the pages did not return, and its process was killed.

    Times in seconds since the call began; ``sigkill_at`` is None where not pinholder killed it.
    """

    call: str
    budget_seconds: float
    seconds: float
    sigkill_at: float | None
    ended: bool


class UsableEvent(HolderEvent):
    """After a refusal: whether the pages could be written and read back."""

    ok: bool | None
    bad_pages: int | None


class VerifyEvent(HolderEvent):
    """Before release: whether the pages still hold what was written into them."""

    ok: bool | None
    bad_pages: int | None


class ReleasedEvent(HolderEvent):
    """It let go (``held`` False: there was nothing to let go of); ``by`` what told it to."""

    held: bool
    by: str
    seconds: float


class ErrorEvent(HolderEvent):
    """It could not do what was asked; not a refusal by the kernel of the hold itself."""

    message: str
    errno_name: str | None = None


class UnsupportedEvent(ErrorEvent):
    """This kernel or machine has not what the way, the kind or a trick takes: ``call`` says so."""

    call: str


HolderEventT = TypeVar("HolderEventT", bound=HolderEvent)

_KINDS: dict[str, type[HolderEvent]] = {
    "start": StartEvent,
    "pages": PagesEvent,
    "hold": HoldEvent,
    "unanswered": UnansweredEvent,
    "usable": UsableEvent,
    "verify": VerifyEvent,
    "released": ReleasedEvent,
    "error": ErrorEvent,
    "unsupported": UnsupportedEvent,
}


def parse_event(line: str) -> tuple[HolderEvent, dict[str, Any]]:
    """One line, typed and as it came; an event of an unknown name is a plain ``HolderEvent``.

    Raises ``HolderError``, quoting the line within bounds.
    """
    try:
        raw = json.loads(line)
        if not isinstance(raw, dict):
            raise HolderError(f"pinholder wrote no JSON object: {quoted(line)}")
        name = raw.get("event")
        kind = _KINDS.get(name, HolderEvent) if isinstance(name, str) else HolderEvent
        # As JSON, so that its rules hold: an integer may stand for a float, a list for a tuple.
        return kind.model_validate_json(line), raw
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HolderError(
            f"pinholder wrote a malformed event ({where}: {first['msg']}): {quoted(line)}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise HolderError(f"pinholder wrote no JSON: {quoted(line)}") from error


def expand_runs(runs: Sequence[Run]) -> Iterator[int | None]:
    """The PFN of every page in order, None for a page that is absent.

    Raises ``ParseError`` for a run that pinholder would not write.
    """
    for run in runs:
        first, count, step = run
        if (
            count < 1
            or step not in (1, 0, -1)
            or (first is not None and first + step * (count - 1) < 0)
        ):
            raise ParseError(f"this is no run of PFNs: {quoted(str(run))}")
        yield from (None if first is None else first + step * page for page in range(count))

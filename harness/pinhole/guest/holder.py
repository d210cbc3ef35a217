# SPDX-License-Identifier: GPL-2.0-only
"""Client of pinholder: pages held in the guest until they are released or the holder is killed."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from pinhole.errors import BudgetError, HolderError, UnsupportedError
from pinhole.guest.channel import Channel, Completed, GuestProcess
from pinhole.guest.deadline import Deadline
from pinhole.guest.holder_events import (
    ErrorEvent,
    HolderEvent,
    HolderEventT,
    HoldEvent,
    PagesEvent,
    ReleasedEvent,
    UnansweredEvent,
    UnsupportedEvent,
    parse_event,
)
from pinhole.guest.parse_error import quoted
from pinhole.guest.quote import shown

PROGRAM = "pinholder"
_MOST_EVENTS = 1000
_START_SECONDS = 10.0


class Holder:
    """A running pinholder. Leaving its ``with`` block kills it, which lets its pages go.

    ``raw_events`` are its lines as they came, for evidence; ``events`` are the same, typed.
    """

    def __init__(self, process: GuestProcess) -> None:
        self.raw_events: list[dict[str, Any]] = []
        self.events: list[HolderEvent] = []
        self._process = process
        self._completed: Completed | None = None

    @classmethod
    def start(cls, channel: Channel, arguments: Sequence[str], budget: float) -> Holder:
        """Starts ``pinholder ARGUMENTS`` and waits until it holds or was refused.

        Raises ``HolderError`` with its own words if it could do neither or its call had to be
        killed, ``BudgetError`` after ``budget`` seconds; it is ended in all these cases.
        """
        holder = cls.spawn(channel, arguments, budget)
        try:
            holder.await_hold(budget)
            unanswered = holder.unanswered
            if unanswered is not None:
                raise HolderError(
                    f"{unanswered.call} did not return, and {PROGRAM} was killed in it after "
                    f"{unanswered.seconds:.1f} s"
                )
        except BaseException as error:
            holder.__exit__(type(error), error, error.__traceback__)
            raise
        return holder

    @classmethod
    def spawn(cls, channel: Channel, arguments: Sequence[str], budget: float) -> Holder:
        """Starts ``pinholder ARGUMENTS`` and waits for nothing: ``await_hold`` comes next."""
        return cls(channel.spawn([PROGRAM, *arguments], budget=budget + _START_SECONDS))

    def await_hold(self, budget: float) -> None:
        """Waits until it holds, was refused, or its call had to be killed; leaves it running.

        Raises ``UnsupportedError`` where it found that the guest lacks what the hold takes.
        """
        self._await(
            "holding", "refused", "killed", deadline=Deadline(budget, shown(self._process.argv))
        )

    @property
    def pid(self) -> int:
        """pinholder's process id in the guest."""
        return self._process.pid

    @property
    def refused(self) -> str | None:
        """The errno's name if the kernel refused the hold; None if it did not."""
        hold = self.find(HoldEvent)
        return None if hold is None or hold.result >= 0 else (hold.errno_name or "unnamed")

    @property
    def unanswered(self) -> UnansweredEvent | None:
        """Its word that the call to hold never returned: nothing is held then."""
        return self.find(UnansweredEvent)

    @property
    def released(self) -> ReleasedEvent | None:
        """Its word that it has let go."""
        return self.find(ReleasedEvent)

    @property
    def exit_status(self) -> int | None:
        """Its exit status once it has ended: 0 released, 1 it had been refused, 4 killed."""
        return self._completed.status if self._completed else None

    @property
    def exit_signal(self) -> str | None:
        """The signal that ended it, without ``SIG``."""
        return self._completed.signal if self._completed else None

    @property
    def stderr(self) -> str:
        """What it said on standard error, once it has ended."""
        return self._completed.stderr.decode(errors="replace") if self._completed else ""

    def find(self, kind: type[HolderEventT]) -> HolderEventT | None:
        """The last event of ``kind``."""
        found = [event for event in self.events if isinstance(event, kind)]
        return found[-1] if found else None

    def pages(self, when: str) -> PagesEvent | None:
        """Where its pages were ``before`` or ``after`` the hold, or ``now``."""
        found = [one for one in self.events if isinstance(one, PagesEvent) and one.when == when]
        return found[-1] if found else None

    def look(self, budget: float) -> PagesEvent:
        """Asks where its pages are now."""
        deadline = Deadline(budget, f"{PROGRAM}'s look at its pages")
        self._process.write(b"pages\n", budget=deadline.left)
        event = self._await("pages", deadline=deadline)
        if not isinstance(event, PagesEvent):
            raise HolderError(f"{PROGRAM} did not say where its pages are")
        return event

    def release(self, budget: float) -> None:
        """Tells it to let go, and waits until it has and ended."""
        deadline = Deadline(budget, f"{PROGRAM}'s release of its pages")
        self._process.write(b"release\n", budget=deadline.left)
        self._await("released", deadline=deadline)
        while self._next(deadline) is not None:
            pass
        self._completed = self._process.wait(deadline.left)

    def kill(self, budget: float) -> None:
        """Kills it: the kernel lets its pages go."""
        self._process.kill(budget)
        self._completed = self._process.wait(budget)

    def __enter__(self) -> Holder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.__exit__(kind, error, trace)

    def _await(self, *names: str, deadline: Deadline) -> HolderEvent:
        """The first event to come of these names; an ``error`` event or the end raises."""
        while True:
            event = self._next(deadline)
            if event is None:
                raise self._ended_early(names, deadline)
            if isinstance(event, UnsupportedEvent):
                raise UnsupportedError(f"this guest cannot do it: {event.message}")
            if isinstance(event, ErrorEvent):
                raise HolderError(f"{PROGRAM} failed: {event.message}")
            if event.event in names:
                return event

    def _next(self, deadline: Deadline) -> HolderEvent | None:
        try:
            line = self._process.read_line(deadline.left)
        except BudgetError as error:
            said = self.events[-1].event if self.events else "nothing"
            raise deadline.error(f"the last it said was {said!r}") from error
        if line is None:
            return None
        if len(self.events) >= _MOST_EVENTS:
            raise HolderError(
                f"{PROGRAM} wrote over {_MOST_EVENTS} lines, the last: {quoted(line)}"
            )
        event, raw = parse_event(line)
        self.events.append(event)
        self.raw_events.append(raw)
        return event

    def _ended_early(self, names: tuple[str, ...], deadline: Deadline) -> HolderError:
        self._completed = self._process.wait(deadline.left)
        words = self.stderr.strip()[-300:]
        return HolderError(
            f"{PROGRAM} ended with {self._completed.ending} before it was {' or '.join(names)}"
            + (f"; it said {words!r}" if words else "")
        )

# SPDX-License-Identifier: GPL-2.0-only
"""QMP, synchronously: qemu.qmp's event loop lives in one private thread inside this file."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

from qemu.qmp import (
    ConnectError,
    ExecInterruptedError,
    ExecuteError,
    Message,
    QMPClient,
    QMPError,
    StateError,
)

from pinhole.errors import BudgetError, MachineError, QmpError
from pinhole.machine.watch import Watch

T = TypeVar("T")
_CLOSE_SECONDS = 2.0
_LOGGED_CHARS = 64 << 10


@dataclass(frozen=True)
class QmpEvent:
    """An event of QEMU.

    ``qemu_time`` is when QEMU emitted it (seconds of the host's CLOCK_REALTIME, to 1 µs);
    ``host_monotonic`` is when this process read it (seconds of CLOCK_MONOTONIC). Both clocks
    are the host's, so the emission on the monotonic clock lies at most
    ``(CLOCK_REALTIME at reading - qemu_time)`` before ``host_monotonic``.
    """

    name: str
    data: Mapping[str, object]
    host_monotonic: float
    qemu_time: float

    @classmethod
    def from_message(cls, message: Mapping[str, object], host_monotonic: float) -> QmpEvent:
        """An event as it came over the wire (QEMU docs, qmp-spec, "Asynchronous events")."""
        data = message.get("data", {})
        stamp = message.get("timestamp", {})
        seconds = microseconds = 0
        if isinstance(stamp, dict):
            seconds, microseconds = stamp.get("seconds", 0), stamp.get("microseconds", 0)
        return cls(
            name=str(message["event"]),
            data=data if isinstance(data, dict) else {},
            host_monotonic=host_monotonic,
            qemu_time=seconds + microseconds / 1e6,
        )


class Qmp:
    """One QMP connection. ``log`` gets every command, reply and event as it happens."""

    def __init__(self, port: socket.socket, log: Path, watch: Watch, budget: float) -> None:
        """``watch`` hears every event and knows whether the machine is dead; ``budget`` is for
        commands that state none."""
        self._port = port
        self._watch = watch
        self._budget = budget
        self._events: list[QmpEvent] = []
        self._began = time.monotonic()
        self._path = log
        self._log: TextIO | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="pinhole-qmp", daemon=True)
        self._client: QMPClient | None = None

    def connect(self, budget: float) -> None:
        """Waits for QEMU's greeting and negotiates. Raises ``MachineError`` or ``BudgetError``."""
        self._log = self._path.open("w", encoding="utf-8", buffering=1)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._lost)
        self._thread.start()
        try:
            self._await(self._connect, budget, "QEMU's greeting")
        except ConnectError as error:
            self._watch.check_end()
            raise MachineError(f"QMP did not come up: {error}") from error

    def execute(
        self,
        command: str,
        arguments: Mapping[str, object] | None = None,
        budget: float | None = None,
    ) -> object:
        """What QEMU returns. Raises ``QmpError`` if QEMU refuses, ``BudgetError`` after ``budget``
        seconds (the machine's budget for a command if None), ``QemuDiedError`` if it is gone."""
        if self._client is None or self._loop is None:
            self._watch.check()
            raise MachineError(f"QMP {command}: there is no connection")
        self._note({"execute": command, **({"arguments": arguments} if arguments else {})})
        client = self._client
        try:
            answer = self._await(
                lambda: client.execute(command, arguments),
                budget or self._budget,
                f"QMP {command}",
            )
        except ExecuteError as error:
            self._note({"error": str(error), "of": command})
            raise QmpError(command, error.error_class, str(error)) from error
        except (ExecInterruptedError, StateError) as error:
            self._watch.check_end()
            raise MachineError(f"QMP {command}: the connection broke: {error}") from error
        except QMPError as error:
            raise MachineError(f"QMP {command}: {error}") from error
        self._note({"return": answer, "of": command})
        return answer

    @property
    def events(self) -> tuple[QmpEvent, ...]:
        """All events so far, in QEMU's order."""
        with self._watch.news:
            return tuple(self._events)

    def mark(self) -> int:
        """The count of events so far: ``since`` of a later ``wait_event``."""
        with self._watch.news:
            return len(self._events)

    def wait_event(
        self,
        names: str | Collection[str],
        budget: float,
        *,
        since: int = 0,
        where: Callable[[QmpEvent], bool] = lambda _: True,
    ) -> QmpEvent | None:
        """The first event from index ``since`` with one of ``names`` for which ``where`` holds;
        None after ``budget`` seconds. Raises what ``Machine.check`` raises if it dies first."""
        wanted = {names} if isinstance(names, str) else set(names)
        found: list[QmpEvent] = []
        looked_at = since

        def arrived() -> bool:
            nonlocal looked_at
            fresh, looked_at = self._events[looked_at:], len(self._events)
            found.extend(event for event in fresh if event.name in wanted and where(event))
            return bool(found)

        return found[0] if self._watch.wait(arrived, budget) else None

    def close(self) -> None:
        """Ends the connection and the thread; idempotent, and never raises for a dead QEMU."""
        loop, self._loop = self._loop, None
        if loop is not None:
            if self._thread.ident is not None:
                asyncio.run_coroutine_threadsafe(self._shut(), loop).result()
                loop.call_soon_threadsafe(loop.stop)
                self._thread.join()
            loop.close()
        if self._log is not None:
            self._log.close()
        self._port.close()

    def _run(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _connect(self) -> None:
        client = QMPClient("pinhole")
        # The filter sees each event in order, before any later reply is handed on; it keeps
        # none for qemu.qmp's own queue, which nobody would empty.
        client.events.event_filter = self._record
        self._client = client
        await client.connect(self._port)

    async def _shut(self) -> None:
        """Leaves no task behind, whatever state the connection is in."""
        if self._client is not None:
            try:
                await asyncio.wait_for(self._client.disconnect(), _CLOSE_SECONDS)
            except (QMPError, OSError, EOFError, TimeoutError) as error:
                # The reader's last exception: expected when QEMU went first. It is on record.
                self._note({"disconnected": f"{type(error).__name__}: {error}"})
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _record(self, message: Message) -> bool:
        event = QmpEvent.from_message(message, time.monotonic())
        self._note({"event": event.name, "data": event.data, "qemu_time": event.qemu_time})
        with self._watch.news:
            self._events.append(event)
            self._watch.hear(event.name, event.data)
        return False

    def _lost(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A task's exception that nobody awaited goes on record, not to standard error."""
        self._note({"lost": str(context.get("exception") or context.get("message"))})

    def _await(
        self, work: Callable[[], Coroutine[object, object, T]], budget: float, what: str
    ) -> T:
        loop = self._loop
        assert loop is not None
        # The coroutine is made in the loop's thread: one that is made here is never awaited, and
        # Python warns of it, where a signal's exception comes between making and handing it over.
        begun: queue.SimpleQueue[Future[T]] = queue.SimpleQueue()
        loop.call_soon_threadsafe(lambda: begun.put(asyncio.run_coroutine_threadsafe(work(), loop)))
        future = begun.get()
        try:
            return future.result(budget)
        except TimeoutError as error:
            raise BudgetError(f"{what} did not come within {budget:g} s") from error
        finally:
            # Also when a signal's exception ends the wait: nothing goes on in the thread.
            future.cancel()

    def _note(self, record: Mapping[str, object]) -> None:
        if self._log is not None and not self._log.closed:
            line = json.dumps({"t": round(time.monotonic() - self._began, 6), **record})
            self._log.write(line[:_LOGGED_CHARS] + "\n")

# SPDX-License-Identifier: GPL-2.0-only
"""Waits of paramiko's that nothing can interrupt, made to end with the machine and the budget.

paramiko waits for the answer to "exec" without a limit, and in a handshake for a guest that may
have panicked in between: QEMU keeps the TCP connection of a guest that is paused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from pinhole.guest.channel import Alive
from pinhole.guest.deadline import Deadline

T = TypeVar("T")
_TICK_SECONDS = 0.25
_ABORT_SECONDS = 5.0


def attended(
    work: Callable[[], T], *, alive: Alive | None, abort: Callable[[], None], deadline: Deadline
) -> T:
    """What ``work()`` returns or raises, called in a thread of its own.

    ``alive`` is called meanwhile. If it raises, or an interruption comes, or the deadline passes,
    ``abort()`` has to make ``work`` end.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except Exception as error:  # noqa: BLE001 (raised again by who waits)
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name="pinhole-ssh", daemon=True)
    thread.start()
    try:
        while not wait([outcome], min(_TICK_SECONDS, deadline.left)).done and deadline.left > 0:
            if alive is not None:
                alive()
    finally:
        if not outcome.done():
            abort()
        thread.join(_ABORT_SECONDS)
    return outcome.result(_ABORT_SECONDS)

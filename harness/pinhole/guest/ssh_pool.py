# SPDX-License-Identifier: GPL-2.0-only
"""SSH connections into one guest: one for each command that runs at the moment.

Not one connection with a channel for each: dropbear 2022.83 closes a channel on which nothing was
started yet whenever another of its children ends (sesscheckclose() takes a process id of 0 for
a reason to), and then runs the command on it all the same, or ends with "Failed assertion
(common-channel.c:705)". *Measured*: 10 of 30 commands lost where one was started as another
ended. A connection that is free is used again; a new one takes 0.05 s under TCG.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import paramiko

from pinhole.errors import ChannelError
from pinhole.guest.channel import Alive
from pinhole.guest.deadline import Deadline
from pinhole.guest.ssh_transport import Transport, connect_transport

# QEMU's end is seen by its own watcher a moment after the socket breaks.
_DEATH_SECONDS = 1.0


@dataclass(frozen=True)
class Reach:
    """Where the guest's SSH listens, and the two keys (``GuestKeys``)."""

    address: tuple[str, int]
    client_key: paramiko.PKey
    host_key: paramiko.PKey

    def connect(self, deadline: Deadline, alive: Alive | None) -> Transport:
        """A new connection; raises ``ChannelError``, and what ``alive`` raises meanwhile."""
        return connect_transport(
            self.address,
            client_key=self.client_key,
            host_key=self.host_key,
            deadline=deadline,
            alive=alive,
        )


class ConnectionPool:
    """The connections; ``alive`` raises the machine's own error if it is dead."""

    def __init__(self, reach: Reach, alive: Alive | None) -> None:
        self._reach = reach
        self._alive = alive
        self._lock = threading.Lock()
        self._free: list[Transport] = []
        self._busy: set[Transport] = set()
        self._closed = False

    def take(self, deadline: Deadline) -> Transport:
        """A connection on which nothing runs."""
        with self._lock:
            while self._free and not self._closed:
                transport = self._free.pop()
                if transport.is_active():
                    self._busy.add(transport)
                    return transport
                transport.stop()
            if self._closed:
                raise ChannelError("the connection to the guest was closed")
        if self._alive is not None:
            # QEMU takes connections for a guest that is dead, which then say nothing.
            self._alive()
        try:
            transport = self._reach.connect(deadline, self._alive)
        except ChannelError:
            _await_death(self._alive)
            raise
        with self._lock:
            self._busy.add(transport)
            late = self._closed
        if late:
            self.give_back(transport, reusable=False)
            raise ChannelError("the connection to the guest was closed")
        return transport

    def give_back(self, transport: Transport, *, reusable: bool) -> None:
        with self._lock:
            self._busy.discard(transport)
            reusable = reusable and not self._closed and transport.is_active()
            if reusable:
                self._free.append(transport)
        if not reusable:
            transport.stop()

    def check(self, transport: Transport) -> None:
        """Raises the machine's own error if it is dead, and waits for it if it may just be."""
        if not transport.is_active():
            _await_death(self._alive)
        elif self._alive is not None:
            self._alive()

    def close(self) -> None:
        """Ends all connections and their threads."""
        with self._lock:
            self._closed = True
            open_ones = [*self._free, *self._busy]
            self._free.clear()
        for transport in open_ones:
            transport.stop()


def _await_death(alive: Alive | None) -> None:
    """Gives a machine whose connection broke a moment to say that it is dead."""
    deadline = Deadline(_DEATH_SECONDS, "the machine's end")
    while alive is not None and deadline.left > 0:
        alive()
        time.sleep(0.05)

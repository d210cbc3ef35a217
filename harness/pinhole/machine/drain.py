# SPDX-License-Identifier: GPL-2.0-only
"""One thread that reads all of a QEMU's ports, so that the guest never blocks, and sees its end."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Callable

_READ_BYTES = 1 << 16


class Drain:
    """Feeds what each port brings to its reader, from one private thread.

    ``on_end`` is called in that thread when QEMU has ended, after the last byte of every port was
    fed; or with the reason if a reader failed. A port
    must not be left unread: a Unix socket takes only some hundred one-byte writes, which is how
    QEMU's serial port writes, before the guest has to wait (measured, Linux 6.18 host).
    """

    def __init__(self, on_end: Callable[[BaseException | None], None]) -> None:
        self._on_end = on_end
        self._feeds: dict[socket.socket, Callable[[bytes], None]] = {}
        self._reading = threading.Lock()
        self._selector: selectors.BaseSelector | None = None
        self._pidfd = self._stop = -1
        self._thread = threading.Thread(target=self._run, name="pinhole-drain", daemon=True)

    def add(self, port: socket.socket, feed: Callable[[bytes], None]) -> None:
        """Before ``start()``: ``feed`` gets all that ``port`` (a blocking socket) brings."""
        self._feeds[port] = feed

    def start(self, pidfd: int) -> None:
        """Begins to read; ``pidfd`` (pidfd_open(2)) stays the caller's."""
        self._selector = selectors.DefaultSelector()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._pidfd = os.dup(pidfd)
        for port in self._feeds:
            self._selector.register(port, selectors.EVENT_READ)
        for fd in (self._stop, self._pidfd):
            self._selector.register(fd, selectors.EVENT_READ)
        self._thread.start()

    def settle(self) -> None:
        """Feeds, in the calling thread, what has arrived and was not read yet."""
        with self._reading:
            for port in self._feeds:
                while self._read(port):
                    pass

    def close(self) -> None:
        """Ends the thread; the sockets stay the caller's. Idempotent."""
        if self._thread.ident is not None and self._stop >= 0:
            os.eventfd_write(self._stop, 1)
            self._thread.join()
        if self._selector is not None:
            self._selector.close()
        for fd in (self._stop, self._pidfd):
            if fd >= 0:
                os.close(fd)
        self._stop = self._pidfd = -1

    def _run(self) -> None:
        try:
            self._read_until_end()
        except Exception as error:  # noqa: BLE001 (handed on: it is raised by every wait)
            self._on_end(error)

    def _read_until_end(self) -> None:
        assert self._selector is not None
        while True:
            ready = {key.fileobj for key, _ in self._selector.select()}
            if self._pidfd in ready:
                self.settle()
                self._on_end(None)
                return
            if self._stop in ready:
                return
            for port in self._feeds.keys() & ready:
                with self._reading:
                    if self._read(port) is False:
                        self._selector.unregister(port)

    def _read(self, port: socket.socket) -> bool | None:
        """Feeds one piece: True; at the port's end False; None if there is nothing to read."""
        try:
            data = port.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except ConnectionResetError:  # QEMU ended with input unread
            data = b""
        if not data:
            return False
        self._feeds[port](data)
        return True

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
        self._selector = selectors.DefaultSelector()
        self._pidfd = -1
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector.register(self._stop, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="pinhole-drain", daemon=True)

    def add(self, port: socket.socket, feed: Callable[[bytes], None]) -> None:
        """Before ``start()``: ``feed`` gets all that ``port`` brings, in the private thread."""
        self._selector.register(port, selectors.EVENT_READ, feed)

    def start(self, pidfd: int) -> None:
        """Begins to read; ``pidfd`` (pidfd_open(2)) stays the caller's."""
        self._pidfd = os.dup(pidfd)
        self._selector.register(self._pidfd, selectors.EVENT_READ)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; the sockets stay the caller's. Idempotent."""
        if self._stop < 0:
            return
        os.eventfd_write(self._stop, 1)
        if self._thread.ident is not None:
            self._thread.join()
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
        while True:
            ready = [key for key, _ in self._selector.select()]
            if any(key.fd == self._pidfd for key in ready):
                for key in list(self._selector.get_map().values()):
                    while key.data is not None and self._read(key):
                        pass
                self._on_end(None)
                return
            if any(key.fd == self._stop for key in ready):
                return
            for key in ready:
                self._read(key)

    def _read(self, key: selectors.SelectorKey) -> bool:
        """Feeds one piece; False (and the port is dropped) at its end."""
        port, feed = key.fileobj, key.data
        assert isinstance(port, socket.socket)
        try:
            data = port.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except ConnectionResetError:  # QEMU ended with input unread
            data = b""
        if data:
            feed(data)
            return True
        self._selector.unregister(port)
        return False

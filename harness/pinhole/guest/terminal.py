# SPDX-License-Identifier: GPL-2.0-only
"""A person's terminal on a shell in the guest; a pipe works too (``echo uname -r | …``)."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paramiko

from pinhole.guest.deadline import Deadline
from pinhole.guest.guest import Guest
from pinhole.guest.ssh_transport import connect_transport

_CHUNK_BYTES = 1 << 15
_TICK_SECONDS = 0.5


def attach(guest: Guest) -> int:
    """Connects this process's terminal to a shell in the guest until it ends.

    Returns the shell's exit status. Raises the machine's own error if it dies meanwhile.
    """
    transport = connect_transport(
        guest.machine.ssh_address,
        client_key=guest.keys.client_key,
        host_key=guest.keys.host_key,
        deadline=Deadline(guest.budgets.connect, "connecting a terminal to the guest"),
    )
    try:
        channel = transport.open_session()
        if sys.stdin.isatty():
            size = shutil.get_terminal_size()
            channel.get_pty(os.environ.get("TERM", "vt100"), size.columns, size.lines)
            channel.invoke_shell()
            with _raw_terminal(), _following_size(channel):
                _copy(channel, guest.machine.check)
        else:
            channel.exec_command("exec /bin/sh")
            _copy(channel, guest.machine.check)
        return channel.recv_exit_status()
    finally:
        transport.stop()


def _copy(channel: paramiko.Channel, check: Callable[[], None]) -> None:
    """Both ways until the guest's side is at its end."""
    stdin = sys.stdin.fileno()
    watched: list[paramiko.Channel | int] = [channel, stdin]
    while True:
        ready, _, _ = select.select(watched, [], [], _TICK_SECONDS)
        if channel in ready:
            data = channel.recv(_CHUNK_BYTES)
            if not data and not channel.recv_stderr_ready():
                return
            _write(sys.stdout.fileno(), data)
        while channel.recv_stderr_ready():
            _write(sys.stderr.fileno(), channel.recv_stderr(_CHUNK_BYTES))
        if stdin in ready:
            typed = os.read(stdin, _CHUNK_BYTES)
            if typed:
                channel.sendall(typed)
            else:
                channel.shutdown_write()
                watched.remove(stdin)
        if not ready:
            check()


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Keys go to the guest as they are typed; the terminal is put back whatever happens."""
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    try:
        tty.setraw(stdin)
        yield
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


@contextmanager
def _following_size(channel: paramiko.Channel) -> Iterator[None]:
    def resized(number: int, frame: object) -> None:
        del number, frame
        size = shutil.get_terminal_size()
        channel.resize_pty(size.columns, size.lines)

    before = signal.signal(signal.SIGWINCH, resized)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)

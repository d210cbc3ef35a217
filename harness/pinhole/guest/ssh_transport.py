# SPDX-License-Identifier: GPL-2.0-only
"""One SSH connection to the guest's dropbear: checked host key, chosen algorithms, quiet."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_CLOSE, MSG_CHANNEL_EOF, MSG_CHANNEL_REQUEST
from paramiko.ssh_exception import SSHException

from pinhole.errors import ChannelError
from pinhole.guest.channel import Alive
from pinhole.guest.deadline import Deadline
from pinhole.guest.ssh_attend import attended

LOGGER = "pinhole.guest.ssh"
# Without a handler Python prints a library's warnings to standard error by itself.
logging.getLogger(LOGGER).addHandler(logging.NullHandler())

# Measured with dropbear 2022.83 under TCG: curve25519 shakes hands in 0.03 s, NIST P-256 in
# 0.06 s; the ciphers and MACs that both sides know differ by less than the noise.
_KEX = ("curve25519-sha256@libssh.org",)
_CIPHERS = ("aes128-ctr",)
_MACS = ("hmac-sha2-256",)
_HOST_KEYS = ("ssh-ed25519",)

# paramiko's own table of what to do with a message for a channel; private, so the contract's
# test of signals guards its use here.
_table: dict[int, Callable[..., Any]] = vars(paramiko.Transport)["_channel_handler_table"]


class Transport(paramiko.Transport):
    """paramiko's transport for one channel at a time, mended in two places.

    paramiko drops the request "exit-signal" (RFC 4254, 6.10), as of 5.1.0; without it a command
    that was killed looks like one whose status got lost. And it answers a CLOSE from its own
    thread, so that a message already on its way from another thread may follow that answer:
    dropbear 2022.83 then ends the whole connection ("Unknown channel"). Here only the channel's
    owner closes it.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.exit_signal: str | None = None
        self.closed_by_guest = threading.Event()
        self._channel_handler_table = _table | {
            MSG_CHANNEL_REQUEST: self._take_request,
            MSG_CHANNEL_CLOSE: self._take_close,
        }

    def begin(self, deadline: Deadline) -> paramiko.Channel:
        """A new session channel; the one before must have ended."""
        self.exit_signal = None
        self.closed_by_guest.clear()
        return self.open_session(timeout=max(0.1, deadline.left))

    def _take_request(self, channel: paramiko.Channel, message: paramiko.Message) -> None:
        peeked = paramiko.Message(message.get_remainder())
        if peeked.get_text() == "exit-signal":
            peeked.get_boolean()
            self.exit_signal = peeked.get_text()
            channel.status_event.set()
        _table[MSG_CHANNEL_REQUEST](channel, message)

    def _take_close(self, channel: paramiko.Channel, message: paramiko.Message) -> None:
        _table[MSG_CHANNEL_EOF](channel, message)
        self.closed_by_guest.set()
        channel.status_event.set()
        channel.event.set()

    def stop(self) -> None:
        """Closes the connection and waits for paramiko's thread, if that has begun."""
        self.close()
        if self.ident is None:  # interrupted before the handshake: nothing but the socket is there
            self.sock.close()
        else:
            self.join(5.0)


def connect_transport(
    address: tuple[str, int],
    *,
    client_key: paramiko.PKey,
    host_key: paramiko.PKey,
    deadline: Deadline,
    alive: Alive | None = None,
) -> Transport:
    """A connection to ``address`` that is authenticated both ways.

    ``client_key`` is what root logs in with, ``host_key`` the one public key that the guest may
    show (``GuestKeys``). Raises ``ChannelError``, and what ``alive`` raises meanwhile.
    """
    where = f"SSH to the guest at {address[0]}:{address[1]}"
    try:
        sock = socket.create_connection(address, timeout=deadline.left or 0.001)
    except OSError as error:
        raise ChannelError(f"{where}: cannot connect: {error}") from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = Transport(sock)
    transport.set_log_channel(LOGGER)
    options = transport.get_security_options()
    options.kex, options.ciphers, options.digests = _KEX, _CIPHERS, _MACS
    options.key_types = _HOST_KEYS
    try:
        attended(
            lambda: _authenticate(transport, client_key, host_key, deadline),
            alive=alive,
            abort=transport.close,
            deadline=deadline,
        )
    except BaseException as error:
        transport.stop()
        if isinstance(error, SSHException | OSError | EOFError):
            raise ChannelError(f"{where}: {str(error) or type(error).__name__}") from error
        raise
    return transport


def _authenticate(
    transport: Transport, client_key: paramiko.PKey, host_key: paramiko.PKey, deadline: Deadline
) -> None:
    """The handshake, then the check of the host's key, and only then the client's."""
    transport.banner_timeout = transport.handshake_timeout = max(0.1, deadline.left)
    transport.start_client(timeout=max(0.1, deadline.left))
    shown = transport.get_remote_server_key()
    if shown.asbytes() != host_key.asbytes():
        raise ChannelError(
            "the guest's SSH shows another host key than the boot image holds: something else "
            f"listens on this port (fingerprint {shown.fingerprint})"
        )
    transport.auth_timeout = max(0.1, deadline.left)
    transport.auth_publickey("root", client_key)

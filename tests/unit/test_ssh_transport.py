# SPDX-License-Identifier: GPL-2.0-only
"""The SSH transport where no guest is needed to see what it does."""

from __future__ import annotations

import socket

from pinhole.guest.ssh_transport import Transport


def test_a_connection_that_is_given_up_before_the_handshake_is_closed() -> None:
    """An interruption between the socket and paramiko's thread ended in another error."""
    ours, theirs = socket.socketpair()
    with theirs:
        Transport(ours).stop()
        assert theirs.recv(1) == b""

# SPDX-License-Identifier: GPL-2.0-only
"""Keys for one machine: who may log in, and which host key the guest must show.

They come as a second cpio behind the initramfs, so the image itself stays the same for all.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pinhole.boot.cpio import Archive
from pinhole.kernel.cache import full_disk_named

_TYPE = b"ssh-ed25519"


@dataclass(frozen=True)
class GuestKeys:
    """Two Ed25519 keys, each as its 32 private bytes: the client's and the guest's."""

    client: bytes = field(repr=False)
    host: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> GuestKeys:
        """New keys, from the system's randomness."""
        return cls(client=_new(), host=_new())

    @property
    def client_private(self) -> str:
        """What a client logs in with, as OpenSSH writes a private key (``ssh -i``)."""
        key = Ed25519PrivateKey.from_private_bytes(self.client)
        return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()

    @property
    def client_key(self) -> paramiko.Ed25519Key:
        """What paramiko logs in with."""
        return paramiko.Ed25519Key.from_private_key(io.StringIO(self.client_private))

    @property
    def host_key(self) -> paramiko.Ed25519Key:
        """The public key that the guest must show; anything else is not our guest."""
        return paramiko.Ed25519Key(data=_public_blob(self.host))

    def cpio(self) -> bytes:
        """The archive with dropbear's host key and root's authorized_keys, for root's eyes only."""
        archive = Archive()
        archive.folder("root", 0o700)
        archive.folder("root/.ssh", 0o700)
        archive.file("etc/pinhole/ssh_host_key", _dropbear_key(self.host), 0o600)
        line = (
            f"{_TYPE.decode()} {paramiko.Ed25519Key(data=_public_blob(self.client)).get_base64()}"
        )
        archive.file("root/.ssh/authorized_keys", f"{line} pinhole\n".encode(), 0o600)
        return archive.to_bytes()


@contextmanager
def joined_initrd(initramfs: Path, keys: GuestKeys) -> Iterator[Path]:
    """What QEMU's ``-initrd`` takes: ``initramfs`` and the keys behind it, for the block's time.

    The kernel unpacks one archive after the other; each begins on a multiple of four bytes
    (Documentation/driver-api/early-userspace/buffer-format.rst). The path leads to memory that
    has no name of its own and that only this user's processes reach: not even SIGKILL leaves
    the keys behind.
    """
    with os.fdopen(os.memfd_create("pinhole-initrd"), "wb") as joined:
        with full_disk_named("the machine's initrd", initramfs), initramfs.open("rb") as image:
            shutil.copyfileobj(image, joined, 1 << 20)
            joined.write(bytes(-joined.tell() % 4))
            joined.write(keys.cpio())
            joined.flush()
        yield Path(f"/proc/{os.getpid()}/fd/{joined.fileno()}")


def _new() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes_raw()


def _public(private: bytes) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _public_blob(private: bytes) -> bytes:
    """The public key as SSH sends it (RFC 8709)."""
    return _string(_TYPE) + _string(_public(private))


def _dropbear_key(private: bytes) -> bytes:
    """The key in dropbear's own format: its type, then private and public bytes as one string.

    dropbear 2022.83, ``buf_put_ed25519_priv_key()`` in ``ed25519.c``; dropbear reads no OpenSSH
    private keys.
    """
    return _string(_TYPE) + _string(private + _public(private))


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data

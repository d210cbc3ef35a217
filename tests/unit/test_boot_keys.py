# SPDX-License-Identifier: GPL-2.0-only
"""The machine's keys: formats that dropbear and OpenSSH themselves read, private modes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pinhole.boot.cpio import Archive
from pinhole.boot.keys import GuestKeys, joined_initrd


def part(archive: bytes, name: str) -> tuple[int, bytes]:
    """Mode and content of one file of a newc archive."""
    at = archive.index(name.encode() + b"\0")
    field = [int(archive[at - 104 + 8 * n : at - 96 + 8 * n], 16) for n in range(13)]
    data_at = -(-(at + field[11]) // 4) * 4
    return field[1], archive[data_at : data_at + field[6]]


@pytest.mark.skipif(shutil.which("dropbearkey") is None, reason="dropbear-bin is not installed")
def test_dropbear_reads_its_host_key(tmp_path: Path) -> None:
    keys = GuestKeys.generate()
    _, content = part(keys.cpio(), "etc/pinhole/ssh_host_key")
    path = tmp_path / "key"
    path.write_bytes(content)
    said = subprocess.run(
        ["dropbearkey", "-y", "-f", str(path)], capture_output=True, check=True, text=True
    ).stdout
    assert keys.host_key.get_base64() in said


def test_client_key_is_the_one_that_is_authorized() -> None:
    keys = GuestKeys.generate()
    mode, content = part(keys.cpio(), "root/.ssh/authorized_keys")
    assert mode == 0o100600
    assert content.decode().split() == ["ssh-ed25519", keys.client_key.get_base64(), "pinhole"]
    assert keys.client_key.can_sign()
    assert not keys.host_key.can_sign()


def test_private_parts_are_for_root_only() -> None:
    archive = GuestKeys.generate().cpio()
    assert part(archive, "etc/pinhole/ssh_host_key")[0] == 0o100600
    assert part(archive, "root/.ssh")[0] == 0o040700


def test_keys_differ_and_are_not_printed() -> None:
    one, other = GuestKeys.generate(), GuestKeys.generate()
    assert len({one.client, one.host, other.client, other.host}) == 4
    assert repr(one) == "GuestKeys()"


def test_initrd_is_aligned_and_gone_with_its_block(tmp_path: Path) -> None:
    first = Archive()
    first.file("x", b"abc")
    image = tmp_path / "image"
    image.write_bytes(first.to_bytes() + b"\0")
    keys = GuestKeys.generate()
    with joined_initrd(image, keys) as initrd:
        # Another process of this user reads it, as QEMU does.
        whole = subprocess.run(["cat", initrd], capture_output=True, check=True).stdout
        assert initrd.readlink().name == "memfd:pinhole-initrd (deleted)"
    assert whole.startswith(image.read_bytes())
    assert whole.endswith(keys.cpio())
    assert (len(whole) - len(keys.cpio())) % 4 == 0
    assert not initrd.exists()
    assert list(tmp_path.iterdir()) == [image]

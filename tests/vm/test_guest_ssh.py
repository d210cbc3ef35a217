# SPDX-License-Identifier: GPL-2.0-only
"""The SSH channel: the contract, and what is SSH's alone (keys, threads, the machine's death)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.vm.channel_contract import BUDGET, ChannelContract

from pinhole.boot.keys import GuestKeys
from pinhole.errors import BudgetError, ChannelError, QemuDiedError
from pinhole.guest.guest import Guest
from pinhole.guest.ssh import SshChannel


def connect(guest: Guest, **changes: Any) -> SshChannel:
    """A new connection into ``guest``."""
    reach: dict[str, Any] = {
        "client_key": guest.keys.client_key,
        "host_key": guest.keys.host_key,
        "budget": BUDGET,
    }
    address = changes.pop("address", guest.machine.ssh_address)
    return SshChannel.connect(address, **(reach | changes))


@pytest.fixture
def channel(shared_guest: Guest) -> Iterator[SshChannel]:
    with connect(shared_guest) as channel:
        yield channel


class TestSshChannel(ChannelContract):
    """The contract over SSH."""


def test_another_host_key_is_refused(shared_guest: Guest) -> None:
    with pytest.raises(ChannelError, match="another host key"):
        connect(shared_guest, host_key=GuestKeys.generate().host_key)


def test_unknown_client_key_is_refused(shared_guest: Guest) -> None:
    with pytest.raises(ChannelError, match="Authentication failed"):
        connect(shared_guest, client_key=GuestKeys.generate().client_key)


def test_nobody_listening_is_a_channel_error(shared_guest: Guest) -> None:
    with pytest.raises(ChannelError, match="cannot connect"):
        connect(shared_guest, address=("127.0.0.1", 1))


def test_no_thread_and_no_file_is_left(shared_guest: Guest) -> None:
    before, files = set(threading.enumerate()), len(list(Path("/proc/self/fd").iterdir()))
    with connect(shared_guest) as channel, channel.spawn(["cat"], budget=BUDGET):
        channel.run(["true"], budget=BUDGET)
    assert set(threading.enumerate()) <= before
    assert len(list(Path("/proc/self/fd").iterdir())) == files


def test_dead_machine_wins_over_a_lost_connection(shared_guest: Guest) -> None:
    dies_at: list[float] = []

    def alive() -> None:
        if dies_at and time.monotonic() > dies_at[0]:
            raise QemuDiedError("QEMU was killed by the test")

    with connect(shared_guest, alive=alive) as channel:
        channel.run(["true"], budget=BUDGET)
        dies_at.append(time.monotonic() + 0.5)
        with pytest.raises(QemuDiedError):
            channel.run(["sh", "-c", "kill -KILL $PPID; sleep 1"], budget=BUDGET)


def test_dead_machine_is_told_before_the_budget_runs_out(shared_guest: Guest) -> None:
    calls: list[float] = []

    def alive() -> None:
        calls.append(time.monotonic())
        if len(calls) > 3:
            raise QemuDiedError("QEMU was killed by the test")

    with connect(shared_guest, alive=alive) as channel:
        began = time.monotonic()
        with pytest.raises(QemuDiedError):
            channel.run(["sleep", "3"], budget=BUDGET)
        assert time.monotonic() - began < 2.5


def test_commands_start_while_others_end(channel: SshChannel) -> None:
    """dropbear breaks a connection on which a command is started as another one ends."""
    failures: list[BaseException] = []

    def hammer() -> None:
        try:
            for _ in range(25):
                with channel.spawn(["sh", "-c", "sleep 0.05; echo late"], budget=BUDGET) as late:
                    assert late.read_line(BUDGET) == "late"
                assert channel.run(["true"], stdin=b"x", budget=BUDGET).status == 0
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_broken_connection_spoils_only_its_own_command(channel: SshChannel) -> None:
    with channel.spawn(["cat"], budget=BUDGET) as other:
        with pytest.raises(ChannelError, match="broke"):
            channel.run(["sh", "-c", "kill -KILL $PPID; sleep 1"], budget=BUDGET)
        other.write(b"still here\n", budget=BUDGET)
        assert other.read_line(BUDGET) == "still here"
    assert channel.run(["true"], budget=BUDGET).ok


def test_a_free_connection_is_used_again(channel: SshChannel) -> None:
    server = ["sh", "-c", "echo $PPID"]
    first = channel.run(server, budget=BUDGET).text
    assert [channel.run(server, budget=BUDGET).text for _ in range(3)] == [first] * 3
    with channel.spawn(["cat"], budget=BUDGET):
        assert channel.run(server, budget=BUDGET).text != first


def test_budget_error_names_command_and_seconds(channel: SshChannel) -> None:
    with pytest.raises(BudgetError, match=r"sleep 5 in the guest .* 0\.5 s"):
        channel.run(["sleep", "5"], budget=0.5)


def test_connection_and_commands_are_fast(shared_guest: Guest) -> None:
    began = time.monotonic()
    with connect(shared_guest) as channel:
        connected = time.monotonic() - began
        channel.run(["true"], budget=BUDGET)
        began = time.monotonic()
        for _ in range(10):
            channel.run(["true"], budget=BUDGET)
        once = (time.monotonic() - began) / 10
    print(f"connect {connected:.3f} s, one command {once:.3f} s")
    assert connected < 3.0
    assert once < 0.5

# SPDX-License-Identifier: GPL-2.0-only
"""Parsers and readers of the machine, on text captured from QEMU 7.2 and on hostile input."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhole.errors import BudgetError, GuestPanickedError, HostError, MachineError, QemuDiedError
from pinhole.machine.console import Console
from pinhole.machine.drain import Drain
from pinhole.machine.host import available_bytes
from pinhole.machine.memory_devices import MemoryDevice, parse_memory_devices
from pinhole.machine.network import parse_usernet
from pinhole.machine.qmp import QmpEvent
from pinhole.machine.status import StatusPort
from pinhole.machine.text import file_tail, printable
from pinhole.machine.unplug import UnplugOutcome, concerns, last_ost, outcome_of
from pinhole.machine.watch import Watch
from pinhole.size import GIB, MIB

USERNET = (
    "Hub -1 (net0):\r\n"
    "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
    "  TCP[ESTABLISHED]   15       127.0.0.1 40222       10.0.2.15    22     0     0\r\n"
    "  TCP[HOST_FORWARD]  12       127.0.0.1 44169       10.0.2.15    22     0     0\r\n"
)


def test_forwarded_port_is_read_from_info_usernet() -> None:
    assert parse_usernet(USERNET) == ("127.0.0.1", 44169)
    with pytest.raises(MachineError, match="forwards no port to the guest's port 80"):
        parse_usernet(USERNET, 80)


def event(name: str, **data: object) -> QmpEvent:
    message = {
        "event": name,
        "data": data,
        "timestamp": {"seconds": 1795397323, "microseconds": 312362},
    }
    return QmpEvent.from_message(message, host_monotonic=7.5)


def ost(status: int, source: int = 3) -> QmpEvent:
    info = {"device": "dimm0", "slot": "0", "slot-type": "DIMM"}
    return event("ACPI_DEVICE_OST", info={**info, "source": source, "status": status})


def test_event_keeps_both_clocks() -> None:
    stop = event("STOP")
    assert (stop.name, dict(stop.data)) == ("STOP", {})
    assert (stop.qemu_time, stop.host_monotonic) == (1795397323.312362, 7.5)


@pytest.mark.parametrize(
    ("one", "outcome"),
    [
        (event("DEVICE_DELETED", device="dimm0", path="/machine/peripheral/dimm0"), "removed"),
        (event("MEM_UNPLUG_ERROR", device="dimm0", msg="busy"), "refused"),
        (event("DEVICE_UNPLUG_GUEST_ERROR", device="dimm0", path="/x"), "refused"),
        (ost(130), "refused"),
        (ost(130, source=0x103), "refused"),
        (ost(132), None),
        (ost(0), None),
        (ost(130, source=1), None),  # about plugging
        (event("ACPI_DEVICE_OST", info={"device": "dimm0"}), None),
    ],
)
def test_event_decides_an_unplug(one: QmpEvent, outcome: str | None) -> None:
    assert concerns(one, "dimm0")
    assert not concerns(one, "dimm1")
    assert outcome_of(one) == (UnplugOutcome(outcome) if outcome else None)


def test_deletion_of_a_child_object_is_not_the_device_s() -> None:
    assert not concerns(event("DEVICE_DELETED", path="/machine/peripheral/dimm0/x"), "dimm0")


def test_last_ost_is_of_the_eject() -> None:
    assert last_ost([ost(132), ost(130), ost(0, source=1)]) == 130
    assert last_ost([event("STOP")]) is None


def test_memory_devices_are_typed() -> None:
    dimm = {"addr": 4 * GIB, "hotpluggable": True, "id": "dimm0", "memdev": "/objects/dimm0-mem"}
    dimm |= {"node": 1, "slot": 0, "hotplugged": True, "size": 512 * MIB}
    virtio = {"block-size": 2 * MIB, "id": "vm0", "max-size": GIB, "memaddr": 5 * GIB, "node": 1}
    virtio |= {"memdev": "/objects/vm0-mem", "requested-size": 256 * MIB, "size": 128 * MIB}
    found = parse_memory_devices(
        [{"type": "dimm", "data": dimm}, {"type": "virtio-mem", "data": virtio}]
    )
    assert found == (
        MemoryDevice("dimm0", "dimm", 1, 4 * GIB, 512 * MIB, 512 * MIB, 512 * MIB),
        MemoryDevice("vm0", "virtio-mem", 1, 5 * GIB, 128 * MIB, 256 * MIB, GIB),
    )
    with pytest.raises(MachineError, match="unlike any known"):
        parse_memory_devices([{"type": "dimm", "data": {}}])


def status_port() -> StatusPort:
    return StatusPort(threading.Condition(), io.BytesIO())


@given(st.integers(1, 40))
def test_status_lines_may_come_in_any_pieces(size: int) -> None:
    port = status_port()
    text = b"noise\r\npinhole stage modules\r\n"
    text += b'pinhole ready {"release": "6.12"}\r\npinhole failed x: y\n'
    for start in range(0, len(text), size):
        port.feed(text[start : start + size])
    assert [stage.name for stage in port.stages] == ["modules"]
    assert port.ready == {"release": "6.12"}
    assert port.failed is None  # what comes after the guest's word does not count


def test_endless_status_line_is_dropped_and_the_next_one_counts() -> None:
    port = status_port()
    for _ in range(64):
        port.feed(b"pinhole stage " + b"x" * MIB)
    port.feed(b"\npinhole failed disk: \x1b[2Jfull\n")
    assert port.stages == []
    assert port.failed == "disk: \\x1b[2Jfull"


@pytest.mark.parametrize("text", [b"{", b"[1]", b"", b"\xff\xfe"])
def test_word_that_is_no_json_object_is_a_failure(text: bytes) -> None:
    port = status_port()
    port.feed(b"pinhole ready " + text + b"\n")
    assert port.ready is None
    assert port.failed is not None


@given(st.text())
def test_printable_text_moves_no_cursor(text: str) -> None:
    assert all(one.isprintable() or one in "\n\t" for one in printable(text))


def test_tail_of_a_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a" * 100 + b"\xff\n")
    assert file_tail(path, 3) == "a\ufffd\n"
    assert file_tail(tmp_path / "missing", 3) == ""


def test_meminfo_names_what_is_available(tmp_path: Path) -> None:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       24684136 kB\nMemFree: 1 kB\nMemAvailable:   24374784 kB\n")
    assert available_bytes(path) == 24374784 * 1024
    path.write_text("MemTotal:       24684136 kB\n")
    with pytest.raises(HostError, match="no MemAvailable"):
        available_bytes(path)


class Ends:
    """A console on a socket pair, drained as a machine's is; a sleeping process stands for QEMU."""

    def __init__(self, folder: Path) -> None:
        self.ended: list[BaseException | None] = []
        self.guest, port = socket.socketpair()
        self._port = port
        self._log = (folder / "console.log").open("wb", buffering=0)
        self.console = Console(port, self._log, self._check)
        self._qemu = subprocess.Popen(["sleep", "60"])
        self._pidfd = os.pidfd_open(self._qemu.pid)
        self._drain = Drain(self._end)
        self._drain.add(port, self.console.feed)
        self._drain.start(self._pidfd)

    def kill(self) -> None:
        self._qemu.kill()

    def close(self) -> None:
        self._qemu.kill()
        self._qemu.wait()
        self._drain.close()
        os.close(self._pidfd)
        for one in (self.guest, self._port, self._log):
            one.close()

    def _end(self, failure: BaseException | None) -> None:
        self.ended.append(failure)
        self.console.end()

    def _check(self) -> None:
        if self.ended:
            raise QemuDiedError("it was killed")


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    ends = Ends(tmp_path)
    yield ends
    ends.close()


def test_24_mib_of_invalid_utf8_neither_block_nor_grow(ends: Ends, tmp_path: Path) -> None:
    piece = b"\xff\xfe\xc0\x80[31m" * (MIB // 8)
    for _ in range(24):
        ends.guest.sendall(piece)
    ends.guest.sendall(b"\nthe end\n")
    assert ends.console.expect("the (end)", 20)[1] == "end"
    assert (tmp_path / "console.log").stat().st_size == 24 * len(piece) + 9
    assert ends.console.total_bytes == 24 * len(piece) + 9
    assert ends.console.last_line() == "the end"
    assert len(ends.console.tail(MIB)) < MIB


def test_console_finds_what_came_in_halves(ends: Ends) -> None:
    ends.guest.sendall("naïve".encode()[:3])
    with pytest.raises(BudgetError, match=r"did not show 'naïve' within 0\.1 s"):
        ends.console.expect("naïve", 0.1)
    ends.guest.sendall("naïve".encode()[3:])
    assert ends.console.expect("naïve", 5)
    ends.console.send_line("uname")
    assert ends.guest.recv(100) == b"uname\n"


def test_end_of_qemu_ends_the_wait_after_its_last_words(ends: Ends) -> None:
    ends.guest.sendall(b"last words")
    ends.kill()
    assert ends.console.expect("words", 5)
    with pytest.raises(QemuDiedError, match="it was killed"):
        ends.console.expect("more", 60)


def test_last_words_are_fed_before_the_end_is_told() -> None:
    guest, port = socket.socketpair()
    qemu = subprocess.Popen(["true"])
    pidfd = os.pidfd_open(qemu.pid)
    told: list[bytes | None] = []
    ended = threading.Event()

    def end(_: BaseException | None) -> None:
        told.append(None)
        ended.set()

    with guest, port:
        guest.sendall(b"last words")
        qemu.wait()
        drain = Drain(end)
        drain.add(port, told.append)
        drain.start(pidfd)  # the words and the end are there at once
        assert ended.wait(5)
        drain.close()
        os.close(pidfd)
    assert told == [b"last words", None]


def test_panic_is_named_from_what_had_not_been_read_yet() -> None:
    watch = watch_with([("GUEST_PANICKED", {})])
    guest, port = socket.socketpair()
    with guest, port:
        watch.console = Console(port, io.BytesIO(), watch.check)
        line = b"[ 1.2] Kernel panic - not syncing: Oops\x07 - BAD APICID\r\n[ 1.3] CPU: 0\r\n"
        watch.settle = lambda: watch.console.feed(line) if watch.console else None
        with pytest.raises(
            GuestPanickedError, match=r": Kernel panic - not syncing: Oops\\x07 - B"
        ):
            watch.check()


def watch_with(events: list[tuple[str, dict[str, object]]], status: str = "running") -> Watch:
    watch = Watch(Path("/w/console.log"))
    watch.query_status = lambda: status
    for name, data in events:
        watch.hear(name, data)
    return watch


@pytest.mark.parametrize(
    "events",
    [
        [("GUEST_PANICKED", {"action": "pause"})],
        [("SHUTDOWN", {"guest": True, "reason": "guest-reset"})],
        [("SHUTDOWN", {"guest": True, "reason": "guest-panic"}), ("STOP", {})],
    ],
)
def test_panic_is_what_qemu_says(events: list[tuple[str, dict[str, object]]]) -> None:
    with pytest.raises(GuestPanickedError, match="without naming a panic on the console"):
        watch_with(events).wait(lambda: False, 60)


def test_stop_that_somebody_asked_for_is_no_death() -> None:
    watch = watch_with([("STOP", {}), ("SHUTDOWN", {"guest": False})], status="paused")
    assert watch.wait(lambda: False, 0.01) is False
    watch.check()


def test_guest_that_qemu_cannot_go_on_with_is_named() -> None:
    # As with KVM where it cannot emulate an instruction: STOP is all that QEMU says by itself.
    watch = watch_with([("STOP", {})], status="internal-error")
    with pytest.raises(MachineError, match="QEMU stopped the guest: internal-error"):
        watch.wait(lambda: False, 60)


def test_full_disk_under_the_logs_is_the_host_s_fault() -> None:
    watch = Watch(Path("/w/console.log"))
    watch.end(OSError(28, "No space left on device"))
    with pytest.raises(HostError, match="No space left on device; free some space"):
        watch.check()

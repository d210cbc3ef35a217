# SPDX-License-Identifier: GPL-2.0-only
"""A running machine: QEMU started paused, console and QMP attached, then let go."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import BinaryIO, Self

from pinhole.errors import (
    GuestSilentError,
    HostError,
    MachineError,
    PinholeError,
    QemuStartError,
    UsageError,
)
from pinhole.kernel import bzimage
from pinhole.machine.console import Console
from pinhole.machine.drain import Drain
from pinhole.machine.host import available_bytes
from pinhole.machine.hotplug import Hotplug
from pinhole.machine.network import parse_usernet
from pinhole.machine.process import QemuProcess, find_qemu
from pinhole.machine.qmp import Qmp
from pinhole.machine.spec import (
    CONSOLE_LOG,
    QEMU_LOG,
    QMP_LOG,
    STATUS_LOG,
    MachineSpec,
    Ports,
    command_line,
    socket_port,
)
from pinhole.machine.status import Stage, StatusPort
from pinhole.machine.watch import Watch

_QUIT_SECONDS = 2.0
_TYPE_SECONDS = 10


@dataclass(frozen=True)
class GuestReady:
    """The guest's word that it is ready: ``facts`` as its init gave them, ``seconds`` since QEMU
    was spawned, and the stages before it."""

    facts: Mapping[str, object]
    seconds: float
    stages: tuple[Stage, ...]


class Machine:
    """One virtual machine, from ``start()`` to ``stop()``; a context manager does both.

    ``qmp``, ``console`` and ``hotplug`` are there between the two. All of it is for the thread
    that started it, which must be the main thread.
    """

    qmp: Qmp
    console: Console
    hotplug: Hotplug

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self._stack = ExitStack()
        self._watch = Watch(spec.workdir / CONSOLE_LOG)
        self._serial: dict[str, socket.socket] = {}
        self._spawned_at = 0.0
        self.seconds_to_cont = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts QEMU and lets the guest run.

        Raises ``KernelError`` for an image that is no kernel, ``HostError`` for a host without
        QEMU or memory, ``QemuStartError`` with QEMU's own words if it refuses. Whatever it
        raises, it leaves nothing behind.
        """
        if self._watch.process is not None:
            raise UsageError("a Machine starts once; make another from the same spec")
        spec = self.spec
        # QEMU says "linux kernel too old to load a ram disk" of any file that is no kernel, and
        # starts one that was cut short, which then says nothing (measured, 7.2).
        bzimage.read(spec.kernel_image)
        qemu = find_qemu(spec.qemu)
        spec.topology.require_host_memory(available_bytes())
        try:
            self._start()
        except QemuStartError:
            self.stop()
            raise
        except BaseException as error:
            refused = self._refusal(error)
            self.stop()
            if refused is not None:
                raise QemuStartError(f"{qemu} did not start: {refused}") from error
            raise

    def _start(self) -> None:
        """Each thing is on the stack before the next is made: see ``stop`` for their order."""
        spec, watch, stack = self.spec, self._watch, self._stack
        names = ("console", "status", "qmp", *spec.topology.virtio_serial)
        with ExitStack() as theirs:
            ours: dict[str, socket.socket] = {}
            fds: dict[str, int] = {}
            for name in names:
                one, other = socket.socketpair()
                ours[name] = stack.enter_context(one)
                fds[name] = theirs.enter_context(other).fileno()
            self.qmp = Qmp(ours["qmp"], spec.workdir / QMP_LOG, watch, spec.budgets.command)
            stack.callback(self.qmp.close)
            # Only sending: the thread that drains reads without waiting.
            ours["console"].setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _TYPE_SECONDS, 0)
            )
            console_log, status_log = self._log(CONSOLE_LOG), self._log(STATUS_LOG)
            self.console = watch.console = Console(ours["console"], console_log, watch.check)
            self._status = StatusPort(watch.news, status_log)
            self._serial = {name: ours[name] for name in spec.topology.virtio_serial}
            drain = Drain(watch.end)
            stack.callback(drain.close)
            drain.add(ours["console"], self.console.feed)
            drain.add(ours["status"], self._status.feed)
            process = watch.process = QemuProcess(spec.workdir / QEMU_LOG)
            stack.callback(process.close)
            stack.callback(self._quit)
            self._spawned_at = time.monotonic()
            process.spawn(command_line(spec, self._ports(fds)), fds.values())
        drain.start(process.pidfd)
        watch.settle = drain.settle
        self.qmp.connect(spec.budgets.command)
        watch.query_status = self._query_status
        watch.go_on = lambda: self.qmp.execute("cont")
        self.hotplug = Hotplug(self.qmp, spec.topology)
        self.qmp.execute("cont")
        self.seconds_to_cont = time.monotonic() - self._spawned_at

    def wait_ready(self) -> GuestReady:
        """Waits until the guest says on its status port that it is ready.

        Raises ``GuestSilentError`` when the budget (from QEMU's start) runs out, ``MachineError``
        with the guest's own reason if its init failed, and what ``check`` raises.
        """
        status, budget = self._status, self.spec.budgets.ready
        left = self._spawned_at + budget - time.monotonic()
        if not self._watch.wait(lambda: status.decided, max(0.0, left)):
            last = repr(status.stages[-1].name) if status.stages else "none"
            raise GuestSilentError(
                f"the guest did not say that it is ready within {budget:g} s; the last stage it "
                f"named: {last}; its last console line: {self.console.last_line()}. See "
                f"{self.spec.workdir / CONSOLE_LOG}, or give it more time with --patience"
            )
        if status.ready is None:
            raise MachineError(f"the guest's init failed: {status.failed}")
        return GuestReady(
            facts=status.ready,
            seconds=status.ready_at - self._spawned_at,
            stages=tuple(status.stages),
        )

    def check(self) -> None:
        """Raises the reason if the machine is dead: ``GuestPanickedError``, ``QemuDiedError``, or
        ``MachineError`` where the guest shut down or QEMU cannot go on with it."""
        self._watch.check()

    def stop(self) -> None:
        """Ends QEMU, by ``quit`` and then by SIGKILL, reaps it and lets go of everything;
        idempotent, at any phase. The logs stay."""
        self._stack.close()

    @property
    def pid(self) -> int:
        """QEMU's process id. Raises ``UsageError`` before the start."""
        process = self._watch.process
        if process is None or process.pid is None:
            raise UsageError("the machine has no process: start it first")
        return process.pid

    @cached_property
    def ssh_address(self) -> tuple[str, int]:
        """Loopback address and port that QEMU forwards to the guest's port 22.

        It takes connections before the guest listens: connect only after ``wait_ready``.
        """
        if not self.spec.topology.network:
            raise UsageError("the machine has no network: set network in its topology")
        said = self.qmp.execute("human-monitor-command", {"command-line": "info usernet"})
        return parse_usernet(str(said))

    def serial_port(self, name: str) -> socket.socket:
        """Our end of the virtio-serial port ``name``: the caller reads, the machine closes it."""
        if name not in self._serial:
            raise UsageError(
                f"the machine has no virtio-serial port {name!r}: add it to virtio_serial of its "
                f"topology (it has {', '.join(self._serial) or 'none'})"
            )
        return self._serial[name]

    def _log(self, name: str) -> BinaryIO:
        return self._stack.enter_context((self.spec.workdir / name).open("wb", buffering=0))

    def _ports(self, fds: Mapping[str, int]) -> Ports:
        return Ports(
            console=socket_port(fds["console"]),
            status=socket_port(fds["status"]),
            qmp=socket_port(fds["qmp"]),
            serial={name: socket_port(fds[name]) for name in self.spec.topology.virtio_serial},
        )

    def _refusal(self, error: BaseException) -> str | None:
        """QEMU's own words, if ``error`` came of QEMU's ending by itself before the guest ran."""
        process = self._watch.process
        if not isinstance(error, PinholeError) or isinstance(error, HostError) or process is None:
            return None
        return process.epitaph() if process.ended_by_itself else None

    def _query_status(self) -> str:
        answer = self.qmp.execute("query-status")
        return str(answer.get("status")) if isinstance(answer, dict) else ""

    def _quit(self) -> None:
        """Asks QEMU to end; if that does not help, SIGKILL comes next."""
        process = self._watch.process
        if process is None or not process.running or self._watch.ended:
            return
        try:
            self.qmp.execute("quit", budget=_QUIT_SECONDS)
        except MachineError:
            return  # it is stuck or gone: the next on the stack kills it
        process.wait(_QUIT_SECONDS)

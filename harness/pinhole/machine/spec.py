# SPDX-License-Identifier: GPL-2.0-only
"""What a machine is started from, and the QEMU command line that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pinhole.budget import Budgets
from pinhole.machine.accel import Accelerator
from pinhole.machine.topology import Topology

CONSOLE_LOG = "console.log"
STATUS_LOG = "status.log"
QEMU_LOG = "qemu.log"
QMP_LOG = "qmp.log"


@dataclass(frozen=True)
class MachineSpec:
    """All that one start of a machine takes.

    ``cmdline`` are the kernel's parameters; ``console=ttyS0`` and ``panic=-1`` are the image's to
    give. ``workdir`` exists and gets console.log, status.log, qemu.log and qmp.log. ``gdb`` is a
    loopback port on which QEMU waits for a debugger.
    """

    kernel_image: Path
    initrd: Path | None
    cmdline: tuple[str, ...]
    topology: Topology
    accelerator: Accelerator
    budgets: Budgets
    qemu: Path
    workdir: Path
    extra_arguments: tuple[str, ...] = ()
    gdb: int | None = None


@dataclass(frozen=True)
class Ports:
    """The back ends of QEMU's character devices, as ``-chardev`` takes them without the id."""

    console: str
    status: str
    qmp: str
    serial: Mapping[str, str] = field(default_factory=dict)


def by_hand(spec: MachineSpec) -> Ports:
    """Back ends for a person who runs the command line: the console is the terminal."""
    workdir = _quoted(spec.workdir)
    return Ports(
        console="stdio,signal=off",
        status=f"file,path={workdir}/{STATUS_LOG}",
        qmp=f"socket,path={workdir}/qmp.sock,server=on,wait=off",
        serial={
            name: f"socket,path={workdir}/{name}.sock,server=on,wait=off"
            for name in spec.topology.virtio_serial
        },
    )


def command_line(spec: MachineSpec, ports: Ports | None = None) -> list[str]:
    """QEMU's command line.

    With ``ports`` it is the one ``Machine`` runs: paused at the start, and paused (not ended)
    where the guest panics, resets or shuts down, so that QEMU only ends if it is told to or
    fails. Without, it is the same machine for a person to run.
    """
    if ports is None:
        how, ports = ["-action", "reboot=shutdown"], by_hand(spec)
    else:
        how = ["-S", "-action", "reboot=shutdown,shutdown=pause,panic=pause"]
    command = [str(spec.qemu), "-nodefaults", "-no-user-config", "-display", "none", *how]
    command += spec.topology.arguments(spec.accelerator)
    for name, backend in (("console", ports.console), ("status", ports.status)):
        command += ["-chardev", _with_id(name, backend), "-serial", f"chardev:{name}"]
    command += ["-chardev", _with_id("qmp", ports.qmp), "-mon", "chardev=qmp,mode=control"]
    for name, backend in ports.serial.items():
        command += ["-chardev", _with_id(name, backend)]
    if spec.gdb is not None:
        command += ["-gdb", f"tcp:127.0.0.1:{spec.gdb}"]
    command += ["-kernel", str(spec.kernel_image)]
    if spec.initrd is not None:
        command += ["-initrd", str(spec.initrd)]
    return [*command, "-append", " ".join(spec.cmdline), *spec.extra_arguments]


def socket_port(fd: int) -> str:
    """A back end on an inherited socket: no path exists that another user could open."""
    return f"socket,fd={fd}"


def _with_id(name: str, backend: str) -> str:
    kind, _, rest = backend.partition(",")
    return f"{kind},id={name},{rest}" if rest else f"{kind},id={name}"


def _quoted(path: Path) -> str:
    """``path`` as the value of a QEMU option: a comma is doubled."""
    return str(path).replace(",", ",,")

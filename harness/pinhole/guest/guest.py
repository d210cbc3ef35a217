# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is up: its machine and the channel into it, from one call to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pinhole.boot.base import BASE_NEEDS
from pinhole.boot.image import build
from pinhole.boot.keys import GuestKeys, joined_initrd
from pinhole.budget import Budgets
from pinhole.errors import BudgetError
from pinhole.guest.channel import Channel
from pinhole.guest.ssh import SshChannel
from pinhole.kernel.bootable import Kernel
from pinhole.machine.accel import Accelerator
from pinhole.machine.qemu import GuestReady, Machine
from pinhole.machine.spec import MachineSpec
from pinhole.machine.topology import Topology
from pinhole.needs import Device, Needs
from pinhole.progress import Progress

_POLL_SECONDS = 0.05
INITRD = "initrd.img"
"""How evidence names the initrd, which is in memory only (``boot.keys``)."""
BASE_CMDLINE = (
    "console=ttyS0",
    # A panic before pvpanic's driver is loaded shows as a reset, at once.
    "panic=-1",
    # The default buffer of 128 to 256 KiB is overwritten by one OOM report; evidence is not.
    "log_buf_len=4M",
    # Marks in /dev/kmsg must not be rate-limited (since 4.8 the default limits them).
    "printk.devkmsg=on",
)


@dataclass(frozen=True)
class Launch:
    """How machines are started on this host: the same for every scenario of a run.

    ``append`` are more kernel parameters, ``qemu_arguments`` more arguments of QEMU.
    ``patience`` multiplies every budget.
    """

    qemu: Path
    accelerator: Accelerator
    append: tuple[str, ...] = ()
    qemu_arguments: tuple[str, ...] = ()
    gdb: int | None = None
    patience: float = field(default=1.0)

    @property
    def budgets(self) -> Budgets:
        """Every wait's budget under this accelerator."""
        return Budgets(self.accelerator.budget_scale * self.patience)


@dataclass(frozen=True)
class Guest:
    """A booted guest. ``ready`` holds what its init said of it (page size, release)."""

    kernel: Kernel
    machine: Machine
    channel: Channel
    ready: GuestReady
    budgets: Budgets
    keys: GuestKeys

    @property
    def facts(self) -> Mapping[str, object]:
        """The guest's own word on its page size, release and the time at which it was ready."""
        return self.ready.facts


def machine_spec(
    kernel: Kernel, needs: Needs, topology: Topology, launch: Launch, initrd: Path, workdir: Path
) -> MachineSpec:
    """The machine that ``booted`` starts; ``pinhole run --dry-run`` prints its command line."""
    united = BASE_NEEDS | needs
    return MachineSpec(
        kernel_image=kernel.image,
        initrd=initrd,
        cmdline=(*BASE_CMDLINE, *united.cmdline, *launch.append),
        topology=topology.with_needs(united),
        accelerator=launch.accelerator,
        budgets=launch.budgets,
        qemu=launch.qemu,
        workdir=workdir,
        extra_arguments=launch.qemu_arguments,
        gdb=launch.gdb,
    )


@contextmanager
def booted(
    kernel: Kernel,
    needs: Needs,
    topology: Topology,
    launch: Launch,
    workdir: Path,
    progress: Progress,
) -> Iterator[Guest]:
    """Boots ``kernel`` with what ``needs`` takes, and ends the machine with the block.

    ``workdir`` exists; the machine's logs stay in it. Raises ``BootImageError``, ``KernelError``,
    ``HostError`` or a ``MachineError``; nothing is left behind whatever it raises.
    """
    image = build(kernel, BASE_NEEDS | needs, progress)
    keys = GuestKeys.generate()
    with ExitStack() as until_ready:
        initrd = until_ready.enter_context(joined_initrd(image.initramfs, keys))
        spec = machine_spec(kernel, needs, topology, launch, initrd, workdir)
        with Machine(spec) as machine:
            with progress.step(f"booting {kernel.release}"):
                ready = machine.wait_ready()
                until_ready.close()  # QEMU has read it
                channel = SshChannel.connect(
                    machine.ssh_address,
                    client_key=keys.client_key,
                    host_key=keys.host_key,
                    budget=launch.budgets.connect,
                    alive=machine.check,
                )
            with channel:
                guest = Guest(kernel, machine, channel, ready, launch.budgets, keys)
                _plug_devices(guest, needs.plugged_devices)
                yield guest


def _plug_devices(guest: Guest, devices: Sequence[Device]) -> None:
    """Plugs what comes to a running machine, and waits until the guest has seen all of it."""
    if not devices:
        return
    budget = guest.budgets.command
    wanted = len(_pci_devices(guest)) + len(devices)
    for device in devices:
        guest.machine.hotplug.plug_device(device)
    deadline = time.monotonic() + budget
    while len(found := _pci_devices(guest)) < wanted:
        if time.monotonic() > deadline:
            names = ", ".join(device.driver for device in devices)
            raise BudgetError(
                f"of the PCI devices {names} the guest sees {len(found) - wanted + len(devices)} "
                f"after {budget:g} s; look at its dmesg for pciehp or acpiphp"
            )
        time.sleep(_POLL_SECONDS)


def _pci_devices(guest: Guest) -> Sequence[str]:
    globs = ["/sys/bus/pci/devices/*/vendor"]
    return sorted(guest.channel.read_many(globs, budget=guest.budgets.command).texts())

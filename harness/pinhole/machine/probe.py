# SPDX-License-Identifier: GPL-2.0-only
"""Which accelerator boots a kernel on this host: found by booting one, and remembered.

/dev/kvm may exist, open, and create a VM, and still be unable to run a stock kernel: QEMU aborts
on an MSR, or the guest ends in ``internal-error`` with QEMU alive and silent (measured, QEMU 7.2
in a nested virtual machine).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pinhole.budget import Budgets
from pinhole.dirs import cache_dir, private_dir
from pinhole.errors import HostError, KernelError, MachineError, UsageError
from pinhole.machine.accel import Accelerator
from pinhole.machine.process import find_qemu, qemu_version
from pinhole.machine.qemu import Machine
from pinhole.machine.spec import CONSOLE_LOG, MachineSpec
from pinhole.machine.text import file_tail
from pinhole.machine.topology import Topology
from pinhole.progress import Progress
from pinhole.size import MIB

_KVM = Path("/dev/kvm")
_LOG_TAIL_BYTES = 1 << 20
_USE_TCG = "use --accel tcg, which is slower and needs nothing of the host"


@dataclass(frozen=True)
class AcceleratorChoice:
    """``reason`` says why, for ``doctor``; ``remembered`` that nothing was booted for it now."""

    accelerator: Accelerator
    reason: str
    remembered: bool


def choose(
    requested: str | None, qemu: Path, kernel_image: Path, progress: Progress
) -> AcceleratorChoice:
    """The accelerator to use: ``requested`` (``kvm``, ``tcg``), or the fastest that boots
    ``kernel_image`` here.

    Raises ``UsageError`` for an unknown name, ``HostError`` if KVM is asked for and does not
    boot, ``KernelError`` if the kernel boots with neither. A kernel that TCG does not boot either
    says nothing about KVM, so nothing is remembered of it.
    """
    if requested is not None and requested not in set(Accelerator):
        raise UsageError(f"unknown accelerator {requested!r}: it is kvm or tcg")
    if requested == Accelerator.TCG:
        return AcceleratorChoice(Accelerator.TCG, "it was asked for", remembered=False)
    qemu = find_qemu(qemu)
    memory = cache_dir() / "accelerator" / f"{_host_key(qemu)}.json"
    remembered = _recall(memory)
    if remembered is not None and requested in {None, remembered.accelerator}:
        return remembered
    unusable = _unusable()
    if unusable is not None:
        if requested == Accelerator.KVM:
            raise HostError(f"{unusable}: {_USE_TCG}")
        return AcceleratorChoice(Accelerator.TCG, unusable, remembered=False)
    with progress.step("looking whether KVM boots a kernel"):
        refused = why_not(Accelerator.KVM, qemu, kernel_image)
    if refused is None:
        return _remember(memory, Accelerator.KVM, "KVM boots a kernel here")
    reason = f"KVM does not boot {kernel_image.name} here: {refused}"
    if requested == Accelerator.KVM:
        raise HostError(f"{reason}\n{_USE_TCG}")
    with progress.step("looking whether TCG boots the kernel that KVM does not"):
        neither = why_not(Accelerator.TCG, qemu, kernel_image)
    if neither is not None:
        raise KernelError(
            f"{kernel_image} boots neither with KVM ({refused}) nor with TCG: {neither}"
        )
    return _remember(memory, Accelerator.TCG, reason)


def why_not(accelerator: Accelerator, qemu: Path, kernel_image: Path) -> str | None:
    """None if ``kernel_image`` boots with ``accelerator``, or the reason why it does not.

    It is given nothing to mount or run: a kernel that boots comes to panic over that and, with
    ``panic=-1``, resets the machine. All of the boot lies before that point, and no image is
    needed for it.
    """
    with tempfile.TemporaryDirectory(prefix="pinhole-probe-") as folder:
        spec = MachineSpec(
            kernel_image=kernel_image,
            initrd=None,
            cmdline=("console=ttyS0", "panic=-1", "rdinit=/none", "init=/none"),
            topology=Topology(
                memory_bytes=512 * MIB,
                maxmem_bytes=512 * MIB,
                slots=0,
                empty_nodes=0,
                pvpanic=False,
                network=False,
            ),
            accelerator=accelerator,
            budgets=Budgets(accelerator.budget_scale),
            qemu=qemu,
            workdir=Path(folder),
        )
        try:
            with Machine(spec) as machine:
                reset = machine.qmp.wait_event("SHUTDOWN", spec.budgets.ready)
        except MachineError as error:
            return str(error)
        log = file_tail(spec.workdir / CONSOLE_LOG, _LOG_TAIL_BYTES)
        if reset is None:
            return f"it did not come up within {spec.budgets.ready:g} s"
        if "Linux version" not in log or "Kernel panic - not syncing" not in log:
            return f"it reset itself before it came up (it printed {len(log)} characters)"
        return None


def _unusable() -> str | None:
    """Why KVM need not be tried at all."""
    if not _KVM.exists():
        return "there is no /dev/kvm"
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return "/dev/kvm may not be opened by this user (join the group kvm)"
    return None


def _host_key(qemu: Path) -> str:
    """Of all that the answer depends on: host, its kernel and CPU, QEMU, /dev/kvm."""
    machine_id = Path("/etc/machine-id")
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    kvm = _KVM.stat() if _KVM.exists() else None
    facts = [
        machine_id.read_text().strip() if machine_id.exists() else platform.node(),
        platform.release(),
        model[1] if model else "",
        str(qemu.resolve()),
        qemu_version(qemu),
        qemu.stat().st_mtime_ns,
        [kvm.st_rdev, os.access(_KVM, os.R_OK | os.W_OK)] if kvm else None,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _recall(memory: Path) -> AcceleratorChoice | None:
    try:
        kept = json.loads(memory.read_text())
        return AcceleratorChoice(Accelerator(kept["accelerator"]), str(kept["reason"]), True)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        # Written by another version, or damaged: found out and written anew.
        return None


def _remember(memory: Path, accelerator: Accelerator, reason: str) -> AcceleratorChoice:
    private_dir(memory.parent)
    with tempfile.TemporaryDirectory(dir=memory.parent) as folder:
        fresh = Path(folder) / memory.name
        fresh.write_text(json.dumps({"accelerator": accelerator, "reason": reason}))
        fresh.replace(memory)
    return AcceleratorChoice(accelerator, reason, remembered=False)

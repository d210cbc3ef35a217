# SPDX-License-Identifier: GPL-2.0-only
"""The accelerators that QEMU can run a guest with, and what each asks of the command line."""

from __future__ import annotations

from enum import StrEnum


class Accelerator(StrEnum):
    """How QEMU executes the guest; ``pinhole.machine.probe`` says which of them boots here."""

    KVM = "kvm"
    TCG = "tcg"

    @property
    def budget_scale(self) -> float:
        """The factor on every budget: Debian 6.12 reaches its init in 3 to 5 s under TCG (QEMU
        7.2, two cores), in about 1 s under KVM."""
        return 1.0 if self is Accelerator.KVM else 4.0

    @property
    def arguments(self) -> tuple[str, ...]:
        """QEMU's ``-accel`` and ``-cpu``: the host's CPU, or all that TCG can emulate.

        TCG runs all CPUs of the guest in one thread. With a thread each, a CPU may run an int3 that
        another one has patched away already (static branches): 6.12 then panics with "Oops: int3"
        in __schedule, about once in 40 scenarios (measured, QEMU 7.2). One thread also boots
        faster: 3.7 s against 4.2 s, the medians of six boots each of Debian 6.12 on two cores.
        """
        if self is Accelerator.KVM:
            return ("-accel", "kvm", "-cpu", "host")
        return ("-accel", "tcg,thread=single", "-cpu", "max")

    def machine(self, *, iommu: bool) -> str:
        """The value of ``-machine``.

        Under KVM intel-iommu's interrupt remapping needs the I/O APIC in QEMU, so the irqchip
        is split (QEMU docs, "intel-iommu"); TCG has no irqchip in the kernel to split.
        """
        if iommu and self is Accelerator.KVM:
            return "q35,kernel-irqchip=split"
        return "q35"

# SPDX-License-Identifier: GPL-2.0-only
"""How long each wait may take, in seconds, scaled once for the accelerator and the user.

Base figures are for KVM on an idle host. TCG is slower by the factor that the accelerator
states (``Accelerator.budget_scale``); ``--patience`` multiplies on top of that.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budgets:
    """Budgets in seconds; every field is a base figure times ``scale``."""

    scale: float = 1.0

    @property
    def ready(self) -> float:
        """From QEMU's start to the guest's word that it is ready."""
        return 30.0 * self.scale

    @property
    def connect(self) -> float:
        """A connection into a guest that is ready."""
        return 10.0 * self.scale

    @property
    def command(self) -> float:
        """One short command in the guest, or one QMP command."""
        return 10.0 * self.scale

    @property
    def hold(self) -> float:
        """Until a holder says that it holds, or that it was refused, without its call's ``pin``."""
        return 10.0 * self.scale

    @property
    def pin(self) -> float:
        """The call that holds, until it counts as one that does not return and is killed.

        Migrating 16 MiB takes it 0.3 s under TCG. Well below the 120 s after which the kernel
        calls a task hung.
        """
        return 3.0 * self.scale

    @property
    def remove(self) -> float:
        """One try to remove memory: a free 128 MiB block takes under 0.3 s under TCG."""
        return 2.0 * self.scale

    @property
    def grace(self) -> float:
        """Between SIGTERM and the conclusion that a process cannot be ended."""
        return 2.0 * self.scale

    @property
    def unplug(self) -> float:
        """A DIMM's way out, from ``device_del`` to ``DEVICE_DELETED``."""
        return 5.0 * self.scale

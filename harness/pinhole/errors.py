# SPDX-License-Identifier: GPL-2.0-only
"""The failures pinhole can report, by what the user can do about them.

Every message names the thing, the reason and the next step. ``exit_status`` is what the
command line returns when the error ends the run (``docs/exit-status.md``).
"""

from __future__ import annotations


class PinholeError(Exception):
    """Root of every failure that pinhole raises on purpose."""

    exit_status = 3


class UsageError(PinholeError):
    """The user asked for something that cannot be: mend the command or the plan."""

    exit_status = 2


class HostError(PinholeError):
    """This host lacks something: a tool, memory, disk, an accelerator that boots."""


class KernelError(PinholeError):
    """A kernel could not be had, or what was given is not a kernel."""


class BootImageError(PinholeError):
    """The initramfs could not be made."""


class MachineError(PinholeError):
    """QEMU or the guest failed: the test did not run to its end (status MISS)."""


class QemuStartError(MachineError):
    """QEMU refused the command line or could not start."""


class QemuDiedError(MachineError):
    """The QEMU process ended while the machine was in use."""


class GuestPanickedError(MachineError):
    """QEMU said that the guest panicked or reset itself; the message names the panic."""


class GuestSilentError(MachineError):
    """The guest did not say that it is ready within its budget."""


class QmpError(MachineError):
    """QEMU refused a QMP command; ``error_class`` and ``description`` are QEMU's words."""

    def __init__(self, command: str, error_class: str, description: str) -> None:
        super().__init__(f"QMP {command}: {error_class}: {description}")
        self.command = command
        self.error_class = error_class
        self.description = description


class ChannelError(MachineError):
    """The connection into the guest failed or broke."""


class BudgetError(MachineError):
    """A wait ran out of its budget; the message names what was waited for and how long."""


class TimeLimitError(MachineError):
    """The time that the user gave a whole scenario is over; no single wait's budget is."""


class GuestCommandError(PinholeError):
    """A command in the guest ended otherwise than it had to."""


class HolderError(GuestCommandError):
    """pinholder could not do what the scenario asks of it (the scenario's status is ERROR)."""


class UnsupportedError(PinholeError):
    """The guest lacks what a scenario takes, as the guest itself said (its status is SKIP)."""


class EvidenceError(PinholeError):
    """A run's directory, or a file in it, cannot be read back."""

# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario takes from the kernel, the boot image and the machine.

Each way to hold, kind of memory, trick and way to remove declares its ``Needs``; the engine
unites them before anything is made. No room asks *which* way is used: it reads the needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Device:
    """One QEMU device: ``driver`` and its properties, in the order QEMU is to see them."""

    driver: str
    properties: tuple[tuple[str, str], ...] = ()

    @property
    def argument(self) -> str:
        """The value of QEMU's ``-device``; commas in a property value are doubled."""
        return ",".join(
            [self.driver, *(f"{key}={value.replace(',', ',,')}" for key, value in self.properties)]
        )


@dataclass(frozen=True)
class Needs:
    """A set of requirements; ``a | b`` is what both take together.

    ``options`` are kernel options that must be ``y`` or ``m`` (``CONFIG_`` included).
    ``modules`` are loaded by init before the guest says that it is ready, each skipped if it is
    built in (a name may be followed by parameters: ``null_blk nr_devices=0``);
    ``optional_modules`` likewise, where the kernel has them; ``runtime_modules`` are only put into
    the image, for the kernel to ask for.
    ``cmdline`` are kernel parameters; ``sysctls`` are (dotted name, value) pairs.
    ``boot_devices`` are on QEMU's command line; ``plugged_devices`` are added by QMP later, on a
    PCIe root port each, because they have no migration state or must appear at run time.
    ``iommu`` asks for the emulated Intel IOMMU.
    """

    options: frozenset[str] = frozenset()
    modules: tuple[str, ...] = ()
    optional_modules: tuple[str, ...] = ()
    runtime_modules: tuple[str, ...] = ()
    cmdline: tuple[str, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    boot_devices: tuple[Device, ...] = ()
    plugged_devices: tuple[Device, ...] = ()
    iommu: bool = field(default=False)

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            options=self.options | other.options,
            modules=_union(self.modules, other.modules),
            optional_modules=_union(self.optional_modules, other.optional_modules),
            runtime_modules=_union(self.runtime_modules, other.runtime_modules),
            cmdline=_union(self.cmdline, other.cmdline),
            sysctls=_union(self.sysctls, other.sysctls),
            boot_devices=_union(self.boot_devices, other.boot_devices),
            plugged_devices=_union(self.plugged_devices, other.plugged_devices),
            iommu=self.iommu or other.iommu,
        )


def _union(first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    """Both in order, without repeats: a later need does not reorder an earlier one."""
    return tuple(dict.fromkeys((*first, *second)))


def unite(needs: Iterable[Needs]) -> Needs:
    """All of ``needs`` together."""
    return reduce(lambda united, one: united | one, needs, Needs())

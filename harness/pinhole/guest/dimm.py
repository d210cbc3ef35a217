# SPDX-License-Identifier: GPL-2.0-only
"""DIMMs that are plugged into a running guest, as memory blocks: online, offline, unplug."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from pinhole.errors import BudgetError, GuestCommandError
from pinhole.guest.guest import Guest
from pinhole.guest.removal import RemovalAttempt, try_removal
from pinhole.guest.text import parse_block_size
from pinhole.machine.unplug import UnplugOutcome, UnplugResult
from pinhole.size import MIB

MEMORY = "/sys/devices/system/memory"
DEFAULT_BYTES = 512 * MIB
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class PluggedDimm:
    """A DIMM, or several, in a node that was empty.

    ``blocks`` are their memory blocks, ``memory32`` and so on; ``size_bytes`` is of all together,
    ``names`` are QEMU's for them.
    """

    guest: Guest
    names: tuple[str, ...]
    node: int
    size_bytes: int
    blocks: tuple[str, ...]

    @classmethod
    def plug(
        cls,
        guest: Guest,
        size_bytes: int = DEFAULT_BYTES,
        *,
        node: int = 1,
        name: str = "dimm0",
    ) -> PluggedDimm:
        """Plugs a DIMM into ``node``, which has no memory yet, and onlines it in ZONE_MOVABLE."""
        return cls.plug_all(guest, {name: size_bytes}, node=node)

    @classmethod
    def plug_all(cls, guest: Guest, sizes: Mapping[str, int], *, node: int = 1) -> PluggedDimm:
        """The same with several, by name, one after the other."""
        budget = guest.budgets.command
        # Some kernels online new memory by themselves, into whatever zone they like (Debian's
        # 6.12 does): blocks are onlined one by one instead.
        guest.channel.write(f"{MEMORY}/auto_online_blocks", b"offline", budget=budget)
        for name, size_bytes in sizes.items():
            guest.machine.hotplug.plug_dimm(name, size_bytes, node)
        total = sum(sizes.values())
        raw = guest.channel.read(f"{MEMORY}/block_size_bytes", budget=budget)
        wanted = total // parse_block_size(raw.decode(errors="replace"))
        blocks = _await_blocks(guest, node, wanted, budget)
        dimm = cls(guest, tuple(sizes), node, total, blocks)
        dimm.online()
        return dimm

    def states(self) -> Mapping[str, str]:
        """The state of each block: ``online``, ``offline``, ``going-offline``."""
        globs = [f"{MEMORY}/memory[0-9]*/state"]
        found = self.guest.channel.read_many(globs, budget=self.guest.budgets.command).texts()
        return {
            block: found[f"{MEMORY}/{block}/state"].strip()
            for block in self.blocks
            if f"{MEMORY}/{block}/state" in found
        }

    def await_answers(self) -> None:
        """Waits, within the budget of a command, until no block is ``going-offline`` any more.

        A block that still is then is for whoever looks at the states: no error here.
        """
        deadline = time.monotonic() + self.guest.budgets.command
        while "going-offline" in self.states().values() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def online(self) -> None:
        """Brings every block that is offline into ZONE_MOVABLE."""
        for block, state in self.states().items():
            if state == "offline":
                attempt = self._write(block, "online_movable", self.guest.budgets.command)
                if not attempt.succeeded:
                    raise GuestCommandError(f"{block} cannot be brought online: {attempt}")

    def offline(self, block: str, budget: float | None = None) -> RemovalAttempt:
        """Tries to take ``block`` offline for ``budget`` seconds, then ends the try by SIGTERM."""
        return self._write(block, "offline", budget or self.guest.budgets.remove)

    def offline_all(self, budget: float | None = None) -> dict[str, RemovalAttempt]:
        """Tries each block in order, ``budget`` seconds each."""
        return {block: self.offline(block, budget) for block in self.blocks}

    def unplug(self, budget: float | None = None) -> UnplugResult:
        """Asks the guest to let each DIMM go, and waits for the outcome: the first that is not
        a removal, or the last one's."""
        hotplug, budget = self.guest.machine.hotplug, budget or self.guest.budgets.unplug
        results = [hotplug.unplug_dimm(name, budget) for name in self.names]
        stayed = (one for one in results if one.outcome is not UnplugOutcome.REMOVED)
        return next(stayed, results[-1])

    def _write(self, block: str, value: str, budget: float) -> RemovalAttempt:
        return try_removal(
            self.guest.channel,
            f"{MEMORY}/{block}/state",
            value,
            budget=budget,
            grace=self.guest.budgets.grace,
        )


def _await_blocks(guest: Guest, node: int, wanted: int, budget: float) -> tuple[str, ...]:
    """The blocks of ``node`` once all are there: the guest adds them some time after QEMU did."""
    globs = [f"/sys/devices/system/node/node{node}/memory[0-9]*/state"]
    deadline = time.monotonic() + budget
    while True:
        found = guest.channel.read_many(globs, budget=budget).texts()
        blocks = sorted({path.split("/")[-2] for path in found}, key=lambda name: int(name[6:]))
        if len(blocks) == wanted:
            return tuple(blocks)
        if time.monotonic() > deadline:
            raise BudgetError(
                f"the guest showed {len(blocks)} of the {wanted} memory blocks of its new DIMM in "
                f"node {node} within {budget:g} s; look at its dmesg for ACPI memory hotplug"
            )
        time.sleep(_POLL_SECONDS)

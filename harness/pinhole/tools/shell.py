# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole shell``: a shell in a booted guest with a DIMM, where pages may be held already."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pinhole.errors import MachineError
from pinhole.guest.dimm import PluggedDimm
from pinhole.guest.guest import Guest, Launch, booted
from pinhole.guest.holder import Holder
from pinhole.guest.holder_events import HoldEvent
from pinhole.guest.terminal import attach
from pinhole.kernel.kernel import Kernel
from pinhole.plan import MachinePlan, Scenario
from pinhole.progress import Progress
from pinhole.scenario.engine import topology_of
from pinhole.scenario.play import dimm_sizes, holder_arguments
from pinhole.scenario.vocabulary import all_needs, needs_of
from pinhole.size import format_size

_WELCOME = """\
{release} is up; node {node} has a DIMM of {size}, online in ZONE_MOVABLE. For example:
  pinholder --hold io_uring --size 16M --node {node} &
  echo offline > /sys/devices/system/memory/{block}/state
'exit' or Ctrl-D ends the guest.
"""


@contextmanager
def _workdir() -> Iterator[Path]:
    """A folder for the machine's logs; it stays where the machine failed, for the error names
    the console's log in it."""
    folder = Path(tempfile.mkdtemp(prefix="pinhole-shell-"))
    try:
        yield folder
    except MachineError:
        raise
    except BaseException:
        shutil.rmtree(folder)
        raise
    else:
        shutil.rmtree(folder)


def open_shell(
    kernel: Kernel, launch: Launch, progress: Progress, scenario: Scenario | None = None
) -> int:
    """Boots ``kernel``, plugs the memory, connects the terminal; returns the shell's exit status.

    With a ``scenario`` its pages are held when the terminal is connected, until it ends. Raises
    ``UnsupportedError`` or ``HolderError`` where they cannot be.
    """
    machine = MachinePlan()
    needs = needs_of(scenario) if scenario else all_needs(kernel)
    with (
        _workdir() as workdir,
        booted(kernel, needs, topology_of(machine, scenario), launch, workdir, progress) as guest,
        ExitStack() as held,
    ):
        sizes = dimm_sizes(scenario, machine) if scenario else {"dimm0": machine.dimm}
        dimm = PluggedDimm.plug_all(guest, sizes)
        told = ""
        if scenario:
            with progress.step(f"holding pages: {scenario.hold}"):
                told = _hold(guest, scenario, held)
        if sys.stdin is not None and sys.stdin.isatty():
            welcome = _WELCOME.format(
                release=kernel.release,
                node=dimm.node,
                size=format_size(dimm.size_bytes),
                block=dimm.blocks[0],
            )
            print(welcome, file=sys.stderr)
        if told:
            print(told, file=sys.stderr)
        return attach(guest)


def _hold(guest: Guest, scenario: Scenario, held: ExitStack) -> str:
    """Holds the scenario's pages until ``held`` ends; what became of it, for people."""
    budgets = guest.budgets
    budget = budgets.hold + budgets.pin + budgets.grace
    arguments = holder_arguments(scenario, budgets)
    holder = held.enter_context(Holder.start(guest.channel, arguments, budget))
    if holder.refused is not None:
        return f"{scenario.name}: the kernel refused to hold the pages: {holder.refused}"
    event, pages = holder.find(HoldEvent), holder.pages("after")
    first = next((run[0] for run in (pages.runs if pages and pages.runs else ()) if run[0]), None)
    where = f", the first of them pfn {first:#x}" if first is not None else ""
    count = event.pages if event else 0
    return (
        f"{scenario.name}: {count} pages are held by pid {holder.pid}{where}; "
        f"'kill {holder.pid}' lets them go, and so does the end of this shell"
    )

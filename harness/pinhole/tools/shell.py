# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole shell``: a shell in a booted guest, with an online DIMM in its node 1."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pinhole.errors import MachineError
from pinhole.guest.dimm import PluggedDimm
from pinhole.guest.guest import Launch, booted
from pinhole.guest.terminal import attach
from pinhole.kernel.kernel import Kernel
from pinhole.plan import MachinePlan
from pinhole.progress import Progress
from pinhole.scenario.engine import topology_of
from pinhole.scenario.vocabulary import all_needs
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


def open_shell(kernel: Kernel, launch: Launch, progress: Progress) -> int:
    """Boots ``kernel``, plugs the DIMM, connects the terminal; returns the shell's exit status."""
    machine = MachinePlan()
    with (
        _workdir() as workdir,
        booted(kernel, all_needs(kernel), topology_of(machine), launch, workdir, progress) as guest,
    ):
        dimm = PluggedDimm.plug(guest, machine.dimm)
        if sys.stdin is not None and sys.stdin.isatty():
            welcome = _WELCOME.format(
                release=kernel.release,
                node=dimm.node,
                size=format_size(dimm.size_bytes),
                block=dimm.blocks[0],
            )
            print(welcome, file=sys.stderr)
        return attach(guest)

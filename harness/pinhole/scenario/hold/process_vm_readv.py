# SPDX-License-Identifier: GPL-2.0-only
"""process_vm_readv() that cannot write what it read: its source stays pinned, 1024 pages most."""

from pinhole.needs import Needs
from pinhole.scenario.part import HoldPath, Reference

PROCESS_VM_READV = HoldPath(
    name="process_vm_readv",
    summary="process_vm_readv() into a missing page (userfaultfd): short-term pins",
    reference=Reference.SHORT_TERM,
    partial=True,
    needs=Needs(options=frozenset({"CONFIG_CROSS_MEMORY_ATTACH", "CONFIG_USERFAULTFD"})),
)

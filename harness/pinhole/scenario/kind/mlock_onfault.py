# SPDX-License-Identifier: GPL-2.0-only
"""Private memory under mlock2(MLOCK_ONFAULT).

Its last pages are still in a batch of their CPU when they are held.
"""

from pinhole.scenario.part import MemoryKind

MLOCK_ONFAULT = MemoryKind(
    name="mlock_onfault",
    summary="private memory under mlock2(MLOCK_ONFAULT)",
    flags=frozenset({"ANON", "MLOCKED"}),
)

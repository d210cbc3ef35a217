# SPDX-License-Identifier: GPL-2.0-only
"""The table of kinds of memory: one row and one file each, here and in ``guest/kind/``."""

from pinhole.scenario.kind.anonymous import ANONYMOUS
from pinhole.scenario.kind.cow_child import COW_CHILD
from pinhole.scenario.kind.cow_parent import COW_PARENT
from pinhole.scenario.kind.file import FILE
from pinhole.scenario.kind.hugetlb import HUGETLB
from pinhole.scenario.kind.ksm import KSM
from pinhole.scenario.kind.memfd import MEMFD
from pinhole.scenario.kind.mlock_onfault import MLOCK_ONFAULT
from pinhole.scenario.kind.mlocked import MLOCKED
from pinhole.scenario.kind.mthp import MTHP
from pinhole.scenario.kind.own import OWN
from pinhole.scenario.kind.swapped import SWAPPED
from pinhole.scenario.kind.thp import THP

MEMORY_KINDS = {
    kind.name: kind
    for kind in (
        ANONYMOUS,
        THP,
        MTHP,
        HUGETLB,
        MEMFD,
        FILE,
        COW_PARENT,
        COW_CHILD,
        KSM,
        MLOCKED,
        MLOCK_ONFAULT,
        SWAPPED,
        OWN,
    )
}

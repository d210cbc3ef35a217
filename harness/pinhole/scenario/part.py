# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario is composed of: ways to hold, kinds of memory, tricks, ways to remove.

Each is one file here and one in ``guest/``, and one row of its table. A part says what it takes
(``Needs``) and what the verdict has to know about it; nothing else asks which part it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pinhole.needs import Needs
from pinhole.versions import in_range


class Reference(StrEnum):
    """What keeps a held page where it is, and so which of the kernel's counters sees it."""

    LONGTERM_PIN = "long-term pin"
    """FOLL_PIN | FOLL_LONGTERM: counted by nr_foll_pin_*, must leave ZONE_MOVABLE first."""
    SHORT_TERM = "short-term pin or reference"
    """FOLL_PIN without FOLL_LONGTERM, FOLL_GET, or a plain reference: which of them it is differs
    by kernel version (O_DIRECT went from FOLL_GET to FOLL_PIN in 6.5), and the counters tell."""


@dataclass(frozen=True)
class HoldPath:
    """A way to hold pages. ``name`` is pinholder's ``--hold``.

    ``own_memory``: it holds pages that it makes itself, so it goes with the kind ``own`` alone.
    ``partial``: it may hold a part of the memory; others hold all of it or have failed.
    ``references_in`` is a range of upstream versions in which a way that pins now took plain
    references, which the pin counters do not see.
    """

    name: str
    summary: str
    reference: Reference
    own_memory: bool = False
    partial: bool = False
    references_in: str | None = None
    needs: Needs = field(default_factory=Needs)

    def is_longterm(self, kernel_version: str) -> bool:
        """Whether it takes a long-term pin in the upstream version ``kernel_version``."""
        if self.reference is not Reference.LONGTERM_PIN:
            return False
        return self.references_in is None or not in_range(kernel_version, self.references_in)


class Start(StrEnum):
    """How a kind's pages are just before the hold."""

    PRESENT = "present"
    """Each page in a frame of its own."""
    MERGED = "merged"
    """Many pages in few frames (KSM)."""
    SWAPPED = "swapped out"
    """In swap, in no frame at all."""


@dataclass(frozen=True)
class MemoryKind:
    """A kind of memory. ``name`` is pinholder's ``--kind``.

    ``flags`` are those of /proc/kpageflags (without ``KPF_``) that every page of it shows before
    the hold, ``lacks`` those that none shows: that it was this kind is evidence, not a claim.
    ``large``: its folios are more than a page, and pinholder's ``memory`` event says how large
    (``unit_bytes``): a pin may be counted once a folio then.
    """

    name: str
    summary: str
    flags: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    starts: Start = Start.PRESENT
    large: bool = False
    needs: Needs = field(default_factory=Needs)


@dataclass(frozen=True)
class Trick:
    """Something done around the hold. ``name`` is pinholder's ``--trick``.

    ``keeps_contents`` is False where the memory is gone before it could be read back.
    ``last_pages_held`` pages at the memory's end are held by the trick itself, whatever
    becomes of the hold; ``extra_pins`` it takes on each page of a hold that succeeded.
    ``undone_at`` is the point at which the trick takes back what it did,
    where it does: before it has, nothing that is removed shows what the hold does to removal.
    """

    name: str
    summary: str
    keeps_contents: bool = True
    last_pages_held: int = 0
    extra_pins: int = 0
    undone_at: str | None = None
    needs: Needs = field(default_factory=Needs)


@dataclass(frozen=True)
class Removal:
    """A way to take memory away."""

    name: str
    summary: str
    needs: Needs = field(default_factory=Needs)

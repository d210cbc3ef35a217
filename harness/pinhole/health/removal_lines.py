# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel's log says of memory on its way out: the subject itself, not a finding."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pinhole.health.kmsg import KmsgRecord


class RemovalLineKind(StrEnum):
    """What a line is about."""

    MIGRATION_FAILED = "migration failed"
    ISOLATION_FAILED = "isolation failed"
    PAGE = "page"
    PAGE_FLAGS = "page flags"
    PAGE_DUMPED = "page dumped"
    OFFLINED = "offlined"
    OFFLINING_FAILED = "offlining failed"
    CONTIG_BUSY = "contiguous range busy"


@dataclass(frozen=True)
class RemovalLine:
    """One such line. ``pfn`` is the page it names, ``last_pfn`` the end of a range (inclusive).

    ``result`` is the number behind ``ret:`` (folios that failed, or a negative errno), or that of
    the pages that went offline. ``refcount``, ``mapcount`` and ``flags`` are of the page;
    ``reason`` is in the kernel's words.
    """

    kind: RemovalLineKind
    sequence: int
    text: str
    pfn: int | None = None
    last_pfn: int | None = None
    result: int | None = None
    refcount: int | None = None
    mapcount: int | None = None
    flags: tuple[str, ...] = ()
    reason: str | None = None


_PATTERNS: tuple[tuple[RemovalLineKind, re.Pattern[str]], ...] = (
    # mm/memory_hotplug.c, do_migrate_range(); rate-limited to 10 in 5 s together
    (
        RemovalLineKind.MIGRATION_FAILED,
        re.compile(r"migrating pfn (?P<pfn>[0-9a-f]+) failed ret:(?P<result>-?\d+)"),
    ),
    (
        RemovalLineKind.ISOLATION_FAILED,
        re.compile(r"failed to isolate pfn (?P<pfn>[0-9a-f]+)"),
    ),
    # mm/debug.c, __dump_page(): 5.10 shows the hashed pointer behind "page:", 6.12 nothing;
    # 6.12 begins with "head:" or "page:", and a large folio's counts follow in lines of their own
    (
        RemovalLineKind.PAGE,
        re.compile(
            r"page: ?[0-9a-f]* ?refcount:(?P<refcount>-?\d+) mapcount:(?P<mapcount>-?\d+) "
            r"mapping:\S+ index:\S+ pfn:(?:0x)?(?P<pfn>[0-9a-f]+)"
        ),
    ),
    (
        RemovalLineKind.PAGE_FLAGS,
        re.compile(r"(?:\w+ )?flags: 0x[0-9a-f]+\((?P<flags>[^)]*)\).*"),
    ),
    (RemovalLineKind.PAGE_DUMPED, re.compile(r"page dumped because: (?P<reason>.+)")),
    # mm/memory_hotplug.c, offline_pages(): info on 5.10, debug later
    (RemovalLineKind.OFFLINED, re.compile(r"Offlined Pages (?P<result>\d+)")),
    (
        RemovalLineKind.OFFLINING_FAILED,
        re.compile(
            r"memory offlining \[mem 0x[0-9a-f]+-0x[0-9a-f]+\] failed due to (?P<reason>.+)"
        ),
    ),
    # mm/page_alloc.c, alloc_contig_range(), 5.10; the end is exclusive there
    (
        RemovalLineKind.CONTIG_BUSY,
        re.compile(
            r"(?:alloc_contig_range: )?\[(?P<pfn>[0-9a-f]+), (?P<end>[0-9a-f]+)\) PFNs busy"
        ),
    ),
)


def removal_lines(records: Iterable[KmsgRecord]) -> list[RemovalLine]:
    """The lines about removal among ``records``, in order; only those that the kernel wrote."""
    return [
        _line(kind, record, found.groupdict())
        for record in records
        if record.from_kernel
        for kind, pattern in _PATTERNS
        if (found := pattern.fullmatch(_without_caller(record.text))) is not None
    ]


def _without_caller(text: str) -> str:
    """pr_fmt() puts the subsystem before some lines; which ones differs by version."""
    return re.sub(r"^(?:memory_hotplug|page_alloc): ", "", text)


def _line(kind: RemovalLineKind, record: KmsgRecord, found: dict[str, str | None]) -> RemovalLine:
    pfn, end = found.get("pfn"), found.get("end")
    return RemovalLine(
        kind=kind,
        sequence=record.sequence,
        text=record.text,
        pfn=int(pfn, 16) if pfn else None,
        last_pfn=int(end, 16) - 1 if end else None,
        result=_number(found.get("result")),
        refcount=_number(found.get("refcount")),
        mapcount=_number(found.get("mapcount")),
        flags=tuple(flag for flag in (found.get("flags") or "").split("|") if flag),
        reason=found.get("reason"),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)

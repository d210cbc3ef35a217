# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own counts against what pagemap shows: pins by node, page flags, mappings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinhole.scenario.facts import EvidenceGapError, Path
from pinhole.scenario.held_pages import HeldPages
from pinhole.scenario.part import Start
from pinhole.scenario.trick import TRICKS

if TYPE_CHECKING:
    from pinhole.scenario.case import Case


def require_counted(case: Case, pages: HeldPages) -> None:
    """nr_foll_pin_* must have grown by what the pages say, on each node."""
    counted = case.pins_taken()
    more = sum(TRICKS[name].extra_pins for name in case.scenario.tricks)
    # Plain references are not seen by the counters: what tricks pin besides then is all.
    unseen = not case.longterm and all(
        pins == more * pages.on_node(node) for node, pins in counted.items()
    )
    if unseen:
        return
    for node, pins in counted.items():
        besides = more * pages.on_node(node)
        fitting = {one + besides for one in _fitting_pins(case, pages, node)}
        if pins not in fitting:
            said = " or ".join(str(one) for one in sorted(fitting))
            raise EvidenceGapError(
                f"node {node}'s pin counters and pagemap disagree: {pins} pins were taken, "
                f"{said} pages of the hold are there to be counted"
            )


def _fitting_pins(case: Case, pages: HeldPages, node: int) -> set[int]:
    """How many pins the pages on ``node`` may count as: one each, or one a large folio.

    io_uring keeps one pin of each folio of a buffer (since 6.12, io_uring/rsrc.c:
    io_check_coalesce_buffer()).
    """
    frames = pages.on_node(node)
    fitting = {frames if pages.frames == pages.count or not frames else pages.count}
    if case.kind.large and frames:
        path = case.event("memory")
        unit = case.positive(*path, "unit_bytes") // case.page_size_bytes()
        zones = [zone for zone in case.zones("held") if zone.node == node]
        fitting.add(
            len(
                {
                    folio
                    for first, last in pages.ranges
                    if any(zone.spans(first) for zone in zones)
                    for folio in range(first // unit, last // unit + 1)
                }
            )
        )
    return fitting


def _require_merged(case: Case, path: Path, total: int) -> None:
    """Every frame must be mapped more than once: 6.12 has KPF_KSM on all anonymous pages."""
    counts = case.census(path, "mapcounts")
    merged = sum(pages for times, pages in counts.items() if times not in ("0", "1"))
    if merged != total:
        raise EvidenceGapError(f"only {merged} of {total} pages are in a frame with others")


def require_kind(case: Case, path: Path, total: int) -> None:
    """The kernel's flags and mappings of each page must be those of the scenario's kind."""
    if case.kind.starts is Start.MERGED:
        _require_merged(case, path, total)
    if not case.kind.flags and not case.kind.lacks:
        return
    flags = case.facts.mapping(*path, "flags")
    for name in sorted(case.kind.flags):
        having = case.facts.integer(*path, "flags", name) if name in flags else 0
        if having != total:
            raise EvidenceGapError(
                f"only {having} of {total} pages have the flag {name} of {case.kind.name}"
            )
    for name in sorted(case.kind.lacks & flags.keys()):
        having = case.facts.integer(*path, "flags", name)
        raise EvidenceGapError(
            f"{having} of {total} pages have the flag {name}, which {case.kind.name} lacks"
        )

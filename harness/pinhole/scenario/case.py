# SPDX-License-Identifier: GPL-2.0-only
"""Evidence read as the subject's values: held pages by zone and block, blocks, pin counters.

Page counts have three sources: the holder's pagemap, the zones' ranges in /proc/zoneinfo and the
per-node pin counters. Where two of them disagree nothing is concluded (``EvidenceGapError``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pinhole.guest.text import (
    ParseError,
    Zone,
    parse_block_size,
    parse_counters,
    parse_meminfo,
    parse_ranges,
    parse_zoneinfo,
)
from pinhole.health.kmsg import KmsgRecord, parse_kmsg
from pinhole.plan import Scenario
from pinhole.scenario.counted import require_counted, require_kind
from pinhole.scenario.facts import EvidenceGapError, Facts, pointer
from pinhole.scenario.held_pages import (
    HeldPages,
    PageRun,
    located,
    page_ranges,
    page_runs,
    pages_in,
)
from pinhole.scenario.hold import HOLD_PATHS
from pinhole.scenario.kind import MEMORY_KINDS
from pinhole.scenario.part import HoldPath, MemoryKind, Reference, Start
from pinhole.scenario.trick import TRICKS

MOVABLE = "Movable"
NODE = "/sys/devices/system/node/node"
_HOLDER_EVENTS = frozenset(
    {
        *("start", "available", "memory", "pages", "hold", "trick", "usable", "holding", "refused"),
        *("verify", "released", "error", "unsupported", "unanswered", "killed"),
    }
)
_OF_AN_ANSWER = frozenset({"hold", "holding", "refused", "usable"})
_PLAYED = {"name", "hold", "kind", "tricks", "size", "remove"}
"""What of a scenario is played; expectations may be revised after a run."""
_STATES = frozenset({"online", "offline", "going-offline"})


class Case:
    """One scenario's evidence, read through ``Facts`` so that what was read is known."""

    def __init__(self, scenario: Scenario, facts: Facts, kernel_key: str | None = None) -> None:
        self.scenario = scenario
        self.facts = facts
        self._kernel_key = kernel_key
        self.way: HoldPath = HOLD_PATHS[scenario.hold]
        self.kind: MemoryKind = MEMORY_KINDS[scenario.kind]

    @property
    def longterm(self) -> bool:
        """Whether the hold is a long-term pin on this kernel, which placement is about."""
        if self.way.references_in is None:
            return self.way.reference is Reference.LONGTERM_PIN
        return self.way.is_longterm(self.facts.text("kernel", "version"))

    def require_belonging(self) -> None:
        """The evidence must be of this scenario, of this kernel, and of the guest that ran it."""
        for name, wanted in self.scenario.model_dump(mode="json", include=_PLAYED).items():
            if self.facts.value("scenario", name) != wanted:
                raise EvidenceGapError(f"the evidence is of another scenario: its {name} differs")
        dimms = self.scenario.model_dump(mode="json", include={"dimms"})["dimms"]
        if list(dimms) != self.facts.mapping("scenario").get("dimms", []):
            raise EvidenceGapError("the evidence is of another scenario: its dimms differ")
        key = self.facts.text("kernel", "key")
        if self._kernel_key is not None and key != self._kernel_key:
            raise EvidenceGapError("the evidence is of another kernel")
        ran, booted = self.facts.text("guest", "release"), self.facts.text("kernel", "release")
        if ran != booted:
            raise EvidenceGapError(f"the guest ran {ran}, the kernel is {booted}")

    # -- what the guest is

    def page_size_bytes(self) -> int:
        return self.positive("guest", "page_size_bytes")

    def block_size_bytes(self) -> int:
        with _malformed_is_a_gap():
            return parse_block_size(
                self.file("plugged", "/sys/devices/system/memory/block_size_bytes")
            )

    def node(self) -> int:
        return self.facts.integer("target", "node")

    def file(self, snapshot: str, path: str) -> str:
        """The raw text of ``path`` in a snapshot."""
        return self.facts.text("snapshots", snapshot, "files", path)

    def zones(self, snapshot: str) -> tuple[Zone, ...]:
        with _malformed_is_a_gap():
            return tuple(parse_zoneinfo(self.file(snapshot, "/proc/zoneinfo")))

    def meminfo(self, snapshot: str) -> Mapping[str, int]:
        """/proc/meminfo in bytes (counts stay counts)."""
        with _malformed_is_a_gap():
            return parse_meminfo(self.file(snapshot, "/proc/meminfo"))

    def nodes(self, snapshot: str) -> list[int]:
        """The nodes that are online: a node comes with its first memory and goes with its last."""
        with _malformed_is_a_gap():
            return parse_ranges(self.file(snapshot, "/sys/devices/system/node/online"))

    def blocks(self, snapshot: str) -> dict[str, str]:
        """State of every memory block of the whole machine, by name."""
        files = self.facts.mapping("snapshots", snapshot, "files")
        found = {
            match[1]: self._state(snapshot, path)
            for path in files
            if (match := re.fullmatch(r"/sys/devices/system/memory/(memory\d+)/state", path))
        }
        if not found:
            raise EvidenceGapError(f"the snapshot {snapshot!r} holds no memory block")
        return found

    def target_blocks(self, snapshot: str = "plugged") -> dict[str, str]:
        """State of the blocks of the DIMM's node, by name; all of them, or it is a gap."""
        files = self.facts.mapping("snapshots", snapshot, "files")
        pattern = re.compile(rf"{NODE}{self.node()}/(memory\d+)/state")
        found = {
            match[1]: self._state(snapshot, path)
            for path in files
            if (match := pattern.fullmatch(path))
        }
        wanted = self.positive("target", "size_bytes") // self.block_size_bytes()
        if len(found) != wanted:
            raise EvidenceGapError(
                f"the snapshot {snapshot!r} shows {len(found)} blocks of node {self.node()}, "
                f"its DIMM has {wanted}"
            )
        return dict(sorted(found.items()))

    def valid_zones(self, snapshot: str, block: str) -> list[str]:
        """The zone that an online block is in; ``none`` where it spans several."""
        return self.file(snapshot, f"/sys/devices/system/memory/{block}/valid_zones").split()

    # -- what the holder did

    def event(self, name: str, **having: str) -> tuple[str | int, ...]:
        """The path of pinholder's event ``name``; a gap if it is not there exactly once."""
        names = self._event_names()
        events = self.facts.sequence("holder", "events")
        found = [
            index
            for index, event in enumerate(events)
            if names[index] == name
            and all(event.get(key) == value for key, value in having.items())
        ]
        if len(found) != 1:
            said = " ".join([name, *having.values()])
            raise EvidenceGapError(f"pinholder said {said!r} {len(found)} times, not once")
        return ("holder", "events", found[0])

    def never_returned(self) -> bool:
        """Whether the call that was to hold did not return, and its process was killed."""
        names = set(self._event_names())
        if names.isdisjoint({"unanswered", "killed"}):
            return False
        if names & _OF_AN_ANSWER:
            raise EvidenceGapError("pinholder contradicts itself about the end of its call")
        self.event("unanswered")
        self.event("killed")
        return True

    def hold_refused(self) -> str | None:
        """The errno's name if the kernel refused the hold, None if the pages are held."""
        path = self.event("hold")
        if self.facts.integer(*path, "result") >= 0:
            self.event("holding")
            return None
        self.event("refused")
        return self.facts.text(*path, "errno_name")

    def before(self) -> HeldPages:
        """Where the memory's pages are just before the hold: all of them, of the scenario's kind.

        Of a kind that is swapped out none is anywhere, and that must be so.
        """
        path, runs = self._memory("before")
        absent, swapped = (self.facts.integer(*path, name) for name in ("absent", "swapped"))
        total = sum(run.count for run in runs)
        if self.kind.starts is Start.SWAPPED:
            if absent != total or swapped != total:
                raise EvidenceGapError(
                    f"{swapped} of {total} pages were swapped out before the hold, not all"
                )
            return self._located((), "plugged", 0)
        if absent or swapped:
            raise EvidenceGapError(
                f"{absent} of {total} pages were absent before the hold, {swapped} swapped out"
            )
        require_kind(self, path, total)
        return self._located(runs, "plugged", total)

    def after(self, first: int | None = None, count: int | None = None) -> HeldPages:
        """Where pages are just after the hold: those that were held, or ``count`` others."""
        _, runs = self._memory("after")
        if first is None or count is None:
            path = self.event("hold")
            first, count = (self.facts.integer(*path, name) for name in ("first_page", "pages"))
        if first < 0 or count < 0:
            raise EvidenceGapError(f"pinholder cannot hold {count} pages from page {first} on")
        return self._located(pages_in(runs, first, count), "held", count)

    def tricks_played(self) -> list[str]:
        """The scenario's tricks that the holder came to: a refused hold has no second half."""
        events = self.facts.sequence("holder", "events")
        played = [
            self.facts.text("holder", "events", index, "trick")
            for index, event in enumerate(events)
            if event.get("event") == "trick"
        ]
        if not set(played) <= set(self.scenario.tricks):
            raise EvidenceGapError(f"the holder played other tricks than the scenario's: {played}")
        return played

    def require_tricks_undone(self) -> None:
        """What a trick does to removal itself must be over before anything is removed."""
        for name in self.scenario.tricks:
            point = TRICKS[name].undone_at
            if point is None:
                continue
            path = self.event("trick", trick=name, point=point)
            # Which of the trick's events this is must itself be evidence.
            self.facts.text(*path, "trick")
            self.facts.text(*path, "point")
            if self.facts.integer(*path, "result") != 0:
                raise EvidenceGapError(f"the trick {name} did not take back what it had done")

    def held_by_tricks(self) -> Mapping[str, int]:
        """Pages by block that tricks hold by themselves, where the hold was refused."""
        holding = {
            name: TRICKS[name].last_pages_held
            for name in self.scenario.tricks
            if TRICKS[name].last_pages_held
        }
        if not holding:
            return {}
        for name in holding:
            if self.facts.integer(*self.event("trick", trick=name), "result") < 0:
                raise EvidenceGapError("the trick that was to hold pages failed")
        pages = max(holding.values())
        total = self.scenario.size // self.page_size_bytes()
        return self.after(total - pages, pages).by_block

    # -- what the kernel said and counted

    def log(self) -> tuple[KmsgRecord, ...]:
        """The kernel's log, record by record."""
        with _malformed_is_a_gap():
            return tuple(parse_kmsg(self.facts.text("kmsg", "records")))

    def pins(self, snapshot: str) -> dict[int, int]:
        """Pins held by node: nr_foll_pin_acquired - nr_foll_pin_released."""
        return {node: self._pins_of(snapshot, node) for node in self.nodes(snapshot)}

    def pins_taken(self) -> dict[int, int]:
        """Pins that came between ``plugged`` and ``held``, by node."""
        return self.pins_between("plugged", "held")

    def pins_between(self, first: str, second: str) -> dict[int, int]:
        """By how many the pins held on each node grew between two snapshots."""
        before, after = self.pins(first), self.pins(second)
        if before.keys() != after.keys():
            raise EvidenceGapError(f"nodes came or went between {first!r} and {second!r}")
        return {node: after[node] - before[node] for node in after}

    def require_start_in_movable(self) -> None:
        """Only pages that were in removable memory can show what the kernel does with them."""
        if self.way.own_memory:
            return  # they are made by the hold
        before = self.before()
        started = before.by_zone.get((self.node(), MOVABLE), 0)
        if started != before.frames:
            raise EvidenceGapError(
                f"only {started} of {before.frames} pages were in node {self.node()}'s "
                "ZONE_MOVABLE before the hold: nothing was asked of the kernel"
            )

    def held(self) -> HeldPages:
        """The pages held, once the three sources agree on them."""
        self.require_start_in_movable()
        pages = self.after()
        total = self.scenario.size // self.page_size_bytes()
        if self.way.own_memory:
            _, runs = self._memory("after")
            total = sum(run.count for run in runs)
        if pages.count != total and not self.way.partial:
            raise EvidenceGapError(f"the hold took {pages.count} of the {total} pages there")
        require_counted(self, pages)
        return pages

    def _memory(self, when: str) -> tuple[tuple[str | int, ...], tuple[PageRun, ...]]:
        """The event that says where the memory's pages are, and its runs, whole."""
        page_bytes = self.page_size_bytes()
        if self.facts.integer(*self.event("start"), "page_size_bytes") != page_bytes:
            raise EvidenceGapError("guest and holder disagree about the size of a page")
        path = self.event("pages", when=when)
        # Which of the two events this is must itself be evidence.
        self.facts.text(*path, "when")
        runs = page_runs(self.facts.value(*path, "runs"))
        absent = sum(run.count for run in runs if run.first is None)
        if self.facts.integer(*path, "absent") != absent:
            raise EvidenceGapError(
                f"pinholder contradicts itself about absent pages {when} the hold"
            )
        count, wanted = sum(run.count for run in runs), self.scenario.size // page_bytes
        if count != wanted and not self.way.own_memory:
            raise EvidenceGapError(
                f"the holder's pagemap shows {count} pages {when} the hold, the scenario has "
                f"{wanted}"
            )
        return path, runs

    def _located(self, runs: tuple[PageRun, ...], snapshot: str, count: int) -> HeldPages:
        ranges = page_ranges(runs, merged=self.kind.starts is Start.MERGED)
        block_pages = self.block_size_bytes() // self.page_size_bytes()
        return located(ranges, self.zones(snapshot), block_pages, count)

    def census(self, path: tuple[str | int, ...], name: str) -> dict[str, int]:
        """``flags`` or ``mapcounts`` of a ``pages`` event: how many pages, by flag or count.

        Empty where the guest could not read the files that it is from.
        """
        if self.facts.optional(*path, name) is None:
            return {}
        found = self.facts.mapping(*path, name)
        return {key: self.facts.integer(*path, name, key) for key in sorted(found)}

    def _event_names(self) -> list[str]:
        """The names of pinholder's events, in order."""
        events = self.facts.sequence("holder", "events")
        names = [
            self.facts.text("holder", "events", index, "event") for index in range(len(events))
        ]
        strange = set(names) - _HOLDER_EVENTS
        if strange:
            raise EvidenceGapError(f"pinholder said what it never says: {sorted(strange)!r:.60}")
        return names

    def _pins_of(self, snapshot: str, node: int) -> int:
        with _malformed_is_a_gap():
            counters = parse_counters(self.file(snapshot, f"{NODE}{node}/vmstat"))
        for name in ("nr_foll_pin_acquired", "nr_foll_pin_released"):
            if name not in counters:
                raise EvidenceGapError(f"node {node} has no counter {name} in {snapshot!r}")
        return counters["nr_foll_pin_acquired"] - counters["nr_foll_pin_released"]

    def _state(self, snapshot: str, path: str) -> str:
        state = self.file(snapshot, path).strip()
        if state not in _STATES:
            raise EvidenceGapError(f"{path} reads {state!r} in {snapshot!r}, no state of a block")
        return state

    def positive(self, *path: str | int) -> int:
        """A whole number above 0."""
        value = self.facts.integer(*path)
        if value <= 0:
            raise EvidenceGapError(f"evidence is malformed: {pointer(path)} is {value}")
        return value


@contextmanager
def _malformed_is_a_gap() -> Iterator[None]:
    """Text that its parser refuses is a gap in the evidence, not a crash of the judgement."""
    try:
        yield
    except ParseError as error:
        raise EvidenceGapError(f"evidence is malformed: {error}") from error

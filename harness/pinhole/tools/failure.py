# SPDX-License-Identifier: GPL-2.0-only
"""What a report shows where a test failed: holders, blocks, the kernel's lines, verdicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pinhole.errors import PinholeError
from pinhole.guest.guest import Guest
from pinhole.guest.holder import Holder
from pinhole.guest.kmsg import read_kmsg
from pinhole.guest.memory import MemoryBlock, block_of, blocks_of
from pinhole.guest.parse_error import ParseError, quoted
from pinhole.guest.snapshot import take
from pinhole.health.findings import findings
from pinhole.health.kmsg import KmsgRecord, parse_kmsg
from pinhole.scenario.engine import Result
from pinhole.scenario.evidence import FILE_NAME, write_whole
from pinhole.scenario.ruling import State

_MOST_LINES = 15
_MOST_CHARACTERS = 300


def describe_guest(guest: Guest, holders: Sequence[Holder], folder: Path) -> list[str]:
    """Lines for a report; the whole snapshot, log and holders' words go into ``folder``.

    A guest that is dead is described by the reason of its death. Raises nothing: the report is
    about the test.
    """
    lines = [f"kernel: {guest.kernel.release} ({guest.kernel.origin})"]
    try:
        for number, holder in enumerate(holders):
            events = list(holder.raw_events)
            write_whole(folder / f"holder-{number}.json", json.dumps(events, indent=1))
            lines += [
                f"pinholder: {json.dumps(event)[:_MOST_CHARACTERS]}"
                for event in events[-_MOST_LINES:]
            ]
        guest.machine.check()
        found = take(guest.channel, budget=guest.budgets.command)
        write_whole(folder / "snapshot.json", json.dumps(dict(found.raw), indent=1))
        lines += _blocks(found.raw, _page_size_bytes(guest), holders)
        log = read_kmsg(guest.channel, budget=guest.budgets.command)
        write_whole(folder / "kmsg.txt", log.text)
        lines += _log(list(parse_kmsg(log.text)))
    except PinholeError as error:
        lines.append(f"no more can be told: {error}")
    return lines


def describe_result(result: Result, folder: Path) -> list[str]:
    """Lines on a scenario that was played: its status, and each promise that was not kept."""
    because = f": {result.reason}" if result.reason else ""
    lines = [f"{folder.name}: {result.status}{because}"]
    if result.comparison is not None:
        lines += [f"  {difference}" for difference in result.comparison.differences]
    if result.verdict is not None:
        for one in result.verdict.judgements:
            if one.state in (State.BROKEN, State.UNKNOWN):
                lines.append(f"  {one.promise} is {one.state}: {one.reason}")
                lines += [f"    dmesg: {line}" for line in one.lines]
    return [*lines, f"  evidence: {folder / FILE_NAME}"]


def _page_size_bytes(guest: Guest) -> int:
    said = guest.facts.get("page_size_bytes")
    if not isinstance(said, int) or said < 1:
        raise ParseError(f"the guest's init named no page size: {quoted(str(said))}")
    return said


def _blocks(
    files: Mapping[str, str], page_size_bytes: int, holders: Iterable[Holder]
) -> Iterator[str]:
    """Where pages are held, and the blocks that are not online."""
    blocks = blocks_of(files, page_size_bytes)
    for holder in holders:
        over = (holder.refused, holder.unanswered, holder.released, holder.exit_status)
        if all(one is None for one in over):
            yield f"held: {_held(holder, blocks)}"
    for state in ("offline", "going-offline"):
        names = [block.name for block in blocks if block.state == state]
        if names:
            yield f"{state}: {', '.join(names)}"


def _held(holder: Holder, blocks: Sequence[MemoryBlock]) -> str:
    """How many of the holder's pages are in which block, by its last word on them."""
    pages = holder.pages("now") or holder.pages("after")
    if pages is None or pages.runs is None:
        return "pages whose place is not known"
    places = (block_of(pfn, blocks) for pfn in pages.pfns() if pfn is not None)
    counts = Counter(place.name if place else "no block" for place in places)
    return ", ".join(f"{count} pages in {name}" for name, count in counts.items())


def _log(records: Sequence[KmsgRecord]) -> Iterator[str]:
    """What in the kernel's log must not be there, then its last lines."""
    for finding in findings(records)[:_MOST_LINES]:
        yield f"{finding.kind}: {finding.text[:_MOST_CHARACTERS]}"
    for record in records[-_MOST_LINES:]:
        yield f"dmesg: {record.text[:_MOST_CHARACTERS]}"

# SPDX-License-Identifier: GPL-2.0-only
"""Memory blocks as typed values, and where a page is: its zone and its block.

``blocks_of`` takes the files that a snapshot read, so the same function serves a live guest and
evidence that was kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pinhole.guest.channel import Channel
from pinhole.guest.parse_error import ParseError, quoted
from pinhole.guest.text import Zone, parse_block_size, parse_hex

MEMORY = "/sys/devices/system/memory"
NODES = "/sys/devices/system/node"
BLOCK_SIZE_FILE = f"{MEMORY}/block_size_bytes"

# From 5.15 on other files stand beside the blocks (node1/memory_failure), so the digits count.
BLOCK_GLOBS = (
    BLOCK_SIZE_FILE,
    f"{MEMORY}/memory[0-9]*/state",
    f"{MEMORY}/memory[0-9]*/valid_zones",
    f"{MEMORY}/memory[0-9]*/phys_index",
    f"{NODES}/node[0-9]*/memory[0-9]*/state",
)

_BLOCK_FILE = re.compile(rf"{MEMORY}/(memory(\d+))/state")
_NODE_LINK = re.compile(rf"{NODES}/node(\d+)/(memory\d+)/state")
_STATES = frozenset({"online", "offline", "going-offline"})


class AmbiguousZoneError(ParseError):
    """A page lies in the spans of several zones, so its zone cannot be told from them."""


@dataclass(frozen=True)
class MemoryBlock:
    """One memory block of sysfs. ``node`` is None where no node links to it.

    ``state`` is ``online``, ``offline`` or ``going-offline``; ``valid_zones`` are the zone it is
    in, or those that it may be onlined to; ``phys_index`` is its place in units of the block size.
    """

    name: str
    number: int
    node: int | None
    state: str
    valid_zones: tuple[str, ...]
    phys_index: int
    start_pfn: int
    pages: int

    def holds(self, pfn: int) -> bool:
        """``pfn`` is in this block."""
        return self.start_pfn <= pfn < self.start_pfn + self.pages


def blocks_of(files: Mapping[str, str], page_size_bytes: int) -> tuple[MemoryBlock, ...]:
    """All memory blocks that the text of ``BLOCK_GLOBS`` shows, by number.

    Raises ``ParseError`` where a file is missing or is not what the kernel writes.
    """
    block_pages = parse_block_size(_file(files, BLOCK_SIZE_FILE)) // page_size_bytes
    nodes = _nodes(files)
    blocks = [
        _block(files, match[1], int(match[2]), nodes.get(match[1]), block_pages)
        for path in files
        if (match := _BLOCK_FILE.fullmatch(path))
    ]
    if not blocks:
        raise ParseError(f"no memory block was read from {MEMORY}")
    return tuple(sorted(blocks, key=lambda block: block.number))


def read_blocks(
    channel: Channel, page_size_bytes: int, *, budget: float
) -> tuple[MemoryBlock, ...]:
    """All memory blocks of a guest, now."""
    return blocks_of(channel.read_many(BLOCK_GLOBS, budget=budget).texts(), page_size_bytes)


def zones_of(pfn: int, zones: Iterable[Zone]) -> tuple[Zone, ...]:
    """Every zone whose span holds ``pfn``: spans of two nodes may overlap (interleaved memory)."""
    return tuple(zone for zone in zones if zone.spans(pfn))


def zone_of(pfn: int, zones: Iterable[Zone]) -> Zone | None:
    """The zone whose span holds ``pfn``; None if none does; ``AmbiguousZoneError`` if several."""
    found = zones_of(pfn, zones)
    if len(found) > 1:
        names = " and ".join(f"{zone.name} of node {zone.node}" for zone in found)
        raise AmbiguousZoneError(f"page {pfn:#x} lies in the spans of {names}")
    return found[0] if found else None


def block_of(pfn: int, blocks: Iterable[MemoryBlock]) -> MemoryBlock | None:
    """The block that holds ``pfn``; None if there is none."""
    return next((block for block in blocks if block.holds(pfn)), None)


def _block(
    files: Mapping[str, str], name: str, number: int, node: int | None, block_pages: int
) -> MemoryBlock:
    folder = f"{MEMORY}/{name}"
    state = _file(files, f"{folder}/state").strip()
    if state not in _STATES:
        raise ParseError(f"{name} has the unknown state {quoted(state)}")
    zones = _file(files, f"{folder}/valid_zones").split()
    phys_index = parse_hex(_file(files, f"{folder}/phys_index"), f"{folder}/phys_index")
    return MemoryBlock(
        name=name,
        number=number,
        node=node,
        state=state,
        valid_zones=() if zones == ["none"] else tuple(zones),
        phys_index=phys_index,
        start_pfn=phys_index * block_pages,
        pages=block_pages,
    )


def _nodes(files: Mapping[str, str]) -> dict[str, int]:
    """The node of each block; a block that spans two nodes is an error: its pages are in both."""
    found: dict[str, int] = {}
    for path in files:
        match = _NODE_LINK.fullmatch(path)
        if match is not None and found.setdefault(match[2], int(match[1])) != int(match[1]):
            raise ParseError(f"{match[2]} belongs to the nodes {found[match[2]]} and {match[1]}")
    return found


def _file(files: Mapping[str, str], path: str) -> str:
    if path not in files:
        raise ParseError(f"{path} was not read")
    return files[path]

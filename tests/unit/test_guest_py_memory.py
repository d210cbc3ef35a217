# SPDX-License-Identifier: GPL-2.0-only
"""Memory blocks and the place of a page, from snapshots of real guests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhole.guest.memory import (
    MEMORY,
    NODES,
    AmbiguousZoneError,
    block_of,
    blocks_of,
    zone_of,
    zones_of,
)
from pinhole.guest.text import ParseError, Zone, parse_zoneinfo

CAPTURED = Path(__file__).parent / "captured"
KERNELS = ["5.10", "6.12"]
PAGE = 4096


def files(kernel: str, name: str) -> dict[str, str]:
    """The files of a snapshot, by path."""
    loaded = json.loads((CAPTURED / kernel / f"{name}.snapshot.json").read_text())
    return dict(loaded["files"])


@pytest.mark.parametrize("kernel", KERNELS)
def test_blocks_of_a_plugged_dimm(kernel: str) -> None:
    blocks = blocks_of(files(kernel, "plugged"), PAGE)
    dimm = [block for block in blocks if block.node == 1]
    assert [block.name for block in dimm] == ["memory32", "memory33", "memory34", "memory35"]
    assert {block.state for block in dimm} == {"online"}
    assert {block.valid_zones for block in dimm} == {("Movable",)}
    assert [block.start_pfn for block in dimm] == [0x100000, 0x108000, 0x110000, 0x118000]
    assert {block.pages for block in dimm} == {0x8000}
    assert [block.number for block in blocks] == [*range(8), 32, 33, 34, 35]


@pytest.mark.parametrize("kernel", KERNELS)
def test_offline_blocks_say_where_they_may_go(kernel: str) -> None:
    blocks = blocks_of(files(kernel, "plugged-offline"), PAGE)
    dimm = [block for block in blocks if block.node == 1]
    assert {block.state for block in dimm} == {"offline"}
    assert all("Movable" in block.valid_zones for block in dimm)


def test_a_page_is_in_one_block_and_one_zone() -> None:
    read = files("6.12", "plugged")
    blocks, zones = blocks_of(read, PAGE), parse_zoneinfo(read["/proc/zoneinfo"])
    for pfn, name, zone in [
        (0x1, "memory0", "DMA"),
        (0x1000, "memory0", "DMA32"),
        (0x100000, "memory32", "Movable"),
        (0x11FFFF, "memory35", "Movable"),
    ]:
        block, found = block_of(pfn, blocks), zone_of(pfn, zones)
        assert block is not None
        assert found is not None
        assert (block.name, found.name) == (name, zone)
    for pfn in (0, 0x120000, 1 << 40):
        assert zone_of(pfn, zones) is None
    assert block_of(0x120000, blocks) is None


def test_overlapping_spans_are_said() -> None:
    zone = Zone(0, "Normal", 10, 10, 10, 10, 10)
    other = replace(zone, node=1, start_pfn=15)
    assert zones_of(17, [zone, other]) == (zone, other)
    with pytest.raises(AmbiguousZoneError, match="Normal of node 0 and Normal of node 1"):
        zone_of(17, [zone, other])
    assert zone_of(12, [zone, other]) == zone


@given(st.integers(0, 200), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_zones_side_by_side_hold_each_page_once(pfn: int, sizes: list[int]) -> None:
    zones, start = [], 7
    for size in sizes:
        zones.append(Zone(0, f"Z{start}", start, size, size, size, 0))
        start += size
    assert len(zones_of(pfn, zones)) == (1 if 7 <= pfn < start else 0)


@pytest.mark.parametrize("missing", ["valid_zones", "phys_index"])
def test_a_block_file_that_was_not_read_is_refused(missing: str) -> None:
    read = files("6.12", "plugged")
    del read[f"{MEMORY}/memory33/{missing}"]
    with pytest.raises(ParseError, match=f"memory33/{missing}"):
        blocks_of(read, PAGE)


def test_unknown_states_and_no_blocks_are_refused() -> None:
    read = files("6.12", "plugged")
    with pytest.raises(ParseError, match="melted"):
        blocks_of(read | {f"{MEMORY}/memory33/state": "melted\n"}, PAGE)
    with pytest.raises(ParseError, match="no memory block"):
        blocks_of({f"{MEMORY}/block_size_bytes": "8000000\n"}, PAGE)


def test_a_block_of_two_nodes_is_refused() -> None:
    read = files("6.12", "plugged") | {f"{NODES}/node0/memory33/state": "online\n"}
    with pytest.raises(ParseError, match="memory33 belongs to the nodes"):
        blocks_of(read, PAGE)

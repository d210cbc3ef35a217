# SPDX-License-Identifier: GPL-2.0-only
"""The parsers of the kernel's text, on text of real guests and on text that is not the kernel's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhole.guest.text import (
    ParseError,
    parse_block_size,
    parse_counters,
    parse_meminfo,
    parse_ranges,
    parse_zoneinfo,
)
from pinhole.size import KIB, MIB

CAPTURED = Path(__file__).parent / "captured"
KERNELS = ["5.10", "6.12"]
NODE1_VMSTAT = "/sys/devices/system/node/node1/vmstat"


def files(kernel: str, name: str) -> dict[str, str]:
    """The files of a snapshot, by path."""
    loaded = json.loads((CAPTURED / kernel / f"{name}.snapshot.json").read_text())
    return dict(loaded["files"])


@pytest.mark.parametrize("kernel", KERNELS)
def test_zones_of_a_plugged_node(kernel: str) -> None:
    zones = parse_zoneinfo(files(kernel, "plugged")["/proc/zoneinfo"])
    spanned = {(zone.node, zone.name): zone for zone in zones if zone.spanned_pages}
    assert set(spanned) == {(0, "DMA"), (0, "DMA32"), (1, "Movable")}
    movable = spanned[1, "Movable"]
    assert (movable.start_pfn, movable.end_pfn) == (0x100000, 0x120000)
    assert movable.spanned_pages == movable.present_pages == movable.managed_pages == 0x20000
    assert 0 < movable.free_pages <= movable.managed_pages
    assert movable.counters["nr_free_pages"] == movable.free_pages
    assert "start_pfn" not in movable.counters


@pytest.mark.parametrize("kernel", KERNELS)
def test_empty_zones_span_nothing(kernel: str) -> None:
    zones = parse_zoneinfo(files(kernel, "bare")["/proc/zoneinfo"])
    movable = next(zone for zone in zones if zone.name == "Movable")
    assert (movable.start_pfn, movable.spanned_pages, movable.managed_pages) == (0, 0, 0)
    assert not movable.spans(0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_pins_show_in_the_node_where_the_pages_are(kernel: str) -> None:
    def pins(name: str, node: int) -> int:
        text = files(kernel, name)[f"/sys/devices/system/node/node{node}/vmstat"]
        counters = parse_counters(text)
        return counters["nr_foll_pin_acquired"] - counters["nr_foll_pin_released"]

    taken = [pins("held-io_uring", node) - pins("plugged", node) for node in (0, 1)]
    assert taken == ([0, 4096] if kernel == "5.10" else [4096, 0])


def test_a_counter_the_kernel_lacks_is_absent() -> None:
    assert "nr_foll_pin_acquired" not in parse_counters("nr_free_pages 12\n")


@pytest.mark.parametrize("kernel", KERNELS)
def test_meminfo_is_in_bytes_and_counts_stay(kernel: str) -> None:
    before = parse_meminfo(files(kernel, "bare")["/proc/meminfo"])
    after = parse_meminfo(files(kernel, "plugged")["/proc/meminfo"])
    assert after["MemTotal"] - before["MemTotal"] == 512 * MIB
    assert after["HugePages_Total"] == 0
    assert after["Hugepagesize"] == 2 * MIB
    node = parse_meminfo(files(kernel, "plugged")["/sys/devices/system/node/node1/meminfo"])
    assert node["MemTotal"] == 512 * MIB


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,20}", fullmatch=True), st.integers()))
def test_counters_read_back(counters: dict[str, int]) -> None:
    text = "".join(f"{name} {value}\n" for name, value in counters.items())
    if counters:
        assert parse_counters(text) == counters
    else:
        with pytest.raises(ParseError):
            parse_counters(text)


@given(st.sets(st.integers(0, 300)))
def test_ranges_read_back(numbers: set[int]) -> None:
    ordered = sorted(numbers)
    parts: list[list[int]] = []
    for number in ordered:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    text = ",".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)
    assert parse_ranges(text + "\n") == ordered


@pytest.mark.parametrize("text", ["1-", "x", "3-1", "1,1", "2,1", "0-99999999", "1 2"])
def test_lists_of_numbers_that_are_none(text: str) -> None:
    with pytest.raises(ParseError):
        parse_ranges(text)


def test_block_size_is_hexadecimal() -> None:
    assert parse_block_size("8000000\n") == 128 * MIB


@pytest.mark.parametrize("text", ["", "0\n", "0x8000000\n", "-1\n", "8000000 \n", "9" * 17])
def test_block_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ParseError):
        parse_block_size(text)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("path", "parse"),
    [
        ("/proc/zoneinfo", parse_zoneinfo),
        ("/proc/vmstat", parse_counters),
        ("/proc/meminfo", parse_meminfo),
    ],
)
def test_text_cut_in_a_line_is_refused(kernel: str, path: str, parse: object) -> None:
    text = files(kernel, "plugged")[path]
    assert callable(parse)
    parse(text)
    for cut in (text[:-1], text[: len(text) // 2].rstrip("\n"), ""):
        with pytest.raises(ParseError):
            parse(cut)


def test_a_last_number_without_its_newline_is_refused() -> None:
    with pytest.raises(ParseError, match="cut"):
        parse_counters("nr_free_pages 126")


@pytest.mark.parametrize("name", ["spanned", "present", "managed", "start_pfn"])
def test_a_zone_that_lacks_a_number_is_refused(name: str) -> None:
    text = files("6.12", "plugged")["/proc/zoneinfo"]
    kept = [line for line in text.splitlines(keepends=True) if not re.match(rf" +{name}\b", line)]
    with pytest.raises(ParseError, match=name):
        parse_zoneinfo("".join(kept))


def test_a_number_that_stands_twice_is_refused() -> None:
    text = files("6.12", "plugged")["/proc/zoneinfo"]
    with pytest.raises(ParseError, match="twice"):
        parse_zoneinfo(text.replace("        spanned  ", "        spanned  1\n        spanned  "))
    with pytest.raises(ParseError, match="twice"):
        parse_zoneinfo(text + text)
    with pytest.raises(ParseError, match="twice"):
        parse_counters("a 1\na 1\n")
    with pytest.raises(ParseError, match="twice"):
        parse_meminfo("MemTotal: 1 kB\nMemTotal: 1 kB\n")


def test_a_unit_that_is_not_kb_is_refused() -> None:
    assert parse_meminfo("MemTotal: 3 kB\n") == {"MemTotal": 3 * KIB}
    assert parse_meminfo("HugePages_Total:     3\n") == {"HugePages_Total": 3}
    with pytest.raises(ParseError):
        parse_meminfo("MemTotal: 3 MB\n")


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    for parse in (parse_zoneinfo, parse_counters, parse_meminfo, parse_ranges, parse_block_size):
        try:
            parse(text)
        except ParseError as error:
            assert len(str(error)) < 2500

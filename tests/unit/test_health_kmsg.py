# SPDX-License-Identifier: GPL-2.0-only
"""Records of /dev/kmsg and the lines on removal among them, from real logs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhole.guest.parse_error import ParseError
from pinhole.health.kmsg import Gap, KmsgRecord, gaps, parse_kmsg
from pinhole.health.removal_lines import RemovalLineKind, removal_lines

CAPTURED = Path(__file__).parent / "captured"
KERNELS = ["5.10", "6.12"]


def text(kernel: str, name: str) -> str:
    return (CAPTURED / kernel / f"{name}.kmsg").read_text()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_boot_is_read_without_gaps(kernel: str) -> None:
    records = parse_kmsg(text(kernel, "boot"))
    assert records[0].sequence == 0
    assert records[0].text.startswith(f"Linux version {kernel}")
    assert (records[0].facility, records[0].level) == (0, 5)
    assert gaps(records) == []
    assert any(record.fields.get("SUBSYSTEM") for record in records)
    assert records[-1].usec > 1_000_000


def test_records_that_were_taken_out_are_a_gap() -> None:
    records = parse_kmsg(text("6.12", "boot"))
    assert gaps(records[:10] + records[13:]) == [Gap(10, 12)]
    with pytest.raises(ParseError, match="goes back"):
        gaps(records[5:] + records[:5])


def test_escapes_are_undone() -> None:
    (record,) = parse_kmsg("14,1,2,-;hello \\xc3\\xa4 \\x5cx41 \\x1b[2J\n KEY=a\\x0ab\n")
    assert record.text == "hello ä \\x41 \x1b[2J"
    assert record.fields == {"KEY": "a\nb"}
    assert not record.from_kernel


def test_later_kernels_may_add_to_the_prefix() -> None:
    (record,) = parse_kmsg("6,1,2,-,caller=T12,more;text; with, marks\n")
    assert record.text == "text; with, marks"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\\"), max_size=50))
def test_any_text_is_read_back(said: str) -> None:
    escaped = "".join(
        one if " " <= one <= "~" else "".join(f"\\x{byte:02x}" for byte in one.encode())
        for one in said
    )
    assert [one.text for one in parse_kmsg(f"14,7,8,-;{escaped}\n")] == [said]


@pytest.mark.parametrize("bad", ["no record\n", "6,1,2,-;cut", " KEY=value\n", "a,1,2,-;x\n", "\n"])
def test_malformed_logs_are_refused(bad: str) -> None:
    with pytest.raises(ParseError):
        parse_kmsg(bad)


def kinds(kernel: str, way: str) -> Counter[RemovalLineKind]:
    return Counter(line.kind for line in removal_lines(parse_kmsg(text(kernel, f"offline-{way}"))))


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_held_block_shows_its_pages(kernel: str) -> None:
    lines = removal_lines(parse_kmsg(text(kernel, "offline-vmsplice")))
    failed = [line for line in lines if line.kind is RemovalLineKind.MIGRATION_FAILED]
    assert failed
    assert all(line.pfn is not None and 0x100000 <= line.pfn < 0x108000 for line in failed)
    assert {line.result for line in failed} == {256}
    pages = [line for line in lines if line.kind is RemovalLineKind.PAGE]
    assert [line.pfn for line in pages] == [line.pfn for line in failed]
    # A reference of vmsplice is a plain one: a little above the mappings, far below a pin's 1024.
    assert all(line.refcount == 3 and line.mapcount == 1 for line in pages)
    flags = [line.flags for line in lines if line.kind is RemovalLineKind.PAGE_FLAGS]
    assert len(flags) == len(pages)
    assert all("swapbacked" in one and "locked" not in one for one in flags)
    dumped = [line.reason for line in lines if line.kind is RemovalLineKind.PAGE_DUMPED]
    assert set(dumped) == {"migration failure"}


def test_pinned_pages_show_the_weight_of_a_pin() -> None:
    lines = removal_lines(parse_kmsg(text("5.10", "offline-io_uring")))
    weights = [line.refcount for line in lines if line.kind is RemovalLineKind.PAGE]
    assert weights
    assert all(weight is not None and weight >= 1024 for weight in weights)


def test_blocks_that_went_are_told_by_the_old_kernel_only() -> None:
    assert kinds("5.10", "io_uring")[RemovalLineKind.OFFLINED] == 3 + 1
    assert kinds("6.12", "io_uring") == Counter()


# Not seen in these guests: the words of the kernel's format strings.
@pytest.mark.parametrize(
    ("said", "kind", "pfn", "last_pfn"),
    [
        ("failed to isolate pfn 1000ff", RemovalLineKind.ISOLATION_FAILED, 0x1000FF, None),
        (
            "alloc_contig_range: [100000, 100400) PFNs busy",
            RemovalLineKind.CONTIG_BUSY,
            0x100000,
            0x1003FF,
        ),
        (
            "memory offlining [mem 0x100000000-0x107ffffff] failed due to signal backoff",
            RemovalLineKind.OFFLINING_FAILED,
            None,
            None,
        ),
    ],
)
def test_the_words_of_the_kernel(
    said: str, kind: RemovalLineKind, pfn: int | None, last_pfn: int | None
) -> None:
    (line,) = removal_lines([KmsgRecord(0, 6, 1, 2, "-", said)])
    assert (line.kind, line.pfn, line.last_pfn) == (kind, pfn, last_pfn)


def test_what_a_process_says_of_removal_is_no_line() -> None:
    said = "migrating pfn 100000 failed ret:256"
    assert removal_lines([KmsgRecord(1, 6, 1, 2, "-", said)]) == []

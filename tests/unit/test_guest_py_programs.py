# SPDX-License-Identifier: GPL-2.0-only
"""What pinguest and pinholder write, read from real output and from output that is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinhole.errors import HolderError
from pinhole.guest.clock import ClockSample, map_clock
from pinhole.guest.fileset import Frames, field, parse_fileset
from pinhole.guest.holder_events import HoldEvent, PagesEvent, expand_runs, parse_event
from pinhole.guest.kmsg import parse_log
from pinhole.guest.parse_error import ParseError
from pinhole.guest.quote import glob_literal, shell_line
from pinhole.guest.removal import parse_attempt
from pinhole.health.kmsg import parse_kmsg

CAPTURED = Path(__file__).parent / "captured"
KERNELS = ["5.10", "6.12"]


def read(kernel: str, name: str) -> bytes:
    return (CAPTURED / kernel / name).read_bytes()


def lines(kernel: str, name: str) -> list[str]:
    return read(kernel, name).decode().splitlines()


@pytest.mark.parametrize("kernel", KERNELS)
def test_framed_files(kernel: str) -> None:
    found = parse_fileset(read(kernel, "pinguest-read.bin"))
    assert found.boottime > 0
    assert len(found.files) == 5
    assert found.texts() == {
        f"/sys/devices/system/memory/memory{number}/state": "online\n" for number in (0, 1, 2)
    }
    assert found.errors() == {"/proc/vmstat": "EFBIG", "/no/such": "ENOENT"}
    assert len(found.files["/proc/vmstat"].data) == 64


@pytest.mark.parametrize("name", ["pinguest-read.bin", "pinguest-kmsg.bin"])
def test_output_cut_anywhere_is_refused(name: str) -> None:
    whole = read("6.12", name)
    parse = parse_fileset if name == "pinguest-read.bin" else parse_log
    parse(whole)
    for cut in range(len(whole)):
        with pytest.raises(ParseError):
            parse(whole[:cut])
    with pytest.raises(ParseError, match="after its end"):
        parse(whole + b"{}\n")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_fileset_or_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_fileset(data)


def test_a_wrong_count_of_bytes_is_refused() -> None:
    whole = read("6.12", "pinguest-read.bin")
    for wrong in (b'"bytes":6', b'"bytes":8', b'"bytes":-1', b'"bytes":"7"', b'"bytes":99999'):
        with pytest.raises(ParseError):
            parse_fileset(whole.replace(b'"bytes":7', wrong, 1))


def test_counts_below_zero_and_booleans_are_refused() -> None:
    frames = Frames(b"{}\nx\n")
    frames.line()
    with pytest.raises(ParseError, match="announced -1 bytes"):
        frames.raw(-1)
    with pytest.raises(ParseError, match="bytes"):
        field({"bytes": True}, "bytes", int)
    assert field({"end": True}, "end", bool) is True


@pytest.mark.parametrize("kernel", KERNELS)
def test_framed_log(kernel: str) -> None:
    log = parse_log(read(kernel, "pinguest-kmsg.bin"))
    assert (log.overrun, log.complete) == (False, True)
    sequences = [record.sequence for record in parse_kmsg(log.text)]
    assert sequences == [log.first_sequence, log.last_sequence]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("way", "pages"), [("io_uring", 4096), ("vmsplice", 256)])
def test_holder_lines(kernel: str, way: str, pages: int) -> None:
    parsed = [parse_event(line) for line in lines(kernel, f"{way}.holder.jsonl")]
    events = [event for event, _ in parsed]
    assert [event.event for event in events][-3:] == ["holding", "verify", "released"]
    assert [raw for _, raw in parsed] == [
        json.loads(line) for line in lines(kernel, f"{way}.holder.jsonl")
    ]
    before, after = (event for event in events if isinstance(event, PagesEvent))
    assert (before.when, after.when) == ("before", "after")
    assert len(before.pfns()) == len(after.pfns()) == len(set(after.pfns())) == pages
    migrated = kernel == "6.12" and way == "io_uring"
    assert bool(set(before.pfns()) & set(after.pfns())) != migrated
    (hold,) = (event for event in events if isinstance(event, HoldEvent))
    assert (hold.way, hold.result >= 0, hold.pages) == (way, True, pages)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no json",
        "[1]",
        "{}",
        '{"event":"holding"}',
        '{"event":"holding","boottime":"soon"}',
        '{"event":7,"boottime":1}',
        '{"event":"pages","boottime":1,"when":"after","runs":[[1]]}',
        '{"event":"pages","boottime":1,"when":"after","runs":[["1",2,1]]}',
        "[" * 100_000,
        "\x1b[2J" * 100_000,
    ],
)
def test_malformed_lines_are_quoted_within_bounds(line: str) -> None:
    with pytest.raises(HolderError) as raised:
        parse_event(line)
    assert len(str(raised.value)) < 1500
    assert "\x1b" not in str(raised.value)


def test_an_event_of_a_new_name_is_kept() -> None:
    event, raw = parse_event('{"event":"news","boottime":1,"more":[1]}')
    assert (event.event, raw["more"]) == ("news", [1])


def test_runs_of_frames() -> None:
    runs = [(10, 3, 1), (None, 2, 1), (7, 3, -1), (5, 2, 0)]
    assert list(expand_runs(runs)) == [10, 11, 12, None, None, 7, 6, 5, 5, 5]


@pytest.mark.parametrize("run", [(1, 0, 1), (1, -1, 1), (1, 2, 3), (1, 3, -1)])
def test_runs_that_are_none(run: tuple[int, int, int]) -> None:
    with pytest.raises(ParseError):
        list(expand_runs([run]))


@pytest.mark.parametrize("kernel", KERNELS)
def test_removals_while_held_and_after(kernel: str) -> None:
    tried = [parse_attempt(line) for line in lines(kernel, "vmsplice.removals.jsonl")]
    assert [one.succeeded for one in tried[:4]] == [False, True, True, True]
    looping = tried[0]
    assert (looping.ended, looping.errno_name) == (True, "EINTR")
    assert looping.sigterm_at is not None
    assert looping.sigterm_at >= looping.budget_seconds == 2
    assert looping.passes is not None
    assert looping.passes > 0
    assert tried[4].succeeded
    assert (tried[5].succeeded, tried[5].errno_name) == (False, "EINVAL")
    assert str(tried[5]).startswith("refused with EINVAL")


def test_a_removal_after_sigterm_is_no_success() -> None:
    raw = json.loads(lines("6.12", "vmsplice.removals.jsonl")[1])
    assert parse_attempt(json.dumps(raw)).succeeded
    assert not parse_attempt(json.dumps(raw | {"sigterm_at": 2.0})).succeeded
    assert not parse_attempt(json.dumps(raw | {"ended": False})).succeeded
    assert not parse_attempt(json.dumps(raw | {"result": None})).succeeded


@pytest.mark.parametrize("name", ["path", "ended", "result", "errno_name", "seconds", "passes"])
def test_a_removal_of_wrong_types_is_refused(name: str) -> None:
    raw = json.loads(lines("6.12", "vmsplice.removals.jsonl")[0])
    with pytest.raises(ParseError, match=name):
        parse_attempt(json.dumps(raw | {name: [1]}))


@given(
    st.floats(-1e6, 1e6),
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1), st.floats(0, 1)), min_size=1),
)
def test_the_true_offset_is_within_the_bound(
    offset: float, moments: list[tuple[float, float, float]]
) -> None:
    samples = [
        ClockSample(guest + offset - before, guest, guest + offset + after)
        for guest, before, after in moments
    ]
    mapped = map_clock(samples)
    assert abs(mapped.offset - offset) <= mapped.error_bound + 1e-6
    assert mapped.to_guest(offset) == pytest.approx(0, abs=mapped.error_bound + 1e-6)


def test_samples_that_contradict_each_other_leave_the_tightest() -> None:
    mapped = map_clock([ClockSample(10, 0, 11), ClockSample(20, 0, 20.5)])
    assert (mapped.offset, mapped.error_bound) == (20.25, 0.25)
    with pytest.raises(ValueError, match="before"):
        map_clock([ClockSample(2, 0, 1)])


def test_words_are_quoted_once() -> None:
    assert shell_line(["echo", "it's", "a b"]) == """echo 'it'"'"'s' 'a b'"""
    assert glob_literal("/a*[b]?\\") == r"/a\*\[b\]\?\\"

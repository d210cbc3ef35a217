# SPDX-License-Identifier: GPL-2.0-only
"""pinholder under AddressSanitizer and UBSan: any command line, every way that this host allows.

Built here without RDMA: a program that is not static takes libibverbs and its providers apart.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.test_guest_c_pinholder import GUEST, events, named, names

from pinhole.scenario.hold import HOLD_PATHS
from pinhole.scenario.kind import MEMORY_KINDS
from pinhole.scenario.trick import TRICKS

SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all"
SANITIZER_SAYS = 66
"""No status of pinholder's own (0 to 5), so that a finding is told from an answer."""
STATUSES = range(6)
REFUSED, FAILED, UNSUPPORTED = 1, 3, 5
HOLD_SECONDS = 60.0

OFFLINERS = {"isolated-elsewhere", "offline-meanwhile"}
"""They take memory blocks offline, which this host is to keep."""
SAFE_TRICKS = sorted(TRICKS.keys() - OFFLINERS)

CELLS = [
    (way.name, kind.name)
    for way in HOLD_PATHS.values()
    for kind in MEMORY_KINDS.values()
    if way.own_memory == (kind.name == "own")
]


@pytest.fixture(autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Of tests that run at once (xdist) only one looks at how much the machine has pinned."""
    with (tmp_path_factory.getbasetemp().parent / "pins.lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guest-c-sanitized")
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n", encoding="ascii")
    linked = subprocess.run(
        ["gcc", *SANITIZE.split(), probe, "-o", folder / "probe"],
        check=False,
        capture_output=True,
        text=True,
    )
    if linked.returncode:
        pytest.skip(f"gcc {SANITIZE}: {linked.stderr.strip().splitlines()[-1]}")
    subprocess.run(
        [
            *("make", "-s", "-j2", "-C", GUEST, f"O={folder}"),
            *(f"CFLAGS=-O1 -g -fno-omit-frame-pointer {SANITIZE}", f"ALL_LDFLAGS={SANITIZE}"),
            *("RDMA_CFLAGS=", "RDMA_LIBS=", folder / "pinholder"),
        ],
        check=True,
    )
    return folder / "pinholder"


def run(sanitized: Path, *arguments: str, orders: str = "pages\nrelease\n") -> tuple[int, str, str]:
    done = subprocess.run(
        [sanitized, *arguments],
        check=False,
        input=orders.encode(),
        capture_output=True,
        timeout=HOLD_SECONDS,
        env={
            **os.environ,
            "ASAN_OPTIONS": f"detect_leaks=1:exitcode={SANITIZER_SAYS}",
            "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={SANITIZER_SAYS}",
        },
    )
    out, err = done.stdout.decode(), done.stderr.decode(errors="replace")
    assert done.returncode in STATUSES, err
    return done.returncode, out, err


# Sizes that fit anywhere, sizes that fit nowhere: nothing between, or the host would be emptied.
sizes = st.sampled_from(["4096", "64K", "1M", "2MiB", "64T", "16777216T", "0", "-1", "1", "4097"])
words = st.text(
    alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
)
seconds = st.sampled_from(["0.000001", "0.01", "30", "0", "-1", "1e-320", "inf", "nan", "86401"])
options = st.one_of(
    st.tuples(st.just("--hold"), st.sampled_from(sorted(HOLD_PATHS)) | words),
    st.tuples(st.just("--kind"), st.sampled_from(sorted(MEMORY_KINDS)) | words),
    st.tuples(st.just("--trick"), st.sampled_from(SAFE_TRICKS) | words),
    st.tuples(st.sampled_from(["--size", "--hold-size"]), sizes | words),
    st.tuples(st.just("--node"), st.sampled_from(["0", "1", "1023", "1024", "-1"]) | words),
    st.tuples(st.sampled_from(["--hold-budget", "--hold-grace"]), seconds | words),
    st.tuples(st.sampled_from(["--help", "--list", "--version", "--", "-h", "--after-exec", "-"])),
    st.tuples(words),
)
held = st.tuples(st.just("--hold"), st.sampled_from(sorted(HOLD_PATHS)))
lines = st.one_of(
    st.lists(options, max_size=6),
    # What is understood, so that more than the parser is reached.
    st.builds(
        lambda way, rest: [way, ("--size", "64K"), *rest], held, st.lists(options, max_size=3)
    ),
)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(arguments=lines, orders=st.sampled_from(["", "release\n", "pages\npages\n", "dance\n\n"]))
def test_any_command_line_ends_with_a_status_of_its_own(
    sanitized: Path, arguments: list[tuple[str, ...]], orders: str
) -> None:
    flat = [word for option in arguments for word in option]
    status, out, err = run(sanitized, *flat, orders=orders)
    if status in (2, FAILED, UNSUPPORTED):
        assert err, "whoever asked for the impossible is told so"
    if status == 2:
        assert out == ""
    if not {"--help", "-h", "--version", "--list"} & set(flat):
        assert all(event["event"] for event in events(out))


def pins() -> int:
    """Pages pinned in the whole machine, by the kernel's own counters."""
    # Each CPU keeps a part of a counter for itself, until somebody reads this.
    Path("/proc/sys/vm/stat_refresh").read_text(encoding="ascii")
    text = Path("/proc/vmstat").read_text(encoding="ascii")
    counters = dict(line.split() for line in text.splitlines())
    return int(counters["nr_foll_pin_acquired"]) - int(counters["nr_foll_pin_released"])


def await_pins(most: int) -> int:
    """Pins once there are ``most`` or after 10 s: rings and umems are unpinned by a kworker."""
    end = time.monotonic() + 10
    while (now := pins()) > most and time.monotonic() < end:
        time.sleep(0.02)
    return now


def left_behind() -> dict[str, str | list[str]]:
    """What pinholder could have left in this machine."""
    mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    loops = Path("/sys/block").glob("loop*/loop/backing_file")
    return {
        "mounts": [line for line in mounts if "pinholder" in line],
        "loops": [str(one) for one in loops if "pinholder" in one.read_text(encoding="utf-8")],
        "swaps": [
            line
            for line in Path("/proc/swaps").read_text(encoding="utf-8").splitlines()
            if "pinholder" in line
        ],
        "hugepages": Path("/proc/sys/vm/nr_hugepages").read_text(encoding="ascii").strip(),
    }


@pytest.mark.parametrize(("way", "kind"), CELLS, ids=[f"{way}-{kind}" for way, kind in CELLS])
def test_every_way_with_every_kind_is_clean_and_leaves_nothing(
    sanitized: Path, way: str, kind: str
) -> None:
    before, pinned = left_behind(), pins()
    arguments = ["--hold", way, "--kind", kind, "--size", "2M", "--node", "0"]
    status, out, err = run(sanitized, *arguments)
    found = events(out)
    assert left_behind() == before
    assert await_pins(pinned) <= pinned
    if status == UNSUPPORTED:
        pytest.skip(named(found, "unsupported")["message"])
    assert status in (0, REFUSED), err
    assert named(found, "released")["held"] == (status == 0)
    if status == REFUSED:
        assert named(found, "hold")["errno_name"]
        assert named(found, "usable")["ok"] is True


@pytest.mark.parametrize("kind", ["anonymous", "memfd"])
@pytest.mark.parametrize("way", ["io_uring", "vmsplice", "af_xdp"])
@pytest.mark.parametrize("trick", SAFE_TRICKS)
def test_every_trick_is_clean_and_leaves_nothing(
    sanitized: Path, trick: str, way: str, kind: str
) -> None:
    pinned = pins()
    arguments = ["--hold", way, "--kind", kind, "--size", "1M", "--trick", trick]
    status, out, err = run(sanitized, *arguments, "--hold-budget", "30")
    found = events(out)
    assert await_pins(pinned) <= pinned
    if status == UNSUPPORTED:
        pytest.skip(named(found, "unsupported")["message"])
    assert status in (0, REFUSED), err
    assert trick in [event["trick"] for event in found if event["event"] == "trick"]
    assert names(found)[-1] == "released"


@pytest.mark.parametrize(
    "tricks",
    [("munmap", "munmap"), ("munmap", "madv-dontneed"), ("madv-dontneed", "munmap")],
    ids="+".join,
)
def test_addresses_are_taken_away_once(sanitized: Path, tricks: tuple[str, ...]) -> None:
    """munmap() of 16 MiB at 0 would be munmap() of a static program, which lies at 4 MiB."""
    chosen = [word for trick in tricks for word in ("--trick", trick)]
    status, out, _ = run(sanitized, "--hold", "vmsplice", *chosen)
    assert status == FAILED
    error = named(events(out), "error")
    assert error["doing"] == tricks[1]
    assert error["call"] == "using the memory's addresses"
    assert error["message"].endswith(f"it has none any more: {tricks[0]}")


def test_the_harness_and_pinholder_name_the_same_parts(sanitized: Path) -> None:
    status, out, _ = run(sanitized, "--list")
    assert status == 0
    listed = {key: [row["name"] for row in rows] for key, rows in json.loads(out).items()
              if key != "version"}  # fmt: skip
    assert set(listed["ways"]) == HOLD_PATHS.keys()
    assert set(listed["kinds"]) == MEMORY_KINDS.keys()
    assert set(listed["tricks"]) == TRICKS.keys()
    assert all(rows == sorted(rows) for rows in listed.values())

# SPDX-License-Identifier: GPL-2.0-only
"""The pure parts of the guest's C code, called through ctypes: JSON, the run-length code, sizes."""

from __future__ import annotations

import ctypes
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

GUEST = Path(__file__).resolve().parents[2] / "guest"
SOURCES = ("common/json.c", "common/file.c", "common/number.c", "pinholder/runs.c")
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-I.", "-Icommon")
ABSENT = 2**64 - 1


class Json(ctypes.Structure):
    """struct json of common/json.h."""

    _fields_ = (
        ("text", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
        ("room", ctypes.c_size_t),
        ("comma", ctypes.c_bool),
    )


class Runs(ctypes.Structure):
    """struct runs of pinholder/pages.h."""

    _fields_ = (("run", ctypes.c_void_p), ("count", ctypes.c_size_t), ("room", ctypes.c_size_t))


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("guest-code") / "code.so"
    subprocess.run(
        ["gcc", *FLAGS, *SOURCES, "-o", str(library)],
        cwd=GUEST,
        check=True,
    )
    loaded = ctypes.CDLL(str(library))
    loaded.json_finish.restype = ctypes.c_char_p
    loaded.runs_add.argtypes = (ctypes.POINTER(Runs), ctypes.c_uint64)
    return loaded


def written_string(code: ctypes.CDLL, value: bytes) -> Any:
    """``value`` as a member of an object, written in C and read back here."""
    line = Json()
    code.json_begin(ctypes.byref(line))
    code.json_string(ctypes.byref(line), b"key", value)
    code.json_uint(ctypes.byref(line), b"after", ctypes.c_ulonglong(7))
    text = code.json_finish(ctypes.byref(line))
    assert b"\n" not in text, "an object is one line"
    read = json.loads(text.decode("utf-8", errors="strict"))
    code.json_free(ctypes.byref(line))
    assert read["after"] == 7
    return read["key"]


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_survives_as_json(code: ctypes.CDLL, text: str) -> None:
    assert written_string(code, text.encode()) == text


@given(st.binary().map(lambda value: value.replace(b"\0", b"")))
def test_any_bytes_become_valid_json(code: ctypes.CDLL, value: bytes) -> None:
    kept = written_string(code, value)
    replaced = value.decode("utf-8", errors="replace")
    # How many marks stand for a broken sequence is a matter of taste; what is between is not.
    assert kept.replace("�", "") == replaced.replace("�", "")
    assert ("�" in kept) == ("�" in replaced)


@pytest.mark.parametrize(
    "broken",
    [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"a\x80z"],
    ids=["stray", "overlong", "surrogate", "beyond-unicode", "cut", "continuation"],
)
def test_broken_utf8_is_replaced(code: ctypes.CDLL, broken: bytes) -> None:
    assert "�" in written_string(code, broken)


def test_control_characters_and_quotes_are_escaped(code: ctypes.CDLL) -> None:
    hostile = '"},{"event":"released"\r\n\x1b[2J\\u0000\t\x7f'
    assert written_string(code, hostile.encode()) == hostile


def encoded(code: ctypes.CDLL, pfns: list[int | None]) -> list[list[int | None]]:
    """The runs that pinholder prints for ``pfns``."""
    runs, line = Runs(), Json()
    for pfn in pfns:
        assert code.runs_add(ctypes.byref(runs), ABSENT if pfn is None else pfn) == 0
    code.json_begin(ctypes.byref(line))
    code.runs_json(ctypes.byref(runs), ctypes.byref(line), b"runs")
    read: list[list[int | None]] = json.loads(code.json_finish(ctypes.byref(line)))["runs"]
    code.json_free(ctypes.byref(line))
    code.runs_free(ctypes.byref(runs))
    return read


def decoded(runs: list[list[int | None]]) -> Iterator[int | None]:
    """The code as guest/README.md defines it, read back."""
    for first, count, step in runs:
        assert count is not None and step is not None
        for i in range(count):
            yield None if first is None else first + i * step


near = st.integers(min_value=1, max_value=40)
far = st.integers(min_value=1, max_value=2**55 - 1)


@given(st.lists(st.one_of(near, far, st.none()), max_size=200))
def test_runs_say_every_page_in_order(code: ctypes.CDLL, pfns: list[int | None]) -> None:
    assert list(decoded(encoded(code, pfns))) == pfns


@pytest.mark.parametrize(
    ("pfns", "runs"),
    [
        ([], []),
        ([7], [[7, 1, 1]]),
        ([5, 6, 7], [[5, 3, 1]]),
        ([7, 6, 5], [[7, 3, -1]]),
        ([9, 9, 9], [[9, 3, 0]]),
        ([None, None, 4], [[None, 2, 0], [4, 1, 1]]),
        ([1, 2, 3, 2, 1], [[1, 3, 1], [2, 2, -1]]),
        ([5, 7, 9], [[5, 1, 1], [7, 1, 1], [9, 1, 1]]),
    ],
    ids=["none", "one", "up", "down", "same", "absent", "turn", "gaps"],
)
def test_runs_are_compact(
    code: ctypes.CDLL, pfns: list[int | None], runs: list[list[int | None]]
) -> None:
    assert encoded(code, pfns) == runs


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("4096", 4096),
        ("16M", 16 << 20),
        ("2GiB", 2 << 30),
        ("512kb", 512 << 10),
        *((text, None) for text in ("", "-1", "M", "1X", "1MM", " 1", "1.5M", "0x10")),
        *((text, None) for text in ("18446744073709551616", "16777216T")),
    ],
)
def test_sizes(code: ctypes.CDLL, text: str, size_bytes: int | None) -> None:
    parsed = ctypes.c_ulonglong()
    code.parse_size.restype = ctypes.c_bool
    understood = code.parse_size(text.encode(), ctypes.byref(parsed))
    assert (parsed.value if understood else None) == size_bytes

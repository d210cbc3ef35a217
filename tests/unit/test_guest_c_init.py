# SPDX-License-Identifier: GPL-2.0-only
"""init's configuration, read without being pid 1; builds that give the same bytes anywhere."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

PT_LOAD, PT_INTERP = 1, 3
GUEST = Path(__file__).resolve().parents[2] / "guest"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "guest-c"
    subprocess.run(["make", "-s", "-j2", "-C", GUEST, f"O={folder}"], check=True)
    return folder


def check(built: Path, conf: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [built / "init", "--check", conf], check=False, capture_output=True, text=True, timeout=30
    )
    return done.returncode, done.stdout, done.stderr


def test_every_word_is_understood(built: Path, tmp_path: Path) -> None:
    conf = tmp_path / "init.conf"
    conf.write_text(
        "# written by the host\n\n"
        "module /lib/modules/6.12/virtio_net.ko napi_tx=1 csum=0\r\n"
        "module\t/lib/modules/6.12/null_blk.ko\n"
        "sysctl net.ipv4.conf.all.rp_filter 0  \n"
        "  hostname pinhole\n"
        "address eth0 10.0.2.15/24\n"
        "nossh"
    )
    status, stdout, stderr = check(built, conf)
    assert (status, stderr) == (0, "")
    lines = [json.loads(line) for line in stdout.splitlines()]
    assert [(line["verb"], line["first"], line["rest"]) for line in lines] == [
        ("module", "/lib/modules/6.12/virtio_net.ko", "napi_tx=1 csum=0"),
        ("module", "/lib/modules/6.12/null_blk.ko", ""),
        ("sysctl", "net.ipv4.conf.all.rp_filter", "0"),
        ("hostname", "pinhole", ""),
        ("address", "eth0", "10.0.2.15/24"),
        ("nossh", None, ""),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("modul /x.ko", "unknown word 'modul'"),
        ("module", "expected 'module PATH [PARAMETERS]'"),
        ("sysctl vm.swappiness", "expected 'sysctl NAME VALUE'"),
        ("hostname two words", "expected 'hostname NAME'"),
        ("nossh please", "expected 'nossh'"),
        ("address eth0 10.0.2.15", "'10.0.2.15' is no ADDRESS/PREFIX"),
        ("address eth0 10.0.2.15/33", "'10.0.2.15/33' is no ADDRESS/PREFIX"),
        ("address eth0 10.0.2/24", "'10.0.2/24' is no ADDRESS/PREFIX"),
    ],
)
def test_mistakes_name_file_and_line(built: Path, tmp_path: Path, line: str, said: str) -> None:
    conf = tmp_path / "init.conf"
    conf.write_text(f"hostname pinhole\n\n{line}\n")
    status, _, stderr = check(built, conf)
    assert status == 2
    assert f"init.conf:3: {said}" in stderr


def test_a_missing_configuration_is_named(built: Path, tmp_path: Path) -> None:
    status, _, stderr = check(built, tmp_path / "none")
    assert status == 2
    assert "ENOENT" in stderr


def test_it_refuses_to_run_outside_a_guest(built: Path) -> None:
    done = subprocess.run([built / "init"], check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "pid 1" in done.stderr


def test_the_same_sources_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another place" / "guest"
    shutil.copytree(GUEST, elsewhere, ignore=shutil.ignore_patterns("build"))
    output = tmp_path / "output"
    subprocess.run(["make", "-s", "-j2", "-C", elsewhere, f"O={output}"], check=True)
    for program in ("init", "pinguest", "pinholder"):
        assert (output / program).read_bytes() == (built / program).read_bytes(), program


def test_a_folder_with_a_blank_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-C", GUEST, f"O={tmp_path}/a b"], check=False, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "holds a blank" in done.stderr


def program_header_types(program: bytes) -> list[int]:
    """p_type of each program header of a 64-bit little-endian ELF file (elf(5))."""
    offset, entry_bytes, entries = struct.unpack("<32xQ14xHH", program[:58])
    return [
        int.from_bytes(program[offset + i * entry_bytes :][:4], "little") for i in range(entries)
    ]


def test_the_programs_are_static(built: Path) -> None:
    for name in ("init", "pinguest", "pinholder"):
        program = (built / name).read_bytes()
        assert program.startswith(b"\x7fELF\x02\x01")
        types = program_header_types(program)
        assert PT_LOAD in types
        assert PT_INTERP not in types, f"{name} asks for a dynamic loader"

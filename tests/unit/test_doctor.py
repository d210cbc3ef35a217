# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole doctor``'s report, and what it says of a host that has everything."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pinhole.errors import UsageError
from pinhole.progress import Quiet
from pinhole.tools.doctor import Finding, examine, print_findings

GOOD = Finding("make", True, "/usr/bin/make", ("make",))
UNMET = Finding("dropbear", False, "missing; apt-get install dropbear-bin", ("dropbear-bin",))
FULL = Finding("disk", False, "0.1 GiB free")
UNKNOWN = Finding("accelerator", None, "not tried: no kernel", ("none-of-these",))


def printed(*findings: Finding, width: int = 40) -> tuple[int, str]:
    """Status and text; the terminal is narrower than the lines, which must stay whole."""
    console = Console(file=io.StringIO(), width=width)
    status = print_findings(findings, console)
    assert isinstance(console.file, io.StringIO)
    return status, console.file.getvalue()


def test_each_need_has_a_line_with_its_mark() -> None:
    status, text = printed(GOOD, UNKNOWN)
    assert status == 0
    assert text == (
        " ok  make         /usr/bin/make\n"
        "  ?  accelerator  not tried: no kernel\n"
    )  # fmt: skip


def test_unmet_needs_give_status_3_and_one_command_for_all() -> None:
    status, text = printed(
        GOOD, UNMET, FULL, UNKNOWN, Finding("depmod", False, "missing", ("kmod",))
    )
    assert status == 3
    assert "NOT  dropbear     missing; apt-get install dropbear-bin\n" in text
    assert text.endswith("\n\nAll that is missing, as root: apt-get install dropbear-bin kmod\n")


def test_no_command_where_no_package_mends_it() -> None:
    status, text = printed(GOOD, FULL)
    assert status == 3
    assert "apt-get" not in text


def test_brackets_are_text() -> None:
    assert "ends [/dev/kvm] [red]" in printed(Finding("a", True, "ends [/dev/kvm] [red]"))[1]


def test_this_host_has_what_a_run_takes() -> None:
    findings = examine(None, None, Quiet())
    assert [one for one in findings if one.good is False] == []
    said = {one.need: one.said for one in findings}
    assert Path(said["C compiler"]).is_file()
    assert (Path(said["the guest's programs compile"]) / "pinholder").is_file()
    assert "GiB free in" in said["disk for the cache"]
    assert all("\n" not in line for line in said.values())


def test_unknown_accelerator_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown accelerator 'xen': it is kvm or tcg"):
        examine(None, "xen", Quiet())

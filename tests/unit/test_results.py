# SPDX-License-Identifier: GPL-2.0-only
"""Records: exit statuses, the run's directory, the table, JUnit XML."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from pinhole.errors import EvidenceError, HostError, UsageError
from pinhole.plan import Promise, Scenario
from pinhole.results.junit import write_junit
from pinhole.results.record import KernelName, Record, exit_status
from pinhole.results.rejudge import rejudged
from pinhole.results.run import Run
from pinhole.results.table import render
from pinhole.scenario.evidence import write_whole
from pinhole.scenario.expect import Comparison, Status
from pinhole.scenario.outcome import Outcome
from pinhole.scenario.ruling import State
from pinhole.scenario.verdict import Judgement, Verdict


def record(
    status: Status,
    broken: tuple[Promise, ...] = (),
    *,
    label: str = "debian:6.12",
    name: str = "held",
    line: str = "migrating pfn 1000f7 failed ret:1",
    reason: str | None = None,
) -> Record:
    judged = status in (Status.PASS, Status.FAIL, Status.DONE)
    verdict = Verdict(
        pin=Outcome(word="held"),
        blocks=(),
        judgements=tuple(
            Judgement(
                promise=promise,
                state=State.BROKEN if promise in broken else State.KEPT,
                reason=f"reason of {promise}",
                lines=(line,) if promise in broken else (),
            )
            for promise in Promise
        ),
    )
    return Record(
        scenario=Scenario(name=name, summary="a scenario", hold="vmsplice"),
        kernel=KernelName(label=label, release="6.12", version="6.12.1", key="k", origin="o"),
        status=status,
        reason=reason,
        verdict=verdict if judged else None,
        comparison=Comparison(status=status, differences=("was else",), because="x")
        if judged
        else None,
        started="2026-01-01T00:00:00+00:00",
        seconds=1.5,
        folder=f"{label}/{name}",
    )


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([Status.PASS], 0),
        ([Status.PASS, Status.SKIP], 0),
        ([Status.PASS, Status.FAIL], 1),
        ([Status.PASS, Status.DONE], 1),
        ([Status.PASS, Status.MISS], 3),
        ([Status.PASS, Status.ERROR], 3),
        ([Status.FAIL, Status.MISS], 1),
        ([Status.SKIP], 4),
        ([], 4),
        ([Status.SKIP, Status.MISS], 3),
    ],
)
def test_the_exit_status_says_the_worst_that_was_found(statuses: list[Status], status: int) -> None:
    assert exit_status([record(one) for one in statuses]) == status


def test_strict_fails_on_a_hole_that_was_expected() -> None:
    found = [record(Status.PASS, (Promise.REMOVAL,))]
    assert exit_status(found) == 0
    assert exit_status(found, strict=True) == 1
    assert exit_status([record(Status.PASS)], strict=True) == 0


def test_a_run_is_found_by_its_id_its_folder_or_as_the_newest(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {"a": 1})
    assert Run.find(run.name, tmp_path).folder == run.folder
    assert Run.find(str(run.folder), tmp_path / "elsewhere").folder == run.folder
    assert Run.find(None, tmp_path).name == run.name
    assert run.description()["a"] == 1
    with pytest.raises(UsageError, match="is no run"):
        Run.find("nothing", tmp_path)
    with pytest.raises(UsageError, match="there is no run"):
        Run.find(None, tmp_path / "empty")


def test_records_come_back_as_they_were_saved(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {})
    folder = run.job_folder("debian:6.12", "held", 0)
    saved = record(Status.PASS, (Promise.REMOVAL,)).model_copy(
        update={"folder": str(folder.relative_to(run.folder))}
    )
    run.save(saved)
    assert list(run.records()) == [saved]


@pytest.mark.parametrize("label", ["../../etc", "a/b", "..", "image:/boot/x y\n", ""])
def test_a_kernels_name_leads_nowhere_out_of_the_run(tmp_path: Path, label: str) -> None:
    run = Run.create(tmp_path, {})
    folder = run.job_folder(label, "held", 3)
    assert folder.is_dir()
    assert folder.resolve().is_relative_to(run.folder.resolve())
    assert len(folder.relative_to(run.folder).parts) == 3


def test_a_damaged_record_is_told_with_its_path(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {})
    (run.job_folder("k", "s", 0) / "record.json").write_text('{"half')
    with pytest.raises(EvidenceError, match=r"record\.json is not valid JSON"):
        list(run.records())


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(HostError, match="cannot write"):
        write_whole(tmp_path / "folder", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def shown(records: list[Record], width: int = 140) -> str:
    out = io.StringIO()
    render(records, Console(file=out, width=width))
    return out.getvalue()


def test_the_table_shows_kernels_side_by_side_with_the_line_of_dmesg() -> None:
    text = shown(
        [
            record(Status.PASS, (Promise.REMOVAL,), label="debian:5.10"),
            record(Status.PASS, label="debian:6.12"),
        ]
    )
    header = next(line for line in text.splitlines() if "debian:5.10" in line)
    assert "debian:6.12" in header
    assert "BROKEN: reason of removal" in text
    assert "dmesg: migrating pfn 1000f7 failed ret:1" in text
    assert "2 scenario runs: 2 as expected. Promises: 11 kept, 1 broken, 0 unknown." in text


def test_the_table_says_why_nothing_was_judged() -> None:
    text = shown([record(Status.SKIP, reason="k lacks CONFIG_MEMORY_HOTREMOVE")])
    assert "SKIP: k lacks CONFIG_MEMORY_HOTREMOVE" in text
    assert "NO: was else" in shown([record(Status.FAIL)])


def test_markup_of_the_guest_stays_text() -> None:
    assert "[bold]x[/bold]" in shown(
        [record(Status.PASS, (Promise.REMOVAL,), line="[bold]x[/bold]")]
    )


def test_junit_has_a_case_for_each_scenario(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(
        [
            record(Status.PASS, name="one"),
            record(Status.FAIL, name="two"),
            record(Status.SKIP, name="three", reason="lacks X"),
            record(Status.MISS, name="four", reason="QEMU died", label="debian:5.10"),
            record(Status.DONE, name="five"),
        ],
        path,
    )
    root = ElementTree.parse(path).getroot()
    assert [suite.get("name") for suite in root] == ["debian:6.12", "debian:5.10"]
    results = {case.get("name"): {one.tag for one in case} for case in root.iter("testcase")}
    assert results == {
        "one[debian:6.12]": {"system-out"},
        "two[debian:6.12]": {"system-out", "failure"},
        "three[debian:6.12]": {"system-out", "skipped"},
        "four[debian:5.10]": {"system-out", "error"},
        "five[debian:6.12]": {"system-out", "failure"},
    }
    assert root.get("tests") == "5"


def test_what_xml_cannot_carry_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    hostile = "]]> <script> \x00\x1b[31m \ud800 &"
    write_junit([record(Status.FAIL, (Promise.HEALTH,), line=hostile)], path)
    text = "".join(ElementTree.parse(path).getroot().itertext())
    assert "]]> <script> \ufffd\ufffd[31m \ufffd &" in text


def test_two_results_never_share_a_folder(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {})
    (run.job_folder("my kernel", "held", 0) / "evidence.json").write_text("{}")
    run.job_folder("my kernel", "held", 1)
    with pytest.raises(HostError, match="holds another scenario's evidence already"):
        run.job_folder("my-kernel", "held", 0)


def test_evidence_that_cannot_be_read_leaves_the_rest_of_the_run_to_be_judged(
    tmp_path: Path,
) -> None:
    run = Run.create(tmp_path, {})
    for name in ("one", "two"):
        folder = run.job_folder("k", name, 0)
        made = record(Status.PASS, name=name)
        run.save(made.model_copy(update={"folder": str(folder.relative_to(run.folder))}))
    (run.folder / "k" / "one" / "evidence.json").write_text('{"half')
    found = list(rejudged(run))
    assert [one.status for one in found] == [Status.DONE, Status.DONE]
    assert found[0].reason is not None
    assert "is not valid JSON" in found[0].reason


def test_a_kernel_of_many_patches_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Its label holds each patch's name: far more than a file system takes."""
    run = Run.create(tmp_path, {})
    label = "source:debian:6.12" + "+0001-mm-gup-pin-what-cannot-leave" * 10
    folders = [run.job_folder(f"{label}{end}", "held", 0) for end in ("+a", "+b")]
    assert folders[0] != folders[1]
    assert folders[0].parent.name.startswith("source-debian-6.12+0001-mm")

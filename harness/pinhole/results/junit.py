# SPDX-License-Identifier: GPL-2.0-only
"""JUnit XML of a run: a suite for each kernel, a case for each scenario."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from pinhole.results.record import Record
from pinhole.scenario.evidence import write_whole
from pinhole.scenario.expect import Status

# XML 1.0 cannot carry these at all, not even escaped; a guest can print any of them.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(records: Sequence[Record], path: Path) -> None:
    """Writes ``path``; raises ``HostError`` if it cannot be written."""
    document = JUnitXml("pinhole")
    suites: dict[str, TestSuite] = {}
    for record in records:
        suite = suites.setdefault(record.kernel.label, TestSuite(_clean(record.kernel.label)))
        suite.add_testcase(_case(record))
    for suite in suites.values():
        document.add_testsuite(suite)
    # junitparser 5 annotates only some of its methods.
    document.update_statistics()  # type: ignore[no-untyped-call]
    text = document.tostring()  # type: ignore[no-untyped-call]
    write_whole(path, text.decode() if isinstance(text, bytes) else text)


def _case(record: Record) -> TestCase:
    case = TestCase(
        _clean(record.name),
        classname=_clean(f"pinhole.{record.kernel.label}"),
        time=round(record.seconds, 3),
    )
    case.system_out = _clean(_story(record))
    if record.status is Status.SKIP:
        case.result = [Skipped(_clean(record.reason or ""))]
    elif record.status in (Status.MISS, Status.ERROR):
        case.result = [Error(_clean(record.reason or ""), record.status.value)]
    elif record.status is not Status.PASS:
        differences = record.comparison.differences if record.comparison else ()
        message = "; ".join(differences) or "evidence is missing for a promise"
        case.result = [Failure(_clean(message), record.status.value)]
    return case


def _story(record: Record) -> str:
    lines = [f"kernel: {record.kernel.release} ({record.kernel.origin})"]
    if record.verdict is not None:
        lines.append(f"pin: {record.verdict.pin}")
        for judgement in record.verdict.judgements:
            lines.append(f"{judgement.promise}: {judgement.state}: {judgement.reason}")
            lines += [f"  {line}" for line in judgement.lines]
    lines.append(f"evidence: {record.folder}")
    return "\n".join(lines)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)

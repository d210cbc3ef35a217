# SPDX-License-Identifier: GPL-2.0-only
"""Measures how kernels are built, beside what else a person would build them with.

In one run, from an empty cache: the same source by `vng --build` (virtme-ng) and by pinhole's
fragments, as user + system time; then a second variant of the built tree, a cached kernel, the
incremental build against one from nothing, and the catalogue on the kernel that came out.
Takes about 40 minutes on 2 idle cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinhole.dirs import cache_dir
from pinhole.kernel.source import DebianSource, identify
from pinhole.progress import for_terminal
from pinhole.resources import shipped

PINHOLE = (sys.executable, "-c", "from pinhole.cli import main; main()")
VNG = "virtme-ng>=1.42,<2"
CACHED_TIMES = 5


@dataclass(frozen=True)
class Took:
    """What a command and all that it started took, in seconds."""

    wall: float
    cpu: float
    output: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", default="6.12", help="Debian's source (default: 6.12)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--no-vng", action="store_true", help="leave virtme-ng out")
    parser.add_argument("--no-verify", action="store_true", help="leave the clean build out")
    options = parser.parse_args()
    progress = for_terminal()
    source = identify(DebianSource(options.series), progress, offline=False)
    figures: dict[str, Any] = {
        "source": source.origin,
        "cpus": os.cpu_count(),
        "load_before": os.getloadavg(),
    }
    place = tempfile.mkdtemp(prefix="bench-", dir=cache_dir())
    try:
        folder = Path(place)
        if not options.no_vng:
            tree = folder / "vng-source"
            source.materialize(tree, progress)
            with progress.step("vng --build of the same source"):
                figures["vng"] = _figures(_vng(tree, folder))
            shutil.rmtree(tree)
        cache = folder / "cache"
        cache.mkdir()
        for name in ("source", "debian"):  # what was fetched is not fetched again
            (cache / name).symlink_to(cache_dir() / name)
        env = {**os.environ, "PINHOLE_CACHE": str(cache)}
        base = f"source:debian:{options.series}"
        other = f"variant:pin-anyway@{options.series}"
        with progress.step("pinhole kernel build, from an empty cache"):
            figures["first"] = _built(env, base)
        with progress.step("a second variant of the built tree"):
            figures["second"] = _built(env, other)
        cached = [_pinhole(env, "kernel", "build", other).wall for _ in range(CACHED_TIMES)]
        figures["cached_seconds"] = cached
        with progress.step("the catalogue on the kernel that was built"):
            figures["catalogue"] = _catalogue(env, base)
        if not options.no_verify:
            with progress.step("the second variant once more, from nothing"):
                told = _pinhole(env, "kernel", "build", other, "--verify", "--json").output
                figures["reproducible"] = json.loads(told)[0]["reproducible"]
                figures["image_sha256"] = json.loads(told)[0]["image_sha256"]
    finally:
        shutil.rmtree(place)
    figures["load_after"] = os.getloadavg()
    _show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _figures(took: Took) -> dict[str, float]:
    return {"wall_seconds": round(took.wall, 1), "cpu_seconds": round(took.cpu, 1)}


def _run(
    command: Sequence[str], env: Mapping[str, str], folder: Path | None = None, *, status: int = 0
) -> Took:
    """Runs it to its end; raises ``SystemExit`` with its last words if it ends otherwise."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, env=dict(env), cwd=folder, stdout=subprocess.PIPE, stderr=said
        )
        assert process.stdout is not None
        output = process.stdout.read().decode(errors="replace")
        process.stdout.close()
        _, waited, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(waited)
        wall = time.monotonic() - began
        if process.returncode not in (0, status):
            said.seek(0)
            words = said.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{words}")
    return Took(wall, usage.ru_utime + usage.ru_stime, output)


def _pinhole(env: Mapping[str, str], *words: str, status: int = 0) -> Took:
    return _run([*PINHOLE, *words], env, status=status)


def _built(env: Mapping[str, str], kernel: str) -> dict[str, float]:
    """A build, with what make took in the sandbox, whose process namespace hides it from wait4."""
    took = _pinhole(env, "kernel", "build", kernel, "--json")
    found = json.loads(took.output)[0]
    assert found["confined"], "else make's time would be counted twice"
    return _figures(Took(took.wall, took.cpu + found["cpu_seconds"], took.output))


def _vng(tree: Path, folder: Path) -> Took:
    """virtme-ng from PyPI in an environment of its own, as its README says: in the tree."""
    place = folder / "vng"
    venv.create(place, with_pip=True)
    pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", VNG]
    subprocess.run(pip, check=True)
    env = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    return _run([str(place / "bin" / "vng"), "--build"], env, tree)


def _catalogue(env: Mapping[str, str], kernel: str) -> dict[str, int]:
    """How the catalogue's scenarios ended on ``kernel``: counts by status."""
    plan = str(shipped("plans") / "catalogue.yaml")
    with tempfile.TemporaryDirectory(prefix="pinhole-bench-") as runs:
        words = ["run", plan, "--kernel", kernel, "--json", "--runs", runs]
        records = json.loads(_pinhole(env, *words, status=1).output)["records"]
    counts: dict[str, int] = {}
    for record in records:
        counts[record["status"]] = counts.get(record["status"], 0) + 1
    return counts


def _shown(took: Mapping[str, float]) -> str:
    return f"{took['cpu_seconds']:.1f} s user + system, {took['wall_seconds']:.1f} s in all"


def _show(figures: Mapping[str, Any]) -> None:
    first, second = figures["first"], figures["second"]
    print(f"{figures['source']}, {figures['cpus']} CPUs, load {figures['load_before'][0]:.2f}")
    if "vng" in figures:
        vng = figures["vng"]
        ratio = first["cpu_seconds"] / vng["cpu_seconds"]
        print(f"  vng --build:           {_shown(vng)}")
        print(f"  pinhole, from nothing: {_shown(first)}: ratio {ratio:.2f} (wanted: at most 0.7)")
    else:
        print(f"  pinhole, from nothing: {_shown(first)}")
    print(f"  a second variant:      {second['wall_seconds']:.1f} s (wanted: under 60)")
    median = statistics.median(figures["cached_seconds"])
    print(f"  a cached kernel:       {median:.2f} s, median of {CACHED_TIMES} (wanted: under 1)")
    counts = ", ".join(f"{count} {status}" for status, count in figures["catalogue"].items())
    print(f"  the catalogue on it:   {counts} (wanted: no SKIP)")
    if "reproducible" in figures:
        same = "the same" if figures["reproducible"] else "NOT the same"
        print(f"  incremental and from nothing: {same} sha256 ({figures['image_sha256'][:16]}…)")


if __name__ == "__main__":
    sys.exit(main())

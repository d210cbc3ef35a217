# SPDX-License-Identifier: GPL-2.0-only
"""Measures pinhole beside plain QEMU, alternating in one run, and prints medians and ratios.

Both start the same kernel, image and command line; the clock runs from before the process is
started until the guest's init has said on the status port that it is ready.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pinhole.boot.base import BASE_NEEDS
from pinhole.boot.image import build
from pinhole.boot.keys import GuestKeys, joined_initrd
from pinhole.guest.guest import machine_spec
from pinhole.kernel.recipe import parse_recipe
from pinhole.machine.qemu import Machine
from pinhole.machine.spec import MachineSpec, Ports, command_line
from pinhole.plan import MachinePlan
from pinhole.progress import for_terminal
from pinhole.resources import shipped
from pinhole.scenario.engine import topology_of
from pinhole.scenario.vocabulary import needs_of, vocabulary
from pinhole.tools.prepare import LaunchRequest, prepare


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", default="debian:6.12")
    parser.add_argument("--repeat", type=int, default=7, help="boots of each kind (default: 7)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--no-plan", action="store_true", help="leave out the default plan")
    options = parser.parse_args()

    progress = for_terminal()
    recipe = parse_recipe(options.kernel)
    prepared = prepare([recipe], LaunchRequest(), progress)
    kernel = prepared.kernels[recipe]
    needs = needs_of(vocabulary().catalogue["io_uring-anonymous"])
    figures: dict[str, object] = {
        "kernel": kernel.release,
        "accelerator": prepared.launch.accelerator.value,
        "load_before": os.getloadavg(),
        "cpus": os.cpu_count(),
    }
    image = build(kernel, BASE_NEEDS | needs, progress)
    with (
        tempfile.TemporaryDirectory(prefix="pinhole-bench-") as folder,
        joined_initrd(image.initramfs, GuestKeys.generate()) as initrd,
    ):
        spec = machine_spec(
            kernel, needs, topology_of(MachinePlan()), prepared.launch, initrd, Path(folder)
        )
        kinds: dict[str, Callable[[MachineSpec], float]] = {
            "pinhole": _pinhole,
            "plain QEMU": _plain,
        }
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for number in range(options.repeat):
            for kind, boot in kinds.items():
                with progress.step(f"boot {number + 1}/{options.repeat}: {kind}"):
                    times[kind].append(boot(spec))
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    ratio = medians["pinhole"] / medians["plain QEMU"]
    figures |= {"boot_seconds": times, "boot_median_seconds": medians, "boot_ratio": ratio}
    print(
        f"{kernel.release}, {figures['accelerator']}, {os.cpu_count()} CPUs, "
        f"load {os.getloadavg()[0]:.2f}"
    )
    for kind, found in times.items():
        print(
            f"  process start to ready, {kind:<10}: median {medians[kind]:.2f} s "
            f"(min {min(found):.2f}, max {max(found):.2f}, {len(found)} boots)"
        )
    print(f"  ratio {ratio:.3f} (wanted: at most 1.1)")
    if not options.no_plan:
        seconds = _default_plan()
        figures["default_plan_seconds"] = seconds
        print(f"  default plan, kernels cached: {seconds:.1f} s (wanted: under 90)")
    figures["load_after"] = os.getloadavg()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _pinhole(spec: MachineSpec) -> float:
    began = time.monotonic()
    with Machine(spec) as machine:
        machine.wait_ready()
        return time.monotonic() - began


def _plain(spec: MachineSpec) -> float:
    """The same QEMU as a person would start it: no pause, no QMP client, the console in a file."""
    ports = Ports(
        console=f"file,path={spec.workdir}/plain.log",
        status="stdio,signal=off",
        qmp="null",
    )
    command = [part for part in command_line(replace(spec), ports) if part != "-S"]
    began = time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as qemu:
        assert qemu.stdout is not None
        try:
            for line in qemu.stdout:
                if b"pinhole ready" in line:
                    return time.monotonic() - began
        finally:
            qemu.kill()
    raise SystemExit(f"plain QEMU never came up: {' '.join(command)}")


def _default_plan() -> float:
    began = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from pinhole.cli import main; main()",
            "run",
            str(shipped("plans") / "default.yaml"),
        ],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"the default plan ended with status {done.returncode}")
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())

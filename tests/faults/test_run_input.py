# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole run`` on what it cannot run: a clear error, the right exit status, nothing left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.faults.run_command import ONE_SCENARIO, Place

from pinhole.kernel.kernel import Kernel
from pinhole.machine.accel import Accelerator
from pinhole.machine.probe import why_not
from pinhole.machine.process import find_qemu

PLAN = """\
version: 1
kernels: [{kernel}]
scenarios:
  - io_uring-anonymous
{more}
"""


def plan(place: Place, more: str = "", kernel: str = "debian:6.12") -> Path:
    path = place.folder / "plan.yaml"
    path.write_text(PLAN.format(kernel=kernel, more=more))
    return path


def assert_no_run(place: Place) -> None:
    assert list(place.runs.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("machne:\n  dimm: 512M", "plan.yaml:5: unknown key 'machne' (did you mean 'machine'?)"),
        ("machine:\n  cpus: two", "plan.yaml:6: machine.cpus: Input should be a valid integer"),
        (
            "  - {name: x, summary: y, hold: io_urign}",
            "plan.yaml:5: unknown way to hold 'io_urign' (did you mean 'io_uring'?)",
        ),
    ],
)
def test_mistake_in_a_plan_is_told_with_file_line_and_suggestion(
    place: Place, more: str, said: str
) -> None:
    ended = place.run(plan(place, more))
    assert (ended.status, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert_no_run(place)


def test_unknown_kernel(place: Place) -> None:
    kernel, said = "debian:6.21", "unknown kernel 'debian:6.21' (did you mean 'debian:6.12'?"
    on_the_command_line = place.run("--kernel", kernel)
    assert on_the_command_line.status == 2
    assert f"pinhole: {said}" in on_the_command_line.stderr
    in_the_plan = place.run(plan(place, kernel=kernel))
    assert in_the_plan.status == 2
    assert f"plan.yaml:2: {said}" in in_the_plan.stderr
    assert_no_run(place)


def test_plan_and_option_that_are_not_there(place: Place) -> None:
    ended = place.run("/nowhere/plan.yaml")
    assert ended.status == 2
    assert "cannot read /nowhere/plan.yaml: No such file or directory" in ended.last_word
    ended = place.run("--acell", "tcg")
    assert ended.status == 2
    assert "No such option" in ended.stderr
    assert "--accel" in ended.stderr
    ended = place.run("-k", "nothing_of_that_name")
    assert ended.status == 2
    assert "chooses nothing; see 'pinhole run --list'" in ended.last_word
    assert_no_run(place)


def test_no_qemu(place: Place) -> None:
    place.environment["PATH"] = str(place.folder)
    ended = place.run(*ONE_SCENARIO)
    assert ended.status == 3
    assert "no qemu-system-x86_64 on PATH: install it (apt-get install qemu-system-x86)" in (
        ended.last_word
    )
    assert_no_run(place)


def test_qemu_that_is_no_qemu(place: Place) -> None:
    true = shutil.which("true") or "true"
    for path, said in (
        (true, f"{true} is no QEMU: --version said"),
        ("/nowhere/qemu", "/nowhere/qemu is no program that can be run"),
    ):
        ended = place.run(*ONE_SCENARIO, "--qemu", path)
        assert ended.status == 3
        assert said in ended.last_word
    assert_no_run(place)


def test_argument_that_qemu_refuses_is_told_in_its_words(place: Place) -> None:
    ended = place.run(*ONE_SCENARIO, "--qemu-arg=-device", "--qemu-arg=no-such-device")
    assert ended.status == 3
    (record,) = place.records()
    assert record["status"] == "MISS"
    assert "'no-such-device' is not a valid device model name" in record["reason"]


@pytest.mark.skipif(not Path("/dev/kvm").exists(), reason="this host has no /dev/kvm")
def test_kvm_that_opens_but_cannot_boot(place: Place, kernel_6_12: Kernel) -> None:
    if why_not(Accelerator.KVM, find_qemu(), kernel_6_12.image) is None:
        pytest.skip("KVM boots a kernel on this host")
    asked_for = place.run(*ONE_SCENARIO, "--accel", "kvm")
    assert asked_for.status == 3
    assert "KVM does not boot vmlinuz here: " in asked_for.stderr
    assert asked_for.last_word == "use --accel tcg, which is slower and needs nothing of the host"
    assert_no_run(place)


def test_image_that_is_no_kernel(place: Place, kernel_6_12: Kernel) -> None:
    image = place.folder / "image"
    for content, said in (
        (b"#!/bin/sh\n" * 100, "is not a Linux kernel image"),
        (kernel_6_12.image.read_bytes()[: 1 << 20], "is cut short"),
    ):
        image.write_bytes(content)
        ended = place.run("--kernel", f"image:{image}")
        assert ended.status == 3
        assert f"pinhole: {image} {said}" in ended.stderr
    ended = place.run("--kernel", f"image:{place.folder}/none")
    assert ended.status == 3
    assert f"cannot read the kernel image {place.folder}/none: No such file" in ended.stderr
    assert_no_run(place)


def test_kernel_without_memory_hot_remove_is_skipped(place: Place, kernel_6_12: Kernel) -> None:
    config = place.folder / "config"
    assert kernel_6_12.config is not None
    options = dict(kernel_6_12.config)
    del options["CONFIG_MEMORY_HOTREMOVE"]
    config.write_text("".join(f"{name}={value}\n" for name, value in options.items()))
    kernel = (
        f"{{image: {kernel_6_12.image}, modules: {kernel_6_12.modules}, config: {config}, "
        "name: no-hotremove}"
    )
    ended = place.run(plan(place, kernel=kernel))
    assert ended.status == 4
    assert "SKIP: no-hotremove lacks CONFIG_MEMORY_HOTREMOVE" in ended.stdout
    (record,) = place.records()
    assert record["status"] == "SKIP"
    assert place.judge().status == 4

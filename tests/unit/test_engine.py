# SPDX-License-Identifier: GPL-2.0-only
"""The engine's values: jobs, skips, topology, expectations against verdicts."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from pinhole.boot.base import BASE_NEEDS
from pinhole.guest.guest import Launch
from pinhole.kernel.bootable import Kernel
from pinhole.machine.accel import Accelerator
from pinhole.plan import Expectation, MachinePlan, Promise, Scenario
from pinhole.scenario.engine import Job, topology_of, why_skipped
from pinhole.scenario.expect import Status, compare
from pinhole.scenario.verdict import judge
from pinhole.scenario.vocabulary import all_needs, needs_of, vocabulary
from pinhole.size import GIB, MIB

CAPTURED = Path(__file__).parent / "captured" / "evidence"
SCENARIO = vocabulary().catalogue["io_uring-anonymous"]
OPTIONS = needs_of(SCENARIO).options


def kernel(config: dict[str, str] | None) -> Kernel:
    return Kernel(
        label="mine",
        release="6.12.0",
        version="6.12.0",
        image=Path("bzImage"),
        modules=None,
        config=config,
        key="k",
        origin="a test",
    )


def whole_config() -> dict[str, str]:
    return dict.fromkeys(OPTIONS | BASE_NEEDS.options, "y")


def test_a_job_is_a_value_that_can_be_sent_elsewhere() -> None:
    job = Job(
        scenario=SCENARIO,
        kernel=kernel(whole_config()),
        machine=MachinePlan(),
        launch=Launch(qemu=Path("/usr/bin/qemu"), accelerator=Accelerator.TCG),
        folder=Path("/runs/1"),
    )
    assert pickle.loads(pickle.dumps(job)) == job


def test_a_scenario_is_skipped_by_the_name_of_what_the_kernel_lacks() -> None:
    config = whole_config()
    assert why_skipped(SCENARIO, kernel(config)) is None
    del config["CONFIG_MEMORY_HOTREMOVE"], config["CONFIG_IO_URING"]
    said = why_skipped(SCENARIO, kernel(config))
    assert said == "mine lacks CONFIG_IO_URING, CONFIG_MEMORY_HOTREMOVE"


def test_a_kernel_of_unknown_configuration_is_never_skipped() -> None:
    assert why_skipped(SCENARIO, kernel(None)) is None


def test_a_guest_for_hands_takes_what_the_kernel_can_do() -> None:
    config = whole_config()
    del config["CONFIG_IO_URING"]
    assert "CONFIG_IO_URING" not in all_needs(kernel(config)).options
    assert "movable_node" in all_needs(kernel(config)).cmdline


def test_the_topology_has_an_empty_node_and_room_for_the_dimm() -> None:
    topology = topology_of(MachinePlan(memory=2 * GIB, dimm=1024 * MIB))
    assert (topology.memory_bytes, topology.empty_nodes) == (2 * GIB, 1)
    assert [(one.size_bytes, one.node) for one in topology.dimms] == [(1024 * MIB, 1)]
    big = topology_of(MachinePlan(memory=16 * GIB, dimm=8 * GIB))
    assert big.maxmem_bytes > big.total_bytes


def captured(name: str) -> tuple[Scenario, dict[str, object]]:
    evidence = json.loads((CAPTURED / f"{name}.json").read_text())
    return Scenario.model_validate(evidence["scenario"]), evidence


@pytest.mark.parametrize(
    ("expect", "status", "differences"),
    [
        (
            (Expectation(because="x", pin="pinned-in-movable", broken=(Promise.PLACEMENT,)),),
            Status.FAIL,
            ("removal is broken, which was not expected",),
        ),
        (
            (
                Expectation(
                    because="x",
                    pin="migrated",
                    blocks={"removed": 4},
                    broken=(Promise.PLACEMENT, Promise.REMOVAL, Promise.HEALTH),
                ),
            ),
            Status.FAIL,
            (
                "health was expected broken, it is kept",
                "the pin was expected migrated, it is pinned-in-movable",
                "the blocks were expected 4 removed, they are 3 removed, 1 still-looping",
            ),
        ),
        (
            (),
            Status.FAIL,
            (
                "placement is broken, which was not expected",
                "removal is broken, which was not expected",
            ),
        ),
        (
            (Expectation(because="x", broken=(Promise.PLACEMENT, Promise.REMOVAL)),),
            Status.PASS,
            (),
        ),
    ],
)
def test_what_differs_from_the_expectation_is_told(
    expect: tuple[Expectation, ...], status: Status, differences: tuple[str, ...]
) -> None:
    scenario, evidence = captured("debian-5.10-io_uring-anonymous")
    changed = scenario.model_copy(update={"expect": expect})
    found = compare(changed, "5.10.262", judge(changed, evidence))
    assert (found.status, found.differences) == (status, differences)


def test_an_unknown_promise_is_no_pass_even_if_nothing_differs() -> None:
    scenario, evidence = captured("debian-6.12-io_uring-anonymous")
    del evidence["qmp"]
    found = compare(scenario, "6.12.117", judge(scenario, evidence))
    assert (found.status, found.differences) == (Status.DONE, ())


def test_what_is_expected_of_a_variant_is_expected_of_it_alone() -> None:
    scenario, evidence = captured("debian-5.10-io_uring-anonymous")
    holes = (Promise.PLACEMENT, Promise.REMOVAL)
    expect = (
        Expectation(variants=("unchecked",), because="no check", broken=holes),
        Expectation(because="every promise is kept"),
    )
    changed = scenario.model_copy(update={"expect": expect})
    verdict = judge(changed, evidence)
    assert compare(changed, "6.12.117", verdict, "unchecked").because == "no check"
    assert compare(changed, "6.12.117", verdict, "unchecked").status is Status.PASS
    for other in (None, "stock"):
        assert compare(changed, "6.12.117", verdict, other).status is Status.FAIL


def test_an_expectation_for_other_kernels_says_nothing_about_this_one() -> None:
    scenario, evidence = captured("debian-5.10-io_uring-anonymous")
    assert compare(scenario, "5.10.262", judge(scenario, evidence)).status is Status.PASS
    assert compare(scenario, "6.12.117", judge(scenario, evidence)).status is Status.FAIL

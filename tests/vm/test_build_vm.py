# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built from source: configured, patched, booted, judged.

The base is built once into the user's cache, in about eight minutes on two idle cores.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.vm.test_run_vm import pinhole

from pinhole.errors import KernelError
from pinhole.kernel.bootable import Kernel
from pinhole.kernel.kernel import resolve
from pinhole.kernel.recipe import BuildRecipe, ConfigRecipe, parse_recipe
from pinhole.kernel.variants import variants
from pinhole.progress import Lines, Quiet
from pinhole.resources import shipped
from pinhole.scenario.engine import why_skipped
from pinhole.scenario.vocabulary import vocabulary

BASE = "source:debian:6.12"
SERIES = Path(__file__).parents[1] / "unit" / "captured" / "patches" / "three-mails.mbox"


@pytest.fixture(scope="session")
def built() -> Kernel:
    """Debian's 6.12, from its source, with pinhole's fragments."""
    return resolve(parse_recipe(BASE), Lines())


def recipe(config: ConfigRecipe) -> BuildRecipe:
    base = parse_recipe(BASE)
    assert isinstance(base, BuildRecipe)
    return replace(base, config=config)


def test_every_scenario_of_the_catalogue_can_run_on_it(built: Kernel) -> None:
    assert built.release.startswith("6.12.") and "-pinhole-" in built.release
    skipped = {
        name: why_skipped(scenario, built) for name, scenario in vocabulary().catalogue.items()
    }
    assert set(skipped.values()) == {None}, skipped
    assert "m" not in (built.config or {}).values(), "it has no modules to load"


def test_a_mailed_series_goes_from_file_to_verdict(built: Kernel, tmp_path: Path) -> None:
    done = pinhole(
        *("compare", BASE, "--patch", SERIES, "-k", "io_uring-refused", "--json"),
        *("--budget", "2", "--patience", "3", "--runs", tmp_path),
    )
    assert done.returncode in (0, 3), done.stderr
    found = json.loads(done.stdout)
    (row,) = found["rows"]
    assert list(row["base"]["pin"]) == ["refused(ENOMEM)"]
    assert list(row["candidate"]["pin"]) == ["refused(EBUSY)"]
    assert row["base"]["promises"] == row["candidate"]["promises"]
    assert row["base"]["promises"]["clean refusal"] == {"kept": 1}
    assert found["base"]["kernel"]["release"] == built.release


def test_an_option_that_does_not_take_is_told_with_what_it_lacks() -> None:
    asked = ConfigRecipe(options=(("CONFIG_STRICT_DEVMEM", "n"), ("CONFIG_NO_SUCH_THING", "y")))
    with pytest.raises(KernelError) as caught:
        resolve(recipe(asked), Quiet())
    said = str(caught.value)
    assert "CONFIG_VIRTIO_MEM=y: it is not set; it depends on EXCLUSIVE_SYSTEM_RAM [=n]" in said
    assert "options: CONFIG_NO_SUCH_THING=y: it is not set; this kernel has no such option" in said
    assert len(said.splitlines()) == 4


def test_an_option_is_explained() -> None:
    done = pinhole("kernel", "config", BASE, "--explain", "KASAN", "--explain", "CONFIG_GUP_TEST")
    assert done.returncode == 0, done.stderr
    assert "CONFIG_KASAN is not set in source:debian:6.12\n  nobody asks for it" in done.stdout
    assert "asked for by holds:" in done.stdout
    assert "Depends on: DEBUG_FS [=y]" in done.stdout


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """The records of ``plans/policies.yaml`` by scenario and variant."""
    runs = tmp_path_factory.mktemp("policies")
    plan = shipped("plans") / "policies.yaml"
    done = pinhole("run", plan, "--patience", "2", "--json", "--runs", runs, within=3000)
    assert done.returncode in (0, 1), done.stderr
    return {
        (one["scenario"]["name"], one["kernel"]["label"]): one
        for one in json.loads(done.stdout)["records"]
    }


@pytest.mark.full
def test_each_policy_differs_as_it_was_argued(
    policies: dict[tuple[str, str], dict[str, Any]],
) -> None:
    pins = {
        variant: [
            policies[scenario, variant]["verdict"]["pin"]["word"]
            for scenario in ("io_uring-anonymous", "io_uring-refused", "io_uring-isolated")
        ]
        for variant in variants()
    }
    assert pins == {
        "stock": ["migrated", "refused", "spinning-killable"],
        "pin-anyway": ["migrated", "pinned-in-movable", "pinned-in-movable"],
        "unpin-movable-only": ["migrated", "refused-leaky", "refused-leaky"],
        "unchecked": ["pinned-in-movable"] * 3,
    }
    statuses = Counter(one["status"] for one in policies.values())
    assert statuses == {"PASS": 12}

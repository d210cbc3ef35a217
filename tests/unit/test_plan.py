# SPDX-License-Identifier: GPL-2.0-only
"""Plans: what is accepted, and how a mistake is told."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pinhole.errors import UsageError
from pinhole.plan import Expectation, check_plan, load_plan, plan_schema
from pinhole.resources import shipped
from pinhole.scenario.vocabulary import vocabulary
from pinhole.size import format_size, parse_size
from pinhole.yamlfile import YamlFile

GOOD = """\
version: 1
kernels:
  - debian:6.12
scenarios:
  - io_uring-anonymous
  - name: mine
    summary: my own
    hold: vmsplice
    tricks: [munmap]
    size: 2M
    expect:
      - kernels: ">=5.10, <7"
        because: it was seen
        pin: held
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        check_plan(YamlFile.parse(text, "plan.yaml"), vocabulary())
    return str(caught.value).splitlines()


def test_a_plan_names_scenarios_of_the_catalogue_or_writes_its_own() -> None:
    plan = check_plan(YamlFile.parse(GOOD, "plan.yaml"), vocabulary())
    assert [scenario.name for scenario in plan.scenarios] == ["io_uring-anonymous", "mine"]
    assert plan.scenarios[1].size == 2 << 20
    assert plan.where("kernels", 0) == "plan.yaml:3"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "hold: vmsplice",
            "hodl: vmsplice",
            "plan.yaml:8: unknown key 'hodl' (did you mean 'hold'?)",
        ),
        (
            "hold: vmsplice",
            "hold: vmsplise",
            "plan.yaml:8: unknown way to hold 'vmsplise' (did you mean 'vmsplice'?)",
        ),
        (
            "[munmap]",
            "[mumap]",
            "plan.yaml:9: unknown trick 'mumap' (did you mean 'munmap'?)",
        ),
        (
            "- io_uring-anonymous",
            "- io-uring-anonymous",
            "plan.yaml:5: unknown scenario 'io-uring-anonymous' (did you mean 'io_uring-",
        ),
        (
            "because: it was seen",
            "becuase: x",
            "plan.yaml:13: unknown key 'becuase' (did you mean 'because'?)",
        ),
        ("version: 1", "version: 2", "plan.yaml:1: version: Input should be 1 (found 2)"),
        (
            "- io_uring-anonymous",
            "- mine\n  - vmsplice-anonymous",
            "plan.yaml:5: unknown scenario 'mine'",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_and_suggestion(old: str, new: str, said: str) -> None:
    assert any(line.startswith(said) for line in mistakes(GOOD.replace(old, new)))


def test_a_wrong_type_is_told_with_what_was_found() -> None:
    (line,) = mistakes(GOOD.replace("size: 2M", "size: lots"))
    assert line.startswith("plan.yaml:10: scenarios.1.size: 'lots' is not a size")


def test_every_mistake_is_told_at_once() -> None:
    told = mistakes(GOOD.replace("size: 2M", "size: -1").replace("hold:", "hodl:"))
    assert len(told) == 3
    assert any("the key 'hold' is missing" in line for line in told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nversion: 1\nscenarios: [x]\n", "plan.yaml:2: the key 'version' stands twice"),
        ("- a\n- b\n", "plan.yaml:1: expected keys and values"),
        ("", "plan.yaml: expected keys and values, found None"),
        ("version: [1\n", "plan.yaml:2: not valid YAML"),
        ("version: 1\nscenarios: []\n", "plan.yaml:2: scenarios: "),
        ("a: !!python/object:os.system x\n", "plan.yaml:1: not valid YAML"),
    ],
)
def test_what_is_no_plan_is_told(text: str, said: str) -> None:
    assert mistakes(text)[0].startswith(said)


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
        load_plan(tmp_path / "none.yaml", vocabulary())


def test_a_scenario_named_twice_is_told() -> None:
    text = GOOD.replace("name: mine", "name: io_uring-anonymous")
    assert mistakes(text) == ["plan.yaml:6: the scenario 'io_uring-anonymous' stands twice"]


def test_the_shipped_plans_and_the_catalogue_are_good_and_fit_the_schema() -> None:
    schema = plan_schema(vocabulary())
    jsonschema.Draft202012Validator.check_schema(schema)
    plans = sorted(shipped("plans").glob("*.yaml"))
    assert plans
    for path in plans:
        assert load_plan(path, vocabulary()).scenarios
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    json.dumps(schema)


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    schema = plan_schema(vocabulary())
    jsonschema.validate(yaml.safe_load(GOOD), schema)
    for bad in ("hold: vmsplise", "hodl: vmsplice"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(GOOD.replace("hold: vmsplice", bad)), schema)


@pytest.mark.parametrize(
    ("kernels", "version", "covered"),
    [
        (">=5.13", "5.10.262", False),
        (">=5.13", "6.12.117", True),
        (">=6.14", "6.14-rc2", True),
        ("<6.14", "6.14-rc2", False),
        ("", "5.10.262", True),
        (">=5.13", "next-20261120", False),
        ("==6.12.*", "6.12.117", True),
    ],
)
def test_an_expectation_covers_a_range_of_upstream_versions(
    kernels: str, version: str, covered: bool
) -> None:
    assert Expectation(kernels=kernels, because="x").covers(version) is covered


@pytest.mark.parametrize(
    ("variants", "variant", "covered"),
    [
        ((), None, True),
        ((), "unchecked", True),
        (("unchecked", "pin-anyway"), "pin-anyway", True),
        (("unchecked", "pin-anyway"), "stock", False),
        (("unchecked",), None, False),
    ],
)
def test_an_expectation_with_variants_covers_these_alone(
    variants: tuple[str, ...], variant: str | None, covered: bool
) -> None:
    expectation = Expectation(kernels=">=6.12", variants=variants, because="x")
    assert expectation.covers("6.12.117", variant) is covered
    assert not expectation.covers("5.10.262", variant)


@given(st.integers(min_value=0, max_value=1 << 50))
def test_a_size_survives_being_written_and_read(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize("text", ["", "M", "-1", "1.5G", "1 M B", "0x10", "1P"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)

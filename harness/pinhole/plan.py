# SPDX-License-Identifier: GPL-2.0-only
"""A plan: which kernels, what machine, which scenarios and what is expected of them.

A plan is YAML (``plans/``, schema: ``pinhole plan schema``). Mistakes are ``UsageError`` with
file, line and a suggestion. The names of ways, kinds, tricks and removals are checked against
``Vocabulary``, which the caller gathers from the rooms further down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import Field, field_validator, model_validator

from pinhole.errors import UsageError
from pinhole.size import GIB, MIB, SizeBytes
from pinhole.versions import in_range
from pinhole.yamlfile import Location, StrictModel, YamlFile, did_you_mean


class Promise(StrEnum):
    """What a verdict is about; each is judged by itself."""

    PLACEMENT = "placement"
    CLEAN_REFUSAL = "clean refusal"
    REMOVAL = "removal"
    RECOVERY = "recovery"
    LEDGER = "ledger"
    HEALTH = "health"


class Expectation(StrictModel):
    """What a scenario is expected to show on some kernels, and why.

    ``kernels`` is a range of upstream versions (``">=5.13, <6.14"``) or empty for all; an entry
    with ``variants`` covers only kernels that were built as one of these.
    ``pin`` is the outcome of the hold; ``blocks`` counts the blocks by the word of their first
    removal, while pages are held; ``broken`` lists the promises expected broken: every other
    promise is expected kept or not applicable, but for those in ``may_break``, which an outcome
    that is not deterministic sometimes breaks.
    """

    kernels: str = ""
    variants: tuple[str, ...] = ()
    because: str = Field(min_length=1)
    pin: str | None = None
    blocks: Mapping[str, int] = Field(default_factory=dict)
    broken: tuple[Promise, ...] = ()
    may_break: tuple[Promise, ...] = ()

    @field_validator("kernels")
    @classmethod
    def _range_of_versions(cls, value: str) -> str:
        try:
            SpecifierSet(value)
        except InvalidSpecifier as error:
            raise ValueError(
                f"{value!r} is not a range of kernel versions (write '>=5.13, <6.14')"
            ) from error
        return value

    def covers(self, kernel_version: str, variant: str | None = None) -> bool:
        """Whether it is said of the upstream version ``kernel_version`` (``6.12.117``), built as
        ``variant`` (None: as it is).

        A release candidate counts as the version that it leads to: 6.14-rc2 has 6.14's code.
        """
        if self.variants and variant not in self.variants:
            return False
        return in_range(kernel_version, self.kernels)


class Scenario(StrictModel):
    """A way to hold × a kind of memory × tricks × a way to remove, as data."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=80)
    summary: str = Field(min_length=1)
    hold: str
    kind: str = "anonymous"
    tricks: tuple[str, ...] = ()
    size: SizeBytes = 16 * MIB
    dimms: tuple[SizeBytes, ...] = Field(
        default=(), description="sizes of the DIMMs in node 1, instead of the machine's one"
    )
    remove: str = "offline"
    expect: tuple[Expectation, ...] = ()
    allow: tuple[str, ...] = Field(
        default=(), description="health findings that this scenario announces"
    )

    @field_validator("size")
    @classmethod
    def _some_memory(cls, value: int) -> int:
        if value < 4096:
            raise ValueError("a scenario holds at least one page of 4096 bytes")
        return value

    @field_validator("dimms")
    @classmethod
    def _whole_blocks(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 128 * MIB or size % (128 * MIB) for size in value):
            raise ValueError("a DIMM has to be a multiple of 128M, the memory block of x86-64")
        return value

    def expectation(self, kernel_version: str, variant: str | None = None) -> Expectation | None:
        """The first expectation that covers the kernel, or None where nothing is said of it."""
        return next((one for one in self.expect if one.covers(kernel_version, variant)), None)


class MachinePlan(StrictModel):
    """The machine of each scenario: a boot node and one DIMM, plugged later, as node 1."""

    memory: SizeBytes = GIB
    cpus: int = Field(default=2, ge=1, le=64)
    dimm: SizeBytes = 512 * MIB

    @model_validator(mode="after")
    def _sensible(self) -> MachinePlan:
        if self.memory < 256 * MIB or self.memory % (2 * MIB):
            raise ValueError("memory has to be a multiple of 2M, 256M at least")
        if self.dimm < 128 * MIB or self.dimm % (128 * MIB):
            raise ValueError("dimm has to be a multiple of 128M, the memory block of x86-64")
        return self


class Plan(StrictModel):
    """A whole plan, as written. The other kernels are compared with the one called ``baseline``."""

    version: Literal[1]
    summary: str = ""
    kernels: tuple[str | Mapping[str, Any], ...] = ()
    baseline: str | None = None
    machine: MachinePlan = MachinePlan()
    scenarios: tuple[str | Scenario, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Vocabulary:
    """The names a plan may use, and the scenarios of the catalogue by name."""

    holds: frozenset[str]
    kinds: frozenset[str]
    tricks: frozenset[str]
    removes: frozenset[str]
    catalogue: Mapping[str, Scenario]


@dataclass(frozen=True)
class LoadedPlan:
    """A checked plan: every scenario by value; ``file`` still knows the lines."""

    plan: Plan
    scenarios: tuple[Scenario, ...]
    file: YamlFile

    def where(self, *location: str | int) -> str:
        """``file:line`` of a key, for messages of the rooms that check its value."""
        return self.file.where(location)


def load_plan(path: Path, vocabulary: Vocabulary) -> LoadedPlan:
    """Reads and checks a plan; raises ``UsageError`` with every mistake found, a line each."""
    return check_plan(YamlFile.read(path), vocabulary)


def check_plan(file: YamlFile, vocabulary: Vocabulary) -> LoadedPlan:
    """Checks what ``file`` holds: see ``load_plan``."""
    plan = file.model(Plan)
    mistakes: list[str] = []
    scenarios: list[Scenario] = []
    for index, entry in enumerate(plan.scenarios):
        location: Location = ("scenarios", index)
        if isinstance(entry, Scenario):
            mistakes += _unknown_names(entry, file, location, vocabulary)
            scenarios.append(entry)
        elif entry in vocabulary.catalogue:
            scenarios.append(vocabulary.catalogue[entry])
        else:
            hint = did_you_mean(entry, vocabulary.catalogue)
            mistakes.append(f"{file.where(location)}: unknown scenario {entry!r}{hint}")
    seen: set[str] = set()
    for index, scenario in enumerate(scenarios):
        if scenario.name in seen:
            mistakes.append(
                f"{file.where(('scenarios', index))}: the scenario {scenario.name!r} stands twice"
            )
        seen.add(scenario.name)
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return LoadedPlan(plan, tuple(scenarios), file)


def load_catalogue(paths: Iterable[Path], vocabulary: Vocabulary) -> dict[str, Scenario]:
    """The scenarios of the catalogue's files, one a file, by name."""
    catalogue: dict[str, Scenario] = {}
    for path in sorted(paths):
        file = YamlFile.read(path)
        scenario = file.model(Scenario)
        mistakes = _unknown_names(scenario, file, (), vocabulary)
        if scenario.name != path.stem:
            mistakes.append(
                f"{file.where(('name',))}: the file of {scenario.name!r} is {path.name}"
            )
        if mistakes:
            raise UsageError("\n".join(mistakes))
        catalogue[scenario.name] = scenario
    return catalogue


def plan_schema(vocabulary: Vocabulary) -> dict[str, Any]:
    """The JSON Schema of plans (draft 2020-12), the known names filled in, for editors."""
    schema = Plan.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "pinhole plan"
    properties = schema["$defs"]["Scenario"]["properties"]
    for key, names in (
        ("hold", vocabulary.holds),
        ("kind", vocabulary.kinds),
        ("remove", vocabulary.removes),
    ):
        properties[key]["enum"] = sorted(names)
    properties["tricks"]["items"]["enum"] = sorted(vocabulary.tricks)
    for branch in schema["properties"]["scenarios"]["items"]["anyOf"]:
        if branch.get("type") == "string":
            branch["enum"] = sorted(vocabulary.catalogue)
    return schema


def _unknown_names(
    scenario: Scenario, file: YamlFile, location: Location, vocabulary: Vocabulary
) -> list[str]:
    named: list[tuple[str, str, Location, frozenset[str]]] = [
        ("way to hold", scenario.hold, ("hold",), vocabulary.holds),
        ("kind of memory", scenario.kind, ("kind",), vocabulary.kinds),
        ("way to remove", scenario.remove, ("remove",), vocabulary.removes),
    ]
    named += [
        ("trick", trick, ("tricks", index), vocabulary.tricks)
        for index, trick in enumerate(scenario.tricks)
    ]
    return [
        f"{file.where(location + key)}: unknown {what} {word!r}{did_you_mean(word, known)}"
        for what, word, key, known in named
        if word not in known
    ]

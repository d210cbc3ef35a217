# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole run``: a plan's scenarios on its kernels, one after the other, to a table."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import UsageError
from pinhole.kernel.recipe import KernelRecipe, parse_recipe, with_choices
from pinhole.plan import LoadedPlan, load_plan
from pinhole.progress import for_terminal
from pinhole.resources import shipped
from pinhole.results.run import folder_name
from pinhole.scenario.engine import dry_run
from pinhole.scenario.select import matcher
from pinhole.scenario.vocabulary import vocabulary
from pinhole.tools.execute import Terms, begin, jobs_of, run_jobs
from pinhole.tools.prepare import LaunchRequest
from pinhole.tools.report import report
from pinhole.yamlfile import did_you_mean

DEFAULT_PLAN = "default.yaml"


@dataclass(frozen=True)
class RunRequest:
    """What the command line asked for; see ``pinhole run --help``."""

    plan: Path | None
    kernels: tuple[str, ...]
    expression: str
    list_only: bool
    dry_run: bool
    repeat: int
    timeout: float | None
    budget: float | None
    fail_fast: bool
    strict: bool
    as_json: bool
    junit: Path | None
    offline: bool
    keep_on_failure: bool
    launch: LaunchRequest
    runs: Path | None
    patches: tuple[Path, ...] = ()
    sandbox: bool | None = None

    @property
    def terms(self) -> Terms:
        """How each of its jobs is run."""
        return Terms(
            timeout=self.timeout,
            budget=self.budget,
            fail_fast=self.fail_fast,
            keep_on_failure=self.keep_on_failure,
            offline=self.offline,
            launch=self.launch,
            runs=self.runs,
        )


def run_plan(request: RunRequest) -> int:
    """Does what was asked; returns the exit status. Raises ``PinholeError`` for what ends it."""
    progress = for_terminal()
    path = request.plan or shipped("plans") / DEFAULT_PLAN
    plan = load_plan(path, vocabulary())
    recipes = [
        with_choices(recipe, request.patches, request.sandbox)
        for recipe in recipes_of(plan, request.kernels, path)
    ]
    chosen = matcher(request.expression) if request.expression else lambda _: True
    wanted = [
        (recipe, scenario)
        for scenario in plan.scenarios
        for recipe in recipes
        if chosen(f"{scenario.name}[{recipe.label}]")
    ]
    if not wanted:
        raise UsageError(f"-k {request.expression!r} chooses nothing; see 'pinhole run --list'")
    if request.list_only:
        for recipe, scenario in wanted:
            print(f"{scenario.name}[{recipe.label}]  {scenario.summary}")
        return 0
    if request.junit is not None and not os.access(request.junit.absolute().parent, os.W_OK):
        raise UsageError(f"--junit {request.junit}: its folder is not there or cannot be written")
    jobs, choice = jobs_of(
        [
            (recipe, scenario, repetition)
            for recipe, scenario in wanted
            for repetition in range(request.repeat)
        ],
        plan.plan.machine,
        request.terms,
        progress,
    )
    if request.dry_run:
        for job in jobs:
            print(f"# {job.scenario.name}[{job.kernel.label}]: {job.launch.accelerator}")
            print(shlex.join(dry_run(job, progress)))
        return 0
    run = begin(path, choice, request.terms, plan.plan.baseline)
    records = list(run_jobs(run, jobs, request.terms, progress))
    return report(
        run,
        records,
        as_json=request.as_json,
        junit=request.junit,
        strict=request.strict,
        baseline=plan.plan.baseline,
    )


def recipes_of(plan: LoadedPlan, named: Sequence[str], path: Path) -> list[KernelRecipe]:
    """The kernels of the command line, or else the plan's; each under a label of its own."""
    if named:
        recipes = [parse_recipe(one) for one in named]
    else:
        recipes = []
        for index, one in enumerate(plan.plan.kernels):
            try:
                recipes.append(parse_recipe(one, relative_to=path.parent))
            except UsageError as error:
                raise UsageError(f"{plan.where('kernels', index)}: {error}") from error
        labels = [recipe.label for recipe in recipes]
        baseline = plan.plan.baseline
        if baseline is not None and baseline not in labels:
            raise UsageError(
                f"{plan.where('baseline')}: no kernel of the plan is called {baseline!r}"
                f"{did_you_mean(baseline, labels)}; they are {', '.join(labels)}"
            )
    if not recipes:
        raise UsageError(f"{path} names no kernel: add 'kernels:', or give --kernel debian:6.12")
    require_distinct(recipes)
    return recipes


def require_distinct(recipes: Sequence[KernelRecipe]) -> None:
    """Raises ``UsageError`` for two kernels that would share a column or a folder."""
    labels = [recipe.label for recipe in recipes]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(
                f"two kernels are called {label!r}; give each a 'name:' in the plan, or in a "
                "recipe's file"
            )
    folders = [folder_name(label) for label in labels]
    for label, folder in zip(labels, folders, strict=True):
        if folders.count(folder) > 1:
            raise UsageError(
                f"the kernel {label!r} and another one would share the run's folder {folder!r}; "
                "give each a 'name:' that differs in letters or digits"
            )

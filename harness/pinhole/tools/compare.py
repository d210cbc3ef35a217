# SPDX-License-Identifier: GPL-2.0-only
"""``pinhole compare``: two runs that were made, or two kernels that are run now, side by side."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pinhole.errors import UsageError
from pinhole.kernel.recipe import (
    BuildRecipe,
    ImageRecipe,
    KernelRecipe,
    parse_recipe,
    with_choices,
)
from pinhole.kernel.source import TarballSource, TreeSource
from pinhole.plan import load_plan
from pinhole.progress import for_terminal
from pinhole.resources import shipped
from pinhole.results.compare import Comparison, compared
from pinhole.results.compare_markdown import markdown
from pinhole.results.compare_table import render
from pinhole.results.record import Record
from pinhole.results.rejudge import rejudged
from pinhole.results.run import RUN_FILE, Run, runs_dir
from pinhole.scenario.select import matcher
from pinhole.scenario.vocabulary import vocabulary
from pinhole.tools.execute import Terms, Wanted, begin, jobs_of, run_jobs
from pinhole.tools.report import plain_console
from pinhole.tools.run import require_distinct

DEFAULT_PLAN = "catalogue.yaml"
NEWEST = "newest"


@dataclass(frozen=True)
class CompareRequest:
    """What the command line asked for; see ``pinhole compare --help``.

    ``for_kernels`` are the options given that only kernels can have, as they are written.
    """

    base: str
    candidate: str | None
    patches: tuple[Path, ...]
    plan: Path | None
    expression: str
    repeat: int
    as_json: bool
    as_markdown: bool
    terms: Terms
    for_kernels: tuple[str, ...]
    sandbox: bool | None = None


@dataclass(frozen=True)
class Chosen:
    """One kernel of a run that was made: its records, judged again; ``name`` is RUN@LABEL."""

    run: Run
    name: str
    records: tuple[Record, ...]


def compare(request: CompareRequest) -> int:
    """Does what was asked; returns the exit status. Raises ``PinholeError`` for what ends it."""
    if request.as_json and request.as_markdown:
        raise UsageError("--json or --markdown: standard output can hold one of them")
    if request.candidate is not None and request.patches:
        raise UsageError(
            "a CANDIDATE or --patch: with --patch the candidate is BASE with these patches"
        )
    if request.candidate is None and not request.patches:
        raise UsageError("what is to be compared with BASE? Give a CANDIDATE, or --patch FILE")
    for patch in request.patches:
        if not patch.exists():
            raise UsageError(f"--patch {patch}: there is no such file; give the path of a patch")
    parent = runs_dir(request.terms.runs)
    words = [request.base] if request.candidate is None else [request.base, request.candidate]
    runs = [_find_run(word, parent) for word in words]
    if all(run is None for run in runs):
        return _compare_kernels(request)
    if request.for_kernels:
        raise UsageError(
            f"{', '.join(request.for_kernels)}: for kernels that are run now; "
            "the runs that are compared have been made"
        )
    chosen = []
    for word, run in zip(words, runs, strict=True):
        if run is None:
            raise UsageError(
                f"{word!r} is no run, and what it is compared with is one: compare two runs or "
                f"two kernels ('pinhole run --kernel {word}' makes a run)"
            )
        chosen.append(_chosen(word, run, parent, request.expression))
    return _compare_runs(request, *chosen)


def candidate_of(base: KernelRecipe, patches: tuple[Path, ...]) -> KernelRecipe:
    """The recipe of ``base`` with ``patches`` on top; raises ``UsageError`` if it has no source."""
    return with_choices(base, patches, None)


# -- runs that were made


def _compare_runs(request: CompareRequest, base: Chosen, candidate: Chosen) -> int:
    comparison = compared(base.records, candidate.records, (base.name, candidate.name))
    made = dict.fromkeys(one for side in (base, candidate) for one in _made_by(side.run))
    again = ["pinhole", "compare", base.name, candidate.name]
    if request.expression:
        again += ["-k", request.expression]
    return _report(request, comparison, [*made, shlex.join(again)])


def _find_run(word: str, parent: Path) -> tuple[Run, str | None] | None:
    """The run that ``word`` means, with the label behind its ``@``; None if it means no run."""
    name, at, label = word.partition("@")
    for run, kernel in ((word, None), (name, label if at else None)):
        if run == NEWEST:
            return Run.find(None, parent), kernel
        if run and any((folder / RUN_FILE).is_file() for folder in (Path(run), parent / run)):
            return Run.find(run, parent), kernel
    return None


def _chosen(word: str, found: tuple[Run, str | None], parent: Path, expression: str) -> Chosen:
    """One kernel of the run that ``word`` means; ``UsageError`` unless it is clear which."""
    run, label = found
    records = list(rejudged(run))
    labels = list(dict.fromkeys(one.kernel.label for one in records))
    if not labels:
        raise UsageError(f"{word}: nothing was finished or begun in this run; choose another")
    if label is None and len(labels) > 1:
        first, *_ = labels
        raise UsageError(
            f"{word}: the run has several kernels ({', '.join(labels)}); "
            f"say which: {shlex.quote(f'{word}@{first}')}"
        )
    if label is not None and label not in labels:
        raise UsageError(f"{word}: the run has no kernel {label!r}; it has {', '.join(labels)}")
    chosen = _matching(expression, records)
    mine = tuple(one for one in chosen if one.kernel.label == (label or labels[0]))
    if not mine:
        raise UsageError(f"-k {expression!r} chooses nothing of {word}")
    where = run.name if (parent / run.name / RUN_FILE).is_file() else str(run.folder)
    return Chosen(run, f"{where}@{label or labels[0]}", mine)


def _matching(expression: str, records: Iterable[Record]) -> list[Record]:
    chosen = matcher(expression) if expression else lambda _: True
    return [one for one in records if chosen(one.scenario.name)]


def _made_by(run: Run) -> list[str]:
    """The command line that made ``run``, but for where runs are kept on this host."""
    arguments = run.description().get("arguments")
    if not isinstance(arguments, list):
        return []
    words = iter(map(str, arguments))
    kept = []
    for word in words:
        if word == "--runs":
            next(words, None)
        elif not word.startswith("--runs="):
            kept.append(word)
    return [shlex.join(["pinhole", *kept])]


# -- kernels that are run now


def _compare_kernels(request: CompareRequest) -> int:
    base = with_choices(_recipe(request.base), (), request.sandbox)
    if request.candidate is None:
        recipes = [base, candidate_of(base, request.patches)]
    else:
        candidate = with_choices(_recipe(request.candidate), (), request.sandbox)
        recipes = _told_apart(base, candidate)
    require_distinct(recipes)
    progress = for_terminal()
    path = request.plan or shipped("plans") / DEFAULT_PLAN
    plan = load_plan(path, vocabulary())
    chosen = matcher(request.expression) if request.expression else lambda _: True
    wanted: list[Wanted] = [
        (recipe, scenario, repetition)
        for scenario in plan.scenarios
        if chosen(scenario.name)
        for repetition in range(request.repeat)
        # Base first, then candidate first, so that a host that becomes busier meets both alike.
        for recipe in (recipes if repetition % 2 == 0 else reversed(recipes))
    ]
    if not wanted:
        known = ", ".join(one.name for one in plan.scenarios)
        raise UsageError(f"-k {request.expression!r} chooses none of {path}'s scenarios: {known}")
    jobs, choice = jobs_of(wanted, plan.plan.machine, request.terms, progress)
    run = begin(path, choice, request.terms)
    records = list(run_jobs(run, jobs, request.terms, progress))
    sides = [[one for one in records if one.kernel.label == it.label] for it in recipes]
    where = run.folder if request.terms.runs is not None else Path(run.name)
    names = (f"{where}@{recipes[0].label}", f"{where}@{recipes[1].label}")
    comparison = compared(sides[0], sides[1], names)
    status = _report(request, comparison, _made_by(run))
    again = shlex.join(["pinhole", "compare", *names])
    print(f"To compare this evidence again: {again}", file=sys.stderr)
    return status


def _recipe(word: str) -> KernelRecipe:
    try:
        return parse_recipe(word)
    except UsageError as error:
        raise UsageError(f"{word!r} is no run, and: {error}") from error


def _told_apart(base: KernelRecipe, candidate: KernelRecipe) -> list[KernelRecipe]:
    """Both recipes, by labels that differ: two builds are often two files called bzImage, two
    working trees often two folders called linux."""
    if base == candidate:
        raise UsageError(
            f"BASE and CANDIDATE are both {base.label}; to see how far one kernel's outcomes vary: "
            f"pinhole run --kernel {base.label} --repeat 10"
        )
    both = [base, candidate]
    if base.label == candidate.label:
        return [_by_whole_path(one) for one in both]
    return both


def _by_whole_path(recipe: KernelRecipe) -> KernelRecipe:
    """The recipe, by the whole path of what it is made of where its label has the last part."""
    match recipe:
        case ImageRecipe(image=path):
            return replace(recipe, name=f"image:{path}")
        case BuildRecipe(source=TreeSource(path=path) | TarballSource(path=path), name=None):
            short = recipe.source.label
            kind, _, _ = short.partition(":")
            return replace(recipe, name=f"{kind}:{path}{recipe.label.removeprefix(short)}")
        case _:
            return recipe


# -- the report


def _report(request: CompareRequest, comparison: Comparison, reproduce: Sequence[str]) -> int:
    """Prints the comparison and returns the exit status."""
    if request.as_json:
        document = {
            "exit_status": comparison.exit_status,
            **comparison.model_dump(mode="json"),
            "reproduce": list(reproduce),
        }
        print(json.dumps(document, indent=1))
    elif request.as_markdown:
        print(markdown(comparison, reproduce), end="")
    else:
        render(comparison, plain_console())
    sys.stdout.flush()
    return comparison.exit_status

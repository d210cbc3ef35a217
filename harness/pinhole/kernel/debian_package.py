# SPDX-License-Identifier: GPL-2.0-only
"""The newest Debian package of a kernel series, as a cache entry: asked for, fetched, unpacked.

Which package is newest is asked at most once a day; one that is in the cache goes on serving when
the mirror is out of reach or has dropped the suite. What is unpacked of it, and how, is the
caller's (``debian.py`` for ready-made kernels, ``source_debian.py`` for kernel source).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import KernelError
from pinhole.kernel import apt, cache
from pinhole.kernel.answer import Answer
from pinhole.kernel.apt import Package, PrivateApt
from pinhole.kernel.suites import Alternatives
from pinhole.kernel.tool import ToolError
from pinhole.progress import Progress

_ASK_AGAIN_SECONDS = 24 * 3600.0
_TRY_AGAIN_SECONDS = 3600.0
"""After a mirror failed: a host without network must not wait for it in every run."""

_SPARE_BYTES = 64 << 20


@dataclass(frozen=True)
class Wanted:
    """Which package is wanted of a series, and what becomes of it in the cache.

    Of the packages whose name starts with ``prefix`` and is ``name``, the newest in the first of
    ``alternatives`` that has one. ``thing`` is what people call it (``kernel``), ``otherwise``
    what they can do without it. The mirror's answer is remembered as ``answer``. The entry of
    kind ``kind`` has a key that starts with ``layout``; ``unpack`` fills it from the .deb, and
    the file ``facts`` in it says which package it was. ``digested`` are the files whose SHA-256
    is kept, ``compared`` those of them that are compared whenever the entry is looked for.
    """

    label: str
    series: str
    thing: str
    otherwise: str
    alternatives: Alternatives
    name: re.Pattern[str]
    prefix: str
    answer: str
    kind: str
    layout: str
    facts: str
    digested: tuple[str, ...]
    compared: tuple[str, ...]
    unpack: Callable[[Path, Path], None]

    def key(self, package: Package) -> str:
        """The cache entry's key: the package's content, and the layout of the entry."""
        return f"{self.layout}-{package.sha256[:40]}"


@dataclass(frozen=True)
class Cached:
    """An undamaged entry in the cache, and the package it was."""

    folder: Path
    package: Package


def resolve(wanted: Wanted, progress: Progress, *, offline: bool) -> Cached:
    """The newest package: cached, or fetched first.

    Raises ``KernelError`` if there is none to be had, ``HostError`` for a full disk or a missing
    tool. ``offline`` never asks a mirror.
    """
    ready = _ready(wanted, offline=offline, progress=progress)
    if ready is None:
        what = f"Debian's {wanted.series} {wanted.thing}"
        with cache.lock("debian", wanted.answer, what=what, progress=progress):
            # Another process may have asked and fetched while this one waited.
            ready = _ready(wanted, offline=offline, progress=progress)
            if ready is None:
                ready = _asked(wanted, progress)
    cache.note_use(ready.folder)
    return ready


def newest_cached(wanted: Wanted) -> Cached | None:
    """The newest package of the series that lies undamaged in the cache."""
    found: dict[Package, Path] = {}
    for key in cache.keys(wanted.kind):
        if not key.startswith(f"{wanted.layout}-"):
            continue
        folder = cache.find(wanted.kind, key, wanted.compared)
        if folder is not None:
            facts = json.loads((folder / wanted.facts).read_bytes())
            if facts.pop("series") == wanted.series:
                found[Package(**facts)] = folder
    newest = apt.newest(list(found))
    return Cached(found[newest], newest) if newest else None


def _ready(wanted: Wanted, *, offline: bool, progress: Progress) -> Cached | None:
    """The cached package if it can be used without asking."""
    cached = newest_cached(wanted)
    if offline:
        if cached is None:
            raise KernelError(
                f"{wanted.label} is not in the cache (or damaged there) and this run is offline; "
                f"run once with a network, or {wanted.otherwise}"
            )
        return cached
    answer = Answer.read(wanted.answer)
    if cached is None or answer is None:
        return None
    if answer.age(answer.asked) < _ASK_AGAIN_SECONDS and answer.sha256 == cached.package.sha256:
        return cached
    if answer.age(answer.failed) < _TRY_AGAIN_SECONDS:
        progress.note(
            f"{wanted.label}: the mirror failed less than an hour ago; using the cached "
            f"{cached.package.name} {cached.package.version}"
        )
        return cached
    return None


def _asked(wanted: Wanted, progress: Progress) -> Cached:
    """The newest package after asking the mirror; the cached one if that fails."""
    cached = newest_cached(wanted)
    try:
        return _ask_and_fetch(wanted, cached, progress)
    except (KernelError, ToolError) as error:
        if cached is None:
            if isinstance(error, KernelError):
                raise
            raise KernelError(
                f"{wanted.label} could not be fetched: {error}\nTry again later, or "
                f"{wanted.otherwise}"
            ) from error
        Answer.failure(wanted.answer).write(wanted.answer)
        progress.note(
            f"{error}\nUsing the cached {cached.package.name} {cached.package.version} instead."
        )
        return cached


def _ask_and_fetch(wanted: Wanted, cached: Cached | None, progress: Progress) -> Cached:
    with cache.scratch("debian", wanted.answer) as folder:
        with progress.step(f"asking for Debian's newest {wanted.series} {wanted.thing}"):
            private, package, complaints = _newest_offered(wanted, folder)
        if complaints:
            reason = "; ".join(complaints)
            if cached is not None:  # what another suite has may well be older than this
                raise KernelError(f"{wanted.label}: {reason}")
            progress.note(f"{wanted.label}: {reason}; taking {package.name} {package.version}")
        made = cache.entry(
            wanted.kind,
            wanted.key(package),
            _make(wanted, private, package, progress),
            what=f"{package.name} {package.version}",
            digested=wanted.digested,
            needs_bytes=package.size_bytes + package.installed_bytes + _SPARE_BYTES,
            progress=progress,
        )
    if not complaints:
        Answer.success(package.sha256).write(wanted.answer)
    return Cached(made, package)


def _newest_offered(wanted: Wanted, folder: Path) -> tuple[PrivateApt, Package, list[str]]:
    """The newest package, the apt that can fetch it, and what went wrong before it was found."""
    mirror = apt.host_mirror()
    complaints: list[str] = []
    for number, suites in enumerate(wanted.alternatives):
        named = " and ".join(suite.name for suite in suites)
        part = folder / f"apt-{number}"
        part.mkdir()
        private = PrivateApt(part, mirror, suites)
        try:
            private.update()
        except ToolError as error:
            complaints.append(_complaint(named, error.lines or (str(error),)))
            continue
        package = private.newest(wanted.name, wanted.prefix)
        if package is not None:
            return private, package, complaints
        complaints.append(f"{named} has no {wanted.thing} {wanted.series}")
    raise KernelError(
        f"{wanted.label} is not to be had from the host's Debian mirror: {'; '.join(complaints)}; "
        f"{wanted.otherwise} instead"
    )


def _complaint(suite: str, lines: Sequence[str]) -> str:
    said = next((line for line in lines if line.startswith("E: ")), lines[0])
    if any("does not have a Release file" in line for line in lines):
        return f"the mirror does not have the suite {suite} (any more)"
    if any("not signed" in line or "GPG error" in line for line in lines):
        return f"the signature of {suite} is not Debian's ({said})"
    return f"the mirror did not answer for {suite} ({said})"


def _make(
    wanted: Wanted, private: PrivateApt, package: Package, progress: Progress
) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        megabytes = package.size_bytes // 1_000_000
        with progress.step(f"fetching {package.name} {package.version} ({megabytes} MB)"):
            archive = private.fetch(package, folder)
        with progress.step(f"unpacking {package.name} {package.version}"):
            wanted.unpack(archive, folder)
        archive.unlink()
        facts = {"series": wanted.series, **vars(package)}
        (folder / wanted.facts).write_text(json.dumps(facts, indent=1))

    return make

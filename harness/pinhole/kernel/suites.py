# SPDX-License-Identifier: GPL-2.0-only
"""Which Debian suites carry which kernel series, in the order in which they are asked.

A row is a list of alternatives; the suites of one alternative are asked together, the next one
only if the one before has no kernel of the series. The security archive comes first and alone
where the release is in its long-term support: its main archive is frozen and cannot be newer,
and its index is 20 times as large (bookworm: 0.4 MB against 8.8 MB).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Archive(Enum):
    """The two archives of Debian; a host's apt names a mirror for each."""

    MAIN = "main"
    SECURITY = "security"


@dataclass(frozen=True)
class Suite:
    """One suite of one archive."""

    archive: Archive
    name: str


def _main(name: str) -> Suite:
    return Suite(Archive.MAIN, name)


def _security(name: str) -> Suite:
    return Suite(Archive.SECURITY, name)


Alternatives = tuple[tuple[Suite, ...], ...]

SERIES: Mapping[str, Alternatives] = {
    "5.10": ((_security("bullseye-security"),), (_main("bullseye"),)),
    "6.1": ((_security("bookworm-security"),), (_main("bookworm"),)),
    "6.12": (
        (_security("bookworm-security"),),
        (_security("trixie-security"), _main("trixie")),
    ),
}

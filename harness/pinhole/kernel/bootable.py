# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that can be booted: its image, its modules, its configuration, as one value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Kernel:
    """What every way to get a kernel ends in.

    ``release`` is ``uname -r``; ``version`` the upstream version (``6.12.117``), which Debian's
    5.10 does not carry in its release. ``modules`` is ``…/lib/modules/RELEASE`` with depmod's
    files. ``config`` maps ``CONFIG_X`` to ``y``, ``m`` or its value, without those that are not
    set; None means that the configuration is not known. ``key`` addresses the content.
    ``origin`` says what it is and where it came from. ``variant`` names the variant of
    ``kernel-configs/variants/`` that it was built as, if any.
    """

    label: str
    release: str
    version: str
    image: Path
    modules: Path | None
    config: Mapping[str, str] | None = field(repr=False, hash=False)
    key: str
    origin: str
    variant: str | None = None

    def lacks(self, options: Iterable[str]) -> tuple[str, ...] | None:
        """Which of ``options`` are not set, sorted; None if the configuration is not known."""
        if self.config is None:
            return None
        return tuple(sorted(option for option in set(options) if option not in self.config))


_DEBIAN = re.compile(r"\bDebian (\d+\.\d+(?:\.\d+)?)")
_UPSTREAM = re.compile(r"\d+\.\d+(?:\.\d+)?(?:-rc\d+)?")


def upstream_version(release: str, banner: str = "") -> str:
    """The upstream version, from the release and the rest of the version string.

    Debian says it in the build's version (``#1 SMP Debian 5.10.262-1 (2026-07-30)``), for its
    release counts ABIs (``5.10.0-46-amd64``); others say it in the release itself.
    """
    said = _DEBIAN.search(banner)
    if said:
        return said[1]
    found = _UPSTREAM.match(release)
    return found[0] if found else release

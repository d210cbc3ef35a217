# SPDX-License-Identifier: GPL-2.0-only
"""Upstream kernel versions against ranges such as ``>=5.13, <6.14``."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version


def in_range(version: str, kernels: str) -> bool:
    """Whether the upstream ``version`` (``6.12.117``, ``6.14-rc2``) is in the range ``kernels``.

    A release candidate counts as the version that it leads to: 6.14-rc2 has 6.14's code. A
    version that cannot be understood is in no range but the empty one.
    """
    try:
        base = Version(Version(version.replace("-", "")).base_version)
    except InvalidVersion:
        return not kernels
    return base in SpecifierSet(kernels)

# SPDX-License-Identifier: GPL-2.0-only
"""Where the files that are not Python live: C sources and plans.

A wheel carries them in ``pinhole/_shipped``; a checkout (and an editable install) has them at
its root. Everything else asks here, so an installed pinhole works outside the checkout.
"""

from __future__ import annotations

from pathlib import Path

from pinhole.errors import HostError

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The folder ``name`` (``guest``, ``plans``) of this installation.

    Raises ``HostError`` if the installation lacks it.
    """
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent.parent):
        if (root / name).is_dir():
            return root / name
    raise HostError(
        f"this installation of pinhole lacks its folder {name!r} (looked beside {_PACKAGE}); "
        "install it again with pip"
    )

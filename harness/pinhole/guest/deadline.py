# SPDX-License-Identifier: GPL-2.0-only
"""A budget that is running: how much of it is left, and the error when nothing is."""

from __future__ import annotations

import time

from pinhole.errors import BudgetError


class Deadline:
    """``budget`` seconds from now for ``what``, a phrase such as "``cat x`` in the guest"."""

    def __init__(self, budget: float, what: str) -> None:
        self._began = time.monotonic()
        self.budget = budget
        self.what = what

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.budget - self.spent)

    def error(self, consequence: str = "") -> BudgetError:
        """The error that says that the budget ran out, and the ``consequence`` of that."""
        return BudgetError(
            f"{self.what} did not end within its budget of {self.budget:.3g} s"
            + (f": {consequence}" if consequence else "")
            + "; a larger --patience multiplies every budget"
        )

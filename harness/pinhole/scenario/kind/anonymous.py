# SPDX-License-Identifier: GPL-2.0-only
"""Private anonymous memory in base pages."""

from pinhole.scenario.part import MemoryKind

ANONYMOUS = MemoryKind(
    name="anonymous", summary="private anonymous memory in base pages (MADV_NOHUGEPAGE)"
)

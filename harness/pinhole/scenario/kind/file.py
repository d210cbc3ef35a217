# SPDX-License-Identifier: GPL-2.0-only
"""Page cache of a file on ext4, mapped shared.

ext4 on a loop device over a memfd: a filesystem that tracks dirty pages, unlike shmem.
"""

from pinhole.needs import Needs
from pinhole.scenario.part import MemoryKind

FILE = MemoryKind(
    name="file",
    summary="page cache of a file on ext4, mapped shared",
    flags=frozenset({"MMAP"}),
    lacks=frozenset({"ANON", "SWAPBACKED"}),
    needs=Needs(
        options=frozenset({"CONFIG_BLK_DEV_LOOP", "CONFIG_EXT4_FS"}),
        modules=("loop", "ext4"),
        # ext4 asks for it by name when it mounts.
        runtime_modules=("crc32c_generic",),
    ),
)

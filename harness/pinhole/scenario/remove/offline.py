# SPDX-License-Identifier: GPL-2.0-only
"""Taking memory away block by block through sysfs (``memoryN/state``)."""

from pinhole.needs import Needs
from pinhole.scenario.part import Removal

OFFLINE = Removal(
    name="offline",
    summary="offline each memory block of the node through sysfs",
    needs=Needs(
        options=frozenset(
            {
                "CONFIG_MEMORY_HOTPLUG",
                "CONFIG_MEMORY_HOTREMOVE",
                "CONFIG_ACPI_HOTPLUG_MEMORY",
                "CONFIG_NUMA",
                "CONFIG_PROC_PAGE_MONITOR",
            }
        ),
        # Without movable_node the kernel may put its own data on node 1.
        cmdline=("movable_node",),
    ),
)

# SPDX-License-Identifier: GPL-2.0-only
"""A running virtual machine under control: topology, QEMU, QMP, console, hotplug."""

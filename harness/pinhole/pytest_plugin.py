# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin: a booted machine, its guest and its removable memory as fixtures."""

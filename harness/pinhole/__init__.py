# SPDX-License-Identifier: GPL-2.0-only
"""pinhole asks a Linux kernel whether userspace can hold memory promised to be removable."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pinhole")
except PackageNotFoundError:  # imported from a source tree that was never installed
    __version__ = "0+unknown"

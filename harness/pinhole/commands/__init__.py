# SPDX-License-Identifier: GPL-2.0-only
"""Commands with a module of their own; ``cli.py`` registers them."""

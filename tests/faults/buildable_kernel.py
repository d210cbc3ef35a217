# SPDX-License-Identifier: GPL-2.0-only
"""A source tree that is built by make as a kernel's is, in a second, to a bootable image's header.

It stands for a kernel where only what is around the build is looked at: locks, the sandbox, full
disks, interruptions. Real kernels are built in tests/vm. As kbuild
does by its .cmd files, it takes no file for made that a killed command left.
"""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

from tests.unit.test_kernel_image import image_bytes

from pinhole.kernel.recipe import BuildRecipe, ConfigRecipe
from pinhole.kernel.source import TarballSource, TreeSource

MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 117
EXTRAVERSION =
include extra.mk
build := $(O)
allnoconfig:
	@mkdir -p $(build); cp $(KCONFIG_ALLCONFIG) $(build)/.config
bzImage: $(build)/arch/x86/boot/bzImage
# One after the other, so that a test can come between them.
$(build)/mm/memory.o: | $(build)/mm/gup.o
$(build)/%.o: %.c
	@echo '  CC      $@'
	@mkdir -p $(dir $@); sleep $(or $(PAUSE),0); $(CC) -c -o $@.new $< && mv $@.new $@
$(build)/arch/x86/boot/bzImage: $(build)/mm/gup.o $(build)/mm/memory.o image
	@echo '  BUILD   $@'
	@mkdir -p $(dir $@); cat image $(build)/mm/gup.o $(build)/mm/memory.o > $@.new
	@mv $@.new $@
	@touch $(build)/System.map $(build)/vmlinux
# make takes the last recipe of a target, not extra.mk's, so who brings modules says so.
ifndef OWN_MODULES
modules: $(build)/mm/memory.o
	@echo '  LD [M]  $(build)/mm/one.ko'
	@cp $(build)/mm/memory.o $(build)/mm/one.ko
modules_install:
	@mkdir -p $(INSTALL_MOD_PATH)/lib/modules/6.12.117-pinhole-test/kernel
	@cp $(build)/mm/one.ko $(INSTALL_MOD_PATH)/lib/modules/6.12.117-pinhole-test/kernel/
	@ln -s $(CURDIR) $(INSTALL_MOD_PATH)/lib/modules/6.12.117-pinhole-test/build
	@echo kernel/one.ko: > $(INSTALL_MOD_PATH)/lib/modules/6.12.117-pinhole-test/modules.dep
endif
"""


def buildable_tree(folder: Path, extra: str = "") -> Path:
    """The tree; ``extra`` is more of its Makefile, at its head."""
    for path, text in {
        "Makefile": MAKEFILE,
        "extra.mk": extra + "\n",
        "mm/gup.c": "int gup(void)\n{\n\treturn 1;\n}\n",
        "mm/memory.c": "int memory(void)\n{\n\treturn 1;\n}\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "image").write_bytes(image_bytes("6.12.117-pinhole-test #1"))
    return folder


def recipe_of(tree: Path, *patches: Path, sandbox: bool | None = None) -> BuildRecipe:
    """The recipe that builds it, with nothing asked of its configuration but one option."""
    return BuildRecipe(
        TreeSource(tree),
        patches=patches,
        config=ConfigRecipe(fragments=(), options=(("CONFIG_ONE", "y"),)),
        sandbox=sandbox,
        name="test",
    )


def tarball_of(tree: Path, path: Path) -> TarballSource:
    """The tree as an archive, and its checksum."""
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tree, "linux-6.12.117")
    return TarballSource(path, hashlib.sha256(path.read_bytes()).hexdigest())


def diff(path: str, before: str, after: str) -> str:
    """A patch that replaces the one line ``before`` of a file that begins with it."""
    return (
        f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{before}\n+{after}\n"
        if after
        else f"--- a/{path}\n+++ b/{path}\n@@ -1 +0,0 @@\n-{before}\n"
    )

# SPDX-License-Identifier: GPL-2.0-only
"""Builds that go wrong, or are meddled with: what is told, and what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.faults.buildable_kernel import buildable_tree, diff, recipe_of, tarball_of

from pinhole.errors import HostError, KernelError, UsageError
from pinhole.kernel import build, kernel_entry, sandbox, toolchain
from pinhole.kernel.build_plan import plan_build
from pinhole.kernel.recipe import BuildRecipe
from pinhole.kernel.worktree import WorkTree
from pinhole.progress import Lines, Quiet

RESOLVE = (
    "import sys\nfrom pathlib import Path\nfrom tests.faults.buildable_kernel import recipe_of\n"
    "from pinhole.kernel import build\nfrom pinhole.progress import Lines\n"
    "patches = [Path(one) for one in sys.argv[2:]]\n"
    "recipe = recipe_of(Path(sys.argv[1]), *patches)\n"
    "print(build.resolve(recipe, Lines(), offline=True).image)\n"
)
GUP = "int gup(void)\n{\n\treturn 1;\n}\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PINHOLE_CACHE", str(folder))
    yield folder
    assert not list(folder.glob("*/.making-*")), "half-made entries"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return buildable_tree(tmp_path / "linux")


def resolve(recipe: BuildRecipe) -> Path:
    return build.resolve(recipe, Quiet(), offline=True).image


def gup_patch(folder: Path, body: str) -> Path:
    path = folder / f"{abs(hash(body))}.diff"
    path.write_text(
        f"--- a/mm/gup.c\n+++ b/mm/gup.c\n@@ -1,4 +1,4 @@\n int gup(void)\n {{\n-\treturn 1;\n"
        f"+\t{body}\n }}\n"
    )
    return path


def facts(image: Path) -> kernel_entry.Facts:
    return kernel_entry.facts(image.parent)


def log_of(image: Path) -> str:
    return (image.parent / "build.log").read_text()


# -- what is built, and how often


def test_a_kernel_is_built_once(tree: Path) -> None:
    first = resolve(recipe_of(tree))
    assert log_of(first).count("  CC  ") == 2
    before = first.stat()
    assert resolve(recipe_of(tree)).stat() == before


def test_after_an_edit_only_what_changed_is_compiled(tree: Path) -> None:
    first = resolve(recipe_of(tree))
    (tree / "mm/gup.c").write_text(GUP.replace("1", "2"))
    second = resolve(recipe_of(tree))
    assert second.parent != first.parent
    assert [line for line in log_of(second).splitlines() if "  CC  " in line] == [
        "  CC      pinhole-build/mm/gup.o"
    ]
    assert facts(second).incremental and not facts(first).incremental


def test_a_patched_kernel_is_incremental_and_the_same_as_from_nothing(
    tree: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(tree, gup_patch(tmp_path, "return 3;"))
    image = resolve(recipe)
    assert log_of(image).count("  CC  ") == 1
    assert build.rebuilt_digest(recipe, Quiet(), offline=True) == facts(image).image_sha256
    assert (tree / "mm/gup.c").read_text() == GUP
    # Its tree is gone, the base's is as it was and serves the next one.
    assert [one.name for one in (Path(os.environ["PINHOLE_CACHE"]) / "work").iterdir()
            if one.is_dir()] == [plan_build(recipe, Quiet(), offline=True).tree]  # fmt: skip
    base = resolve(recipe_of(tree))
    assert facts(base).image_sha256 != facts(image).image_sha256


def test_what_is_asked_of_some_versions_later_replaces_what_came_before(
    tree: Path, tmp_path: Path
) -> None:
    for name, line in (("one", "CONFIG_ONE=y"), ("two", "CONFIG_ONE=m # >=6.2")):
        (tmp_path / f"{name}.config").write_text(f"{line}\n")
    fragments = (tmp_path / "one.config", tmp_path / "two.config")
    plain = recipe_of(tree)
    recipe = replace(plain, config=replace(plain.config, fragments=fragments, options=()))
    plan = plan_build(recipe, Quiet(), offline=True)
    assert [one.line for one in plan.asked_of("6.12.117")] == ["CONFIG_ONE=m"]
    assert [one.line for one in plan.asked_of("6.1.1")] == ["CONFIG_ONE=y"]


def test_another_option_or_compiler_is_another_kernel(tree: Path) -> None:
    plain = recipe_of(tree)
    keys = {
        plan_build(one, Quiet(), offline=True).key
        for one in (
            plain,
            replace(plain, config=replace(plain.config, options=(("CONFIG_ONE", "m"),))),
            replace(plain, compiler="gcc-12"),
            replace(plain, name="other"),
        )
    }
    assert len(keys) == 3, "the name alone is no part of it"


def test_modules_come_with_the_kernel_that_has_them(tree: Path) -> None:
    plain = recipe_of(tree)
    assert build.resolve(plain, Quiet(), offline=True).modules is None
    recipe = replace(plain, config=replace(plain.config, options=(("CONFIG_ONE", "m"),)))
    kernel = build.resolve(recipe, Quiet(), offline=True)
    assert kernel.modules is not None and kernel.modules.is_relative_to(kernel.image.parent)
    assert sorted(path.name for path in kernel.modules.iterdir()) == ["kernel", "modules.dep"]
    assert (kernel.modules / "kernel" / "one.ko").is_file()


def test_debian_and_tarball_kernels_come_from_their_archives(tree: Path, tmp_path: Path) -> None:
    source = tarball_of(tree, tmp_path / "linux.tar.gz")
    image = resolve(replace(recipe_of(tree), source=source))
    assert "linux.tar.gz" in facts(image).source


def test_the_use_of_a_tree_is_noted_for_prune(tree: Path, tmp_path: Path) -> None:
    resolve(recipe_of(tree))
    work = WorkTree.named(plan_build(recipe_of(tree), Quiet(), offline=True).tree)
    for path in (work.folder, work.folder / "state.json"):
        os.utime(path, (1000, 1000))
    resolve(recipe_of(tree, gup_patch(tmp_path, "return 9;")))
    assert work.folder.stat().st_mtime > 1000


def test_two_builds_of_one_recipe_build_it_once(tree: Path) -> None:
    (tree / "extra.mk").write_text("export PAUSE = 0.7\n")
    both = [
        subprocess.Popen(
            [sys.executable, "-c", RESOLVE, str(tree)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert said[0][0] == said[1][0]
    words = "".join(error for _, error in said)
    assert words.count("building test …") == 1
    assert "waiting for another pinhole that makes the kernel test" in words


def test_a_source_that_moved_on_during_a_build_is_compiled(tree: Path) -> None:
    """A look at the configuration brings the edited tree to where the running build has its
    source from: the next build must not take the object, which is newer, for made of it."""
    plan = plan_build(recipe_of(tree), Quiet(), offline=True)
    resolve(recipe_of(tree))
    (tree / "mm/gup.c").write_text(GUP.replace("1", "2"))
    edited = plan_build(recipe_of(tree), Quiet(), offline=True)
    with build.prepared_tree(edited, Quiet()):
        pass
    work = WorkTree.named(plan.tree)
    for path in ("mm/gup.o", "mm/memory.o", "arch/x86/boot/bzImage"):
        os.utime(work.folders.build / path)
    work.remember(**work.state())
    image = resolve(recipe_of(tree))
    assert build.rebuilt_digest(recipe_of(tree), Quiet(), offline=True) == facts(image).image_sha256
    assert "mm/memory.o" not in log_of(image)


class Editing(Quiet):
    """Edits a file as soon as a step begins that says ``word``."""

    def __init__(self, word: str, path: Path, text: str) -> None:
        self.word, self.path, self.text = word, path, text

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        if self.word in text:
            self.path.write_text(self.text)
        yield


def test_a_patch_that_is_edited_while_its_base_is_built_is_told(
    tree: Path, tmp_path: Path, cache: Path
) -> None:
    """Else the edited one were found under the key of what it was."""
    patch = gup_patch(tmp_path, "return 3;")
    other = gup_patch(tmp_path, "return 4;").read_text()
    editing = Editing("building its base", patch, other)
    recipe = recipe_of(tree, patch)
    with pytest.raises(KernelError, match=r"a patch or the configuration .* changed"):
        build.resolve(recipe, editing, offline=True)
    assert not list(cache.glob("kernel/build*"))
    assert resolve(recipe).is_file()


def test_a_configuration_that_is_edited_before_it_is_taken_is_told(
    tree: Path, tmp_path: Path
) -> None:
    (tree / "extra.mk").write_text("olddefconfig:\n\t@true\n")
    base = tmp_path / "base.config"
    base.write_text("CONFIG_TWO=y\n")
    plain = recipe_of(tree)
    recipe = replace(plain, config=replace(plain.config, base=base))
    with pytest.raises(KernelError, match=r"a patch or the configuration .* changed"):
        build.resolve(recipe, Editing("unpacking", base, "CONFIG_THREE=y\n"), offline=True)


# -- what goes wrong


@pytest.mark.parametrize("sandbox", [True, False])
def test_a_compiler_that_fails_is_told_with_file_line_and_log(
    tree: Path, tmp_path: Path, sandbox: bool
) -> None:
    recipe = recipe_of(tree, gup_patch(tmp_path, "return none;"), sandbox=sandbox)
    with pytest.raises(KernelError) as caught:
        resolve(recipe)
    assert "the kernel does not build: mm/gup.c:3:16: error: 'none' undeclared" in str(caught.value)
    log = Path(str(caught.value).split("The whole log: ")[1].split(";")[0])
    assert "'none' undeclared" in log.read_text()
    # A mended patch is another kernel; nothing of the failed one is in its way.
    assert resolve(recipe_of(tree, gup_patch(tmp_path, "return 4;"), sandbox=sandbox)).is_file()


def test_a_patch_that_does_not_apply_leaves_nothing(
    tree: Path, tmp_path: Path, cache: Path
) -> None:
    good = gup_patch(tmp_path, "return 5;")
    with pytest.raises(KernelError, match=r"does not apply: hunk 1 of mm/gup.c"):
        resolve(recipe_of(tree, good, gup_patch(tmp_path, "return 6;")))
    assert [one.name[:5] for one in (cache / "work").iterdir() if one.is_dir()] == ["base-"]
    assert resolve(recipe_of(tree, good)).is_file()


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/outside", "pinhole-build/arch/x86/boot/bzImage"]
)
def test_a_patch_with_a_path_that_it_may_not_have(tree: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.diff"
    path.write_text(f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n")
    with pytest.raises((KernelError, UsageError), match=r"evil\.diff"):
        resolve(recipe_of(tree, path))
    assert not (tmp_path / "outside").exists() and not Path("/etc/outside").exists()


def test_a_patched_makefile_cannot_write_outside_its_folders(
    tree: Path, tmp_path: Path, cache: Path
) -> None:
    outside = tmp_path / "written"
    targets = (outside, cache / "kernel" / "planted", cache / "ccache" / "planted")
    words = " ".join(f"$(shell echo x > {one} || echo refused >&2)" for one in targets)
    patch = tmp_path / "evil.diff"
    patch.write_text(diff("extra.mk", "", f"evil := {words}"))
    image = resolve(recipe_of(tree, patch, sandbox=True))
    assert facts(image).confined
    assert log_of(image).count("refused") >= 3
    assert not any(one.exists() for one in targets)
    # The test sees it where nothing confines the build.
    open_ = resolve(recipe_of(tree, patch, gup_patch(tmp_path, "return 7;"), sandbox=False))
    assert not facts(open_).confined
    assert outside.exists()


def test_a_patch_cannot_reach_the_kernels_of_others(tree: Path, tmp_path: Path) -> None:
    """What a patched build leaves in its build folder is not what the next kernel is made of."""
    patch = tmp_path / "evil.diff"
    evil = "$(shell test -d pinhole-build/mm && echo bad > pinhole-build/mm/memory.o)"
    patch.write_text(diff("extra.mk", "", f"evil := {evil}"))
    resolve(recipe_of(tree))
    resolve(recipe_of(tree, patch))
    other = recipe_of(tree, gup_patch(tmp_path, "return 8;"))
    image = resolve(other)
    assert b"bad\n" not in image.read_bytes()
    assert build.rebuilt_digest(other, Quiet(), offline=True) == facts(image).image_sha256


def test_a_source_cannot_be_written_by_its_own_build(tree: Path) -> None:
    (tree / "extra.mk").write_text("x := $(shell echo int gone';' > mm/gup.c)\n")
    resolve(recipe_of(tree, sandbox=True))
    assert (tree / "mm/gup.c").read_text() == GUP
    work = WorkTree.named(plan_build(recipe_of(tree), Quiet(), offline=True).tree)
    assert (work.source / "mm/gup.c").read_text() == GUP


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the user's, outside of all that a build may see."""
    path = tmp_path / "home" / "secret"
    path.parent.mkdir()
    path.write_text("CONFIG_SECRET=y\n")
    return path


def leaving_link(name: str, target: Path, more: str = "") -> str:
    """Makefile lines that leave a symbolic link at ``name`` once the image is made."""
    return (
        f"{more}bzImage: swap\nswap: pinhole-build/arch/x86/boot/bzImage\n"
        f"\t@ln -sfn {target} pinhole-build/{name}\n"
    )


@pytest.mark.parametrize(
    "name", ["arch/x86/boot/bzImage", "arch/x86/boot", ".config", "System.map"]
)
def test_a_link_as_what_was_built_is_not_followed(
    tree: Path, secret: Path, cache: Path, name: str
) -> None:
    target = secret.parent if name.endswith("boot") else secret
    (target / "bzImage" if target.is_dir() else target).write_text("CONFIG_SECRET=y\n")
    swap = leaving_link(name, target).replace("ln -sfn", f"rm -rf pinhole-build/{name}; ln -sfn")
    (tree / "extra.mk").write_text(swap)
    with pytest.raises(KernelError, match="the build left no file"):
        resolve(recipe_of(tree, sandbox=True))
    kept = [one for one in cache.glob("kernel/*/*") if one.name != "config"]
    assert not any("SECRET" in one.read_text(errors="replace") for one in kept)


@pytest.mark.parametrize("name", ["pinhole.config", ".config"])
def test_nothing_is_written_through_a_link_that_a_build_left(
    tree: Path, tmp_path: Path, secret: Path, name: str
) -> None:
    """The next kernel of a tree is configured in the folder that the last one left."""
    base = tmp_path / "base.config"
    base.write_text("CONFIG_OTHER=y\n")
    olddefconfig = "olddefconfig:\n\t@cp pinhole-build/.config pinhole-build/.config.new\n"
    (tree / "extra.mk").write_text(
        f"{olddefconfig}\t@mv pinhole-build/.config.new pinhole-build/.config\n"
        f"bzImage: left\nleft:\n\t@test -e pinhole-build/left || ln -sfn {secret} "
        f"pinhole-build/{name}\n\t@touch pinhole-build/left\n"
    )
    plain = recipe_of(tree, sandbox=True)
    recipe = replace(plain, config=replace(plain.config, base=base))
    for number in (1, 2):
        (tree / "mm/gup.c").write_text(GUP.replace("1", str(number)))
        with suppress(KernelError):  # of the first, whose .config is the link
            resolve(recipe)
        assert secret.read_text() == "CONFIG_SECRET=y\n"
    assert resolve(recipe).is_file()


def test_modules_are_copied_without_what_links_lead_to(tree: Path, secret: Path) -> None:
    (tree / "extra.mk").write_text(
        "OWN_MODULES = 1\nmodules:\n\t@true\n"
        "modules_install:\n\t@mkdir -p $(INSTALL_MOD_PATH)/lib/modules/r\n"
        f"\t@cd $(INSTALL_MOD_PATH)/lib/modules/r; echo x > a.ko; mkfifo pipe; "
        f"ln -s {secret} b.ko; ln -s {secret.parent} build\n"
    )
    plain = recipe_of(tree, sandbox=True)
    recipe = replace(plain, config=replace(plain.config, options=(("CONFIG_ONE", "m"),)))
    image = resolve(recipe)
    assert [one.name for one in (image.parent / "lib/modules/r").iterdir()] == ["a.ko"]
    # Nor do those of the next kernel come with the last one's.
    makefile = (tree / "extra.mk").read_text()
    (tree / "extra.mk").write_text(makefile.replace("/modules/r", "/modules/s"))
    assert [one.name for one in (resolve(recipe).parent / "lib/modules").iterdir()] == ["s"]
    swap = f"modules_install:\n\t@ln -s {secret.parent} $(INSTALL_MOD_PATH)\n"
    (tree / "extra.mk").write_text(f"OWN_MODULES = 1\nmodules:\n\t@true\n{swap}")
    (secret.parent / "lib").mkdir()
    with pytest.raises(KernelError, match="is no folder"):
        resolve(recipe)


def test_an_image_that_is_none_is_not_kept(tree: Path, cache: Path) -> None:
    image = (tree / "image").read_bytes()
    (tree / "image").write_bytes(b"no kernel")
    with pytest.raises(KernelError, match="is not a Linux kernel image"):
        resolve(recipe_of(tree))
    assert not list(cache.glob("kernel/build*"))
    (tree / "image").write_bytes(image.replace(b"6.12.117-pinhole-test", b"6.12.117/../../../ab_"))
    with pytest.raises(KernelError, match="does not say its version"):
        resolve(recipe_of(tree))


def test_no_space_while_building_is_a_word_on_the_disk(
    tree: Path, tmp_path: Path, cache: Path
) -> None:
    say = "echo 'fatal error: error writing to x.s: No space left on device' >&2; exit 1"
    patch = tmp_path / "full.diff"
    patch.write_text(
        diff("extra.mk", "", f"bzImage: full\nfull:\n\t@{say}")
        .replace("@@ -1 +1 @@", "@@ -1 +1,3 @@")
        .replace("\nfull:", "\n+full:")
        .replace("\n\t@", "\n+\t@")
    )
    with pytest.raises(HostError) as caught:
        resolve(recipe_of(tree, patch))
    assert "No space left on device" in str(caught.value)
    assert "point PINHOLE_CACHE elsewhere" in str(caught.value)
    assert [one.name[:5] for one in (cache / "work").iterdir() if one.is_dir()] == ["base-"]


def test_a_really_full_disk(tree: Path, cache: Path) -> None:
    """A file system of 3 MiB: the build itself runs into its end."""
    cache.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(cache)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr!r}")
    try:
        (tree / "extra.mk").write_text(
            "x := $(shell head -c 4000000 /dev/zero > pinhole-build/big)\n"
        )
        with pytest.raises(HostError, match="No space left on device"):
            resolve(recipe_of(tree))
    finally:
        subprocess.run(["umount", str(cache)], check=True)


def test_no_sandbox_where_bubblewrap_is_missing(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "why_not", lambda: "bubblewrap is missing")
    with pytest.raises(HostError, match="--sandbox: bubblewrap is missing"):
        resolve(recipe_of(tree, sandbox=True))
    image = resolve(recipe_of(tree))
    assert not facts(image).confined


def test_a_build_without_a_sandbox_that_nobody_asked_for_is_told(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "why_not", lambda: "bubblewrap is missing")
    monkeypatch.setattr(sandbox, "why_not", lambda: "bubblewrap is missing")
    build.resolve(recipe_of(tree), Lines(), offline=True)
    assert "building test without a sandbox: bubblewrap is missing" in capsys.readouterr().err


def test_a_compiler_that_the_sandbox_hides_is_told(tree: Path, tmp_path: Path) -> None:
    compiler = tmp_path / "my-gcc"
    compiler.write_text('#!/bin/sh\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    recipe = replace(recipe_of(tree), compiler=str(compiler))
    with pytest.raises(HostError, match=r"my-gcc lies where a build in the sandbox does not see"):
        resolve(recipe)
    assert resolve(replace(recipe, sandbox=False)).is_file()


def test_what_kconfig_is_told_of_the_host_is_in_the_key(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pahole's version is in .config, and so in a kernel with CONFIG_IKCONFIG."""
    before = plan_build(recipe_of(tree), Quiet(), offline=True)
    (tmp_path / "pahole").write_text("#!/bin/sh\necho v1.24\n")
    (tmp_path / "pahole").chmod(0o755)
    monkeypatch.setattr(toolchain, "_PATH", f"{toolchain._PATH}:{tmp_path}")
    toolchain.toolchain.cache_clear()
    try:
        after = plan_build(recipe_of(tree), Quiet(), offline=True)
    finally:
        toolchain.toolchain.cache_clear()
    assert after.toolchain.identity == f"{before.toolchain.identity}\npahole: v1.24"
    assert after.key != before.key


def test_what_is_missing_on_the_host_is_named_with_its_package(tree: Path) -> None:
    with pytest.raises(HostError, match=r"needs gcc-1;.*apt-get install gcc-1"):
        resolve(replace(recipe_of(tree), compiler="gcc-1"))


# -- interruptions


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_build_goes_on(tree: Path, tmp_path: Path, number: int) -> None:
    (tree / "extra.mk").write_text("export PAUSE = 2\n")
    resolve(recipe_of(tree))
    patch = tmp_path / "both.diff"
    patch.write_text(
        "".join(
            f"--- a/mm/{name}.c\n+++ b/mm/{name}.c\n@@ -1,4 +1,4 @@\n-int {name}(void)\n"
            f"+long {name}(void)\n {{\n \treturn 1;\n }}\n"
            for name in ("gup", "memory")
        )
    )
    with subprocess.Popen(
        [sys.executable, "-c", RESOLVE, str(tree), str(patch)],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        recipe = recipe_of(tree, patch)
        plan = plan_build(recipe, Quiet(), offline=True)
        done = WorkTree.named(plan.key).source / sandbox.BUILD_FOLDER / "mm"
        _await(lambda: (done / "gup.o").exists() and _newer(done / "gup.o", patch))
        process.send_signal(number)
        process.wait(20)
    _await(lambda: not _running("sleep 2"))
    kept = (done / "gup.o").stat()
    image = resolve(recipe)
    assert log_of(image).count("  CC  ") <= 2
    assert "gup.o" not in log_of(image), "what was compiled is not compiled again"
    assert kept.st_size
    assert build.rebuilt_digest(recipe, Quiet(), offline=True) == facts(image).image_sha256


def test_a_tree_that_changes_while_it_is_read_is_told(tree: Path) -> None:
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (tree / "mm/gup.c").write_text(GUP + f"/* {number} */\n")
            time.sleep(0.0005)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with pytest.raises(KernelError, match=r"mm/gup\.c"):
            resolve(recipe_of(tree))
    finally:
        stop.set()
        thread.join()


def _await(condition: object, within: float = 30.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def _newer(path: Path, other: Path) -> bool:
    return path.stat().st_mtime >= other.stat().st_mtime


def _running(words: str) -> bool:
    found = subprocess.run(["pgrep", "-fx", words], capture_output=True, check=False)
    return found.returncode == 0


def test_the_record_of_a_build_can_be_read(tree: Path) -> None:
    image = resolve(recipe_of(tree))
    found = json.loads((image.parent / "kernel.json").read_text())
    assert found["steps"] == 3 and found["cpu_seconds"] > 0
    assert found["image_sha256"] == facts(image).image_sha256

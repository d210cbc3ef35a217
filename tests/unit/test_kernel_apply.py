# SPDX-License-Identifier: GPL-2.0-only
"""Patches applied: all or nothing, never into a pristine copy, nowhere but in the tree."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinhole.errors import HostError, KernelError
from pinhole.kernel.apply import Applied, apply
from pinhole.kernel.patches import Patch, load_patches
from pinhole.kernel.sandbox import BUILD_FOLDER

FILES = {
    "Makefile": "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\nNAME = x\n",
    "mm/a.c": "".join(f"line {number}\n" for number in range(1, 41)),
    "mm/b.c": "int b;\n",
    "scripts/run.sh": "#!/bin/sh\n",
    "lone/only.c": "alone\n",
}


@pytest.fixture
def pristine(tmp_path: Path) -> Path:
    """The unpacked source that must never change."""
    folder = tmp_path / "pristine"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "scripts/run.sh").chmod(0o755)
    (folder / "scripts/mm").symlink_to("../mm")
    return folder


@pytest.fixture
def tree(tmp_path: Path, pristine: Path) -> Path:
    """The tree to patch: its files are hard links to the pristine ones."""
    folder = tmp_path / "tree"
    shutil.copytree(pristine, folder, symlinks=True, copy_function=os.link)
    assert (folder / "mm/a.c").samefile(pristine / "mm/a.c")
    return folder


Edit = Callable[[Path], object]


def patch_of(folder: Path, edit: Edit, *options: str, title: str = "x: change") -> Patch:
    """What git says that ``edit`` did to a copy of ``folder``."""
    copy = folder.parent / f"copy-{time.monotonic_ns()}"
    shutil.copytree(folder, copy, symlinks=True)

    def git(*words: str) -> bytes:
        return subprocess.run(
            ["git", "-c", "user.name=z", "-c", "user.email=z@example.org", *words],
            cwd=copy, check=True, capture_output=True,
        ).stdout  # fmt: skip

    git("init", "--quiet")
    git("add", "--all", "--force")
    git("commit", "--quiet", "-m", "base")
    edit(copy)
    git("add", "--all", "--force")
    diff = git("diff", "--cached", "--binary", "-M", *options)
    shutil.rmtree(copy)
    assert diff
    return Patch(title, Path("x.patch"), diff)


def raw(text: str, strip: int = 1) -> Patch:
    return Patch("x: raw", Path("raw.patch"), text.encode(), strip)


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Every path with its mode and content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            str(path.readlink()) if path.is_symlink() else path.read_bytes().hex(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def replace(name: str, old: str, new: str) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return edit


def everything(folder: Path) -> None:
    """A content change, a new folder, a removal, a rename with an edit, modes, a link, bytes."""
    replace("mm/a.c", "line 20\n", "line twenty\n")(folder)
    (folder / "new/deep").mkdir(parents=True)
    (folder / "new/deep/n.c").write_text("new\n")
    (folder / "new/empty").write_text("")
    (folder / "new/tool").write_text("#!/bin/sh\n")
    (folder / "new/tool").chmod(0o755)
    (folder / "new/link").symlink_to("../mm/a.c")
    (folder / "new/blob").write_bytes(bytes(range(256)))
    (folder / "lone/only.c").unlink()
    (folder / "mm/b.c").rename(folder / "mm/c d.c")
    (folder / "scripts/run.sh").chmod(0o644)


def test_all_kinds_of_change_arrive_and_the_pristine_copy_stays(
    pristine: Path, tree: Path, tmp_path: Path
) -> None:
    before = state(pristine)
    wanted = tmp_path / "wanted"
    shutil.copytree(pristine, wanted, symlinks=True)
    everything(wanted)
    began = time.time()
    applied = apply([patch_of(pristine, everything)], tree)
    assert state(tree) == state(wanted)
    assert state(pristine) == before
    assert applied == Applied(
        changed=(Path("mm/a.c"), Path("scripts/run.sh")),
        added=tuple(
            Path(name)
            for name in (
                "mm/c d.c",
                "new/blob",
                "new/deep/n.c",
                "new/empty",
                "new/link",
                "new/tool",
            )
        ),
        removed=(Path("lone/only.c"), Path("mm/b.c")),
    )
    assert not (tree / "lone").exists()  # as git does with a folder that is empty now
    assert (tree / "Makefile").samefile(pristine / "Makefile")
    for path in (*applied.changed, *applied.added):
        assert (tree / path).lstat().st_mtime >= began - 1
        assert (tree / path).lstat().st_nlink == 1
    assert not [path for path in tree.iterdir() if path.name.startswith(".")]


def test_series_builds_on_itself(pristine: Path, tree: Path) -> None:
    first = patch_of(pristine, replace("mm/a.c", "line 20\n", "line twenty\n"))
    middle = pristine.parent / "middle"
    shutil.copytree(pristine, middle, symlinks=True)
    replace("mm/a.c", "line 20\n", "line twenty\n")(middle)
    second = patch_of(middle, replace("mm/a.c", "line twenty\n", "twenty\n"))
    apply([first, second], tree)
    assert "\ntwenty\n" in (tree / "mm/a.c").read_text()
    with pytest.raises(KernelError):
        apply([second, first], tree)


def test_file_that_ends_as_it_was_is_not_touched(pristine: Path, tree: Path) -> None:
    there = patch_of(pristine, replace("mm/a.c", "line 20\n", "x\n"))
    back = patch_of(pristine, replace("mm/a.c", "line 20\n", "x\n"), "-R")
    assert apply([there, back], tree) == Applied((), (), ())
    assert (tree / "mm/a.c").samefile(pristine / "mm/a.c")


def test_context_that_moved_is_found(pristine: Path, tree: Path) -> None:
    patch = patch_of(pristine, replace("mm/a.c", "line 20\n", "x\n"))
    path = tree / "mm/a.c"
    text = "another\n" * 7 + path.read_text()
    path.unlink()
    path.write_text(text)
    apply([patch], tree)
    assert "\nx\n" in path.read_text()


def test_file_may_become_a_folder(pristine: Path, tree: Path) -> None:
    def edit(folder: Path) -> None:
        (folder / "mm/b.c").unlink()
        (folder / "mm/b.c").mkdir()
        (folder / "mm/b.c/in.c").write_text("in\n")

    applied = apply([patch_of(pristine, edit)], tree)
    assert (tree / "mm/b.c/in.c").read_text() == "in\n"
    assert applied.removed == (Path("mm/b.c"),)


def test_traditional_diff_applies(tree: Path) -> None:
    diff = (
        "--- mm/b.c.orig\t2026-11-25 09:00:00.000000000 +0000\n"
        "+++ mm/b.c\t2026-11-25 09:00:01.000000000 +0000\n@@ -1 +1 @@\n-int b;\n+int c;\n"
    )
    assert apply([raw(diff, strip=0)], tree).changed == (Path("mm/b.c"),)


def test_environment_and_repository_around_change_nothing(
    pristine: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git apply skips silently in a repository's subfolder; a hook's GIT_DIR would lead it off."""
    subprocess.run(["git", "init", "--quiet", str(tree.parent)], check=True)
    monkeypatch.setenv("GIT_DIR", str(tree.parent / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tree.parent))
    monkeypatch.setenv("TMPDIR", str(tree.parent))
    monkeypatch.setattr("tempfile.tempdir", None)
    with monkeypatch.context() as clean:
        clean.delenv("GIT_DIR")
        clean.delenv("GIT_WORK_TREE")
        patch = patch_of(pristine, replace("mm/a.c", "line 20\n", "x  \n"))
    assert apply([patch], tree).changed == (Path("mm/a.c"),)
    assert "\nx  \n" in (tree / "mm/a.c").read_text()


def test_attributes_in_the_tree_convert_nothing(pristine: Path, tree: Path) -> None:
    attributes = raw(new_file(".gitattributes", text="*.c text eol=crlf ident"))
    apply([attributes, patch_of(pristine, replace("mm/b.c", "b", "$Id$"))], tree)
    assert (tree / "mm/b.c").read_bytes() == b"int $Id$;\n"


# What does not apply.


def refused(tree: Path, pristine: Path, *patches: Patch) -> str:
    """The message; the tree and its pristine copy are as before, to the inode."""
    before, inodes = state(pristine), [path.lstat().st_ino for path in sorted(tree.rglob("*"))]
    with pytest.raises(KernelError) as caught:
        apply(patches, tree)
    assert state(tree) == state(pristine) == before
    assert [path.lstat().st_ino for path in sorted(tree.rglob("*"))] == inodes
    return str(caught.value)


def other_base(pristine: Path, *edits: Edit) -> Path:
    folder = pristine.parent / "other"
    shutil.copytree(pristine, folder, symlinks=True)
    for edit in edits:
        edit(folder)
    return folder


def test_mismatch_names_patch_file_hunk_and_lines(pristine: Path, tree: Path) -> None:
    other = other_base(pristine, replace("mm/a.c", "line 29\n", "line XXIX\n"))

    def edit(folder: Path) -> None:
        replace("mm/a.c", "line 3\n", "line three\n")(folder)
        replace("mm/a.c", "line 30\n", "line thirty\n")(folder)

    good = patch_of(pristine, replace("mm/b.c", "b", "bb"))
    message = refused(tree, pristine, good, patch_of(other, edit, title="mm: count better"))
    assert message == (
        "the patch 'mm: count better' (x.patch) does not apply: "
        "hunk 2 of mm/a.c (@@ -27,7 +27,7 @@ line 26) expected\n"
        "    line 27\n    line 28\n    line XXIX\n    line 30\n    line 31\n    line 32\n"
        "    line 33\n"
        "but at line 27 there stands\n"
        "    line 27\n    line 28\n  ! line 29\n    line 30\n    line 31\n    line 32\n"
        "    line 33\n"
        "is it made for another base? the base is Linux 6.12.117"
    )


def test_no_fuzz(pristine: Path, tree: Path) -> None:
    """patch(1) would drop the outermost context line; here all of it must stand."""
    other = other_base(pristine, replace("mm/a.c", "line 17\n", "line XVII\n"))
    message = refused(tree, pristine, patch_of(other, replace("mm/a.c", "line 20\n", "x\n")))
    assert "hunk 1 of mm/a.c" in message and "  ! line 17" in message


def test_difference_in_white_space_is_said(pristine: Path, tree: Path) -> None:
    diff = "--- a/mm/b.c\n+++ b/mm/b.c\n@@ -1,2 +1,3 @@\n int b; \n \n+int c;\n"
    assert "  ! int b;  (other white space" in refused(tree, pristine, raw(diff))


def test_place_that_is_most_alike_is_shown(pristine: Path, tree: Path) -> None:
    for folder in (pristine, tree):
        (folder / "mm/c.c").write_text("{\n}\n" * 5 + "{\nfoo\nbar\n}\n" + "{\n}\n" * 5)
    diff = "--- a/mm/c.c\n+++ b/mm/c.c\n@@ -1,4 +1,3 @@\n {\n-food\n bar\n }\n"
    message = refused(tree, pristine, raw(diff))
    assert "but at line 11 there stands\n    {\n  ! foo\n    bar\n    }\n" in message


def test_lines_that_are_nowhere_are_said_to_be(pristine: Path, tree: Path) -> None:
    diff = "--- a/mm/b.c\n+++ b/mm/b.c\n@@ -1,2 +1 @@\n-some\n-thing\n+else\n"
    assert "nothing like it stands in the file" in refused(tree, pristine, raw(diff))


def test_all_failing_files_are_named(pristine: Path, tree: Path) -> None:
    edits = (replace("mm/a.c", "line 2\n", "2\n"), replace("mm/b.c", "int b", "long b"))
    other = other_base(pristine, *edits)
    diff = patch_of(other, lambda folder: [edit(folder) for edit in edits_back()])
    message = refused(tree, pristine, diff)
    assert "hunk 1 of mm/a.c" in message and "nor does it to mm/b.c" in message


def edits_back() -> list[Edit]:
    return [replace("mm/a.c", "line 3\n", "3\n"), replace("mm/b.c", "long b", "char b")]


def test_patch_that_is_there_already_is_told_apart(pristine: Path, tree: Path) -> None:
    patch = patch_of(pristine, replace("mm/b.c", "int b", "long b"))
    apply([patch], tree)
    with pytest.raises(KernelError, match=r"Linux 6\.12\.117 has it already; take it out"):
        apply([patch], tree)


def test_missing_and_existing_files_are_named(pristine: Path, tree: Path) -> None:
    gone = raw("--- a/mm/gone.c\n+++ b/mm/gone.c\n@@ -1 +1 @@\n-a\n+b\n")
    message = refused(tree, pristine, gone)
    assert "there is no file mm/gone.c" in message and "-p0" in message
    there = raw("--- /dev/null\n+++ b/mm/b.c\n@@ -0,0 +1 @@\n+b\n")
    assert "adds the file mm/b.c, which is there already" in refused(tree, pristine, there)


def test_full_disk_leaves_the_tree_as_it_was(
    pristine: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third file that comes into the tree finds no room; the two before must not stay."""
    patch, copy, room = patch_of(pristine, everything), shutil.copyfile, [2]

    def copyfile(source: Path, target: Path, *, follow_symlinks: bool = True) -> object:
        if target.is_relative_to(tree):
            if room[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
            room[0] -= 1
        return copy(source, target, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    before = state(pristine)
    with pytest.raises(HostError, match="No space left on device"):
        apply([patch], tree)
    assert room == [0]
    assert state(tree) == state(pristine) == before
    assert not [path for path in tree.iterdir() if path.name.startswith(".")]


# Where a patch may not write.


def new_file(path: str, mode: str = "100644", text: str = "x") -> str:
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n"
        f"@@ -0,0 +1 @@\n+{text}\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize(
    ("diff", "path", "reason"),
    [
        (new_file("../out.c"), "../out.c", "does not stay in the tree"),
        (new_file("mm/../../out.c"), "mm/../../out.c", "does not stay in the tree"),
        (new_file("mm/./x.c"), "mm/./x.c", "does not stay in the tree"),
        (new_file("/etc/x"), "/etc/x", "an absolute path"),
        ("--- a/mm/b.c\n+++ b/../b.c\n@@ -1 +1 @@\n-int b;\n+x\n", "../b.c", "not stay in the"),
        (new_file(".git/hooks/x"), ".git/hooks/x", "git repository's own folder"),
        (new_file("sub/.GIT/config"), "sub/.GIT/config", "git repository's own folder"),
        (new_file(f"{BUILD_FOLDER}/x.o"), f"{BUILD_FOLDER}/x.o", "the kernel is built in"),
        (new_file("scripts/mm/new.c"), "scripts/mm/new.c", "mm is a symbolic link (to ../mm)"),
        (new_file("scripts"), "scripts", "that is a folder in the tree"),
        (new_file("l", "120000", "/etc/passwd"), "l", "a symbolic link out of the tree, to /etc"),
        (new_file("l", "120000", "../x"), "l", "a symbolic link out of the tree, to ../x"),
        (new_file("mm/l", "120000", "../../x"), "mm/l", "out of the tree, to ../../x"),
        (new_file("l", "120000", "mm/../../x"), "l", "a symbolic link out of the tree"),
        (new_file("null", "020666"), "null", "mode 020666 says that it is neither a file nor"),
        (new_file("sub", "160000", "Subproject commit " + "1" * 40), "sub", "it is a submodule"),
        (
            "diff --git a/mm/b.c b/../b.c\nrename from mm/b.c\nrename to ../b.c\n",
            "../b.c",
            "does not stay in the tree",
        ),
    ],
)  # fmt: skip
def test_path_outside_is_refused(
    pristine: Path, tree: Path, diff: str, path: str, reason: str
) -> None:
    message = refused(tree, pristine, raw(diff))
    assert message.startswith("the patch 'x: raw' (raw.patch) is refused: ")
    assert f"it touches {path}, and" in message and reason in message
    assert sorted(one.name for one in tree.parent.iterdir()) == ["pristine", "tree"]


def test_link_of_an_earlier_patch_is_no_way_out(pristine: Path, tree: Path) -> None:
    link, through = raw(new_file("way", "120000", "mm")), raw(new_file("way/x.c"))
    assert "way is a symbolic link (to mm) there" in refused(tree, pristine, link, through)


def test_link_in_the_same_patch_is_no_way(pristine: Path, tree: Path) -> None:
    both = raw(new_file("way", "120000", "mm") + new_file("way/x.c"))
    message = refused(tree, pristine, both)
    assert "raw.patch" in message and "way" in message


def test_link_that_is_moved_up_may_not_lead_out(pristine: Path, tree: Path) -> None:
    deep = raw(new_file("mm/l", "120000", "../Makefile"))
    up = raw("diff --git a/mm/l b/l\nsimilarity index 100%\nrename from mm/l\nrename to l\n")
    assert "out of the tree, to ../Makefile" in refused(tree, pristine, deep, up)


def test_link_over_a_link_of_the_tree_may_not_lead_out(pristine: Path, tree: Path) -> None:
    for folder in (pristine, tree):
        (folder / "away").symlink_to("/usr")
    message = refused(tree, pristine, raw(new_file("l", "120000", "away/bin")))
    assert "a symbolic link out of the tree, to away/bin" in message


# Property: whatever git says that two texts differ in, applies back.

LINES = st.lists(st.sampled_from(["", "a", "b", "\tc", "- d", "+e", " f", "@@ -1 +1 @@", "-- "]))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(old=LINES, new=LINES, ends=st.tuples(st.booleans(), st.booleans()))
def test_any_edit_applies_to_the_same_result(
    tmp_path: Path, old: list[str], new: list[str], ends: tuple[bool, bool]
) -> None:
    before, after = (
        "\n".join(lines) + ("\n" if end else "")
        for lines, end in zip((old, new), ends, strict=True)
    )
    if before == after:
        return
    place = tmp_path / str(time.monotonic_ns())
    for name, text in (("a", before), ("b", after), ("tree", before)):
        (place / name).mkdir(parents=True)
        (place / name / "f.c").write_text(text)
    diff = subprocess.run(
        ["git", "diff", "--no-index", "--no-prefix", "a/f.c", "b/f.c"],
        cwd=place,
        check=False,
        capture_output=True,
    ).stdout
    (place / "x.patch").write_bytes(b"Why.\n---\n" + diff + b"-- \n2.39.5\n")
    apply(load_patches([place / "x.patch"]), place / "tree")
    assert (place / "tree/f.c").read_text() == after


def test_modes_of_new_files_do_not_depend_on_the_umask(pristine: Path, tree: Path) -> None:
    patch = patch_of(pristine, everything)
    old = os.umask(0o077)
    try:
        apply([patch], tree)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tree / "new/deep/n.c").stat().st_mode) == 0o644
    assert stat.S_IMODE((tree / "new/tool").stat().st_mode) == 0o755

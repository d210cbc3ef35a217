# SPDX-License-Identifier: GPL-2.0-only
"""Kernels from tarballs: wrong sums, members that lead elsewhere, archives that are cut off."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.mini_kernel import MAKEFILE, contents, left_behind, make_tree

from pinhole.errors import KernelError
from pinhole.kernel.source import Identified, TarballSource, identify
from pinhole.progress import Quiet

Change = Callable[[tarfile.TarFile], None]


@pytest.fixture(autouse=True)
def cache_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of its own around the one that is filled, to see what appears beside that."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place" / "out"


def packed(tmp_path: Path, mode: str = "w:xz", suffix: str = ".tar.xz") -> Path:
    tree = tmp_path / "linux-6.12"
    if not tree.exists():
        make_tree(tree)
    path = tmp_path / f"linux-6.12{suffix}"
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        tar.add(tree, "linux-6.12")
    return path


def changed(tmp_path: Path, change: Change) -> Path:
    """A good kernel's tarball with something more at its end."""
    path = packed(tmp_path, "w", ".tar")
    with tarfile.open(path, "a") as tar:
        change(tar)
    return path


def source(path: Path, sha256: str | None = None) -> Identified:
    given = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    return identify(TarballSource(path, given), Quiet(), offline=True)


def add(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", text: str = "") -> Change:
    def change(tar: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, link, len(text)
        tar.addfile(member, io.BytesIO(text.encode()))

    return change


def both(*changes: Change) -> Change:
    def change(tar: tarfile.TarFile) -> None:
        for one in changes:
            one(tar)

    return change


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("w", ".tar"), ("w:gz", ".tar.gz"), ("w:xz", ".tar.xz"), ("w:bz2", ".tar.bz2")],
)
def test_tarball_is_laid_out_without_its_top_folder(
    tmp_path: Path, place: Path, mode: str, suffix: str
) -> None:
    path = packed(tmp_path, mode, suffix)
    kernel = source(path)
    assert (kernel.trusted, kernel.lineage) == (False, kernel.key)
    assert kernel.materialize(place, Quiet()) == "6.12.117"
    assert contents(place) == contents(tmp_path / "linux-6.12")
    assert (place / "scripts" / "run.sh").stat().st_mode & 0o111
    assert not (place / "Makefile").stat().st_mode & 0o111


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs zstd")
def test_zstd_tarball_is_laid_out(tmp_path: Path, place: Path) -> None:
    plain = packed(tmp_path, "w", ".tar")
    path = tmp_path / "linux.tar.zst"
    subprocess.run(["zstd", "-q", str(plain), "-o", str(path)], check=True)
    assert source(path).materialize(place, Quiet()) == "6.12.117"
    assert sorted(one.name for one in place.parent.iterdir()) == ["out", "out.state"]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(KernelError, match="cannot be decompressed"):
        source(path).materialize(place, Quiet())
    assert list(place.iterdir()) == []


def test_wrong_sum_names_both_and_unpacks_nothing(tmp_path: Path, place: Path) -> None:
    path, wrong = packed(tmp_path), "ab" * 32
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(KernelError) as caught:
        source(path, wrong).materialize(place, Quiet())
    assert wrong in str(caught.value)
    assert right in str(caught.value)
    assert list(place.iterdir()) == []


def test_what_is_no_sum_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="is no SHA-256"):
        source(tmp_path / "missing.tar", "abc")


def test_missing_tarball_is_told(tmp_path: Path, place: Path) -> None:
    with pytest.raises(KernelError, match=r"missing\.tar cannot be read: No such file"):
        source(tmp_path / "missing.tar", "0" * 64).materialize(place, Quiet())


OUT = "../escaped"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (add("linux-6.12/../../escaped"), "leads out"),
        (add("../escaped"), "leads out"),
        (add("/tmp/escaped"), "leads out"),
        (add("linux-6.12/x", tarfile.SYMTYPE, "/etc/passwd"), "link out of the archive"),
        (add("linux-6.12/x", tarfile.SYMTYPE, "../../escaped"), "link out of the archive"),
        (add("linux-6.12/x", tarfile.SYMTYPE, "../escaped"), "link out of linux-6.12"),
        (add("linux-6.12/x", tarfile.LNKTYPE, "/etc/passwd"), "link out of the archive"),
        (add("linux-6.12/x", tarfile.LNKTYPE, "../escaped"), "link out of the archive"),
        (add("linux-6.12/x", tarfile.LNKTYPE, "linux-6.12/none"), "file that is not before it"),
        (add("linux-6.12/x", tarfile.CHRTYPE), "no file, folder or link"),
        (add("linux-6.12/x", tarfile.BLKTYPE), "no file, folder or link"),
        (add("linux-6.12/x", tarfile.FIFOTYPE), "no file, folder or link"),
        (
            both(
                add("linux-6.12/deep", tarfile.SYMTYPE, "mm"),
                add("linux-6.12/x", tarfile.SYMTYPE, "deep/../../escaped"),
            ),
            "link out of the archive",
        ),
        (add("linux-6.12/Makefile", text="all:\n"), "lies where another one does"),
        (add("linux-6.12/scripts/include/x"), "lies where another one does"),  # through a link
        (
            both(add("linux-6.12/d", tarfile.SYMTYPE, "mm"), add("linux-6.12/d", tarfile.DIRTYPE)),
            "lies where another one does",
        ),
        (
            both(
                add("linux-6.12/a", tarfile.SYMTYPE, "mm/gup.c"),
                add("linux-6.12/h", tarfile.LNKTYPE, "linux-6.12/a"),
            ),
            "file that is not before it",
        ),
    ],
)
def test_member_that_leads_elsewhere_is_refused_and_named(
    tmp_path: Path, place: Path, change: Change, words: str
) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(KernelError, match=words) as caught:
        source(path).materialize(place, Quiet())
    assert "the member '" in str(caught.value)
    assert list(place.iterdir()) == []
    assert [one.name for one in place.parent.iterdir()] == ["out"]
    assert not (tmp_path / "escaped").exists()
    assert not Path("/tmp/escaped").exists()


def test_bad_member_at_the_end_is_seen_before_the_first_is_written(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = changed(tmp_path, add("../escaped"))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("unpacked")

    monkeypatch.setattr("pinhole.kernel.archive.unpack", never)
    with pytest.raises(KernelError, match="leads out"):
        source(path).materialize(place, Quiet())


def test_hard_link_becomes_a_file_of_its_own(tmp_path: Path, place: Path) -> None:
    link = add("linux-6.12/mm/again.c", tarfile.LNKTYPE, "linux-6.12/mm/gup.c")
    source(changed(tmp_path, link)).materialize(place, Quiet())
    assert (place / "mm" / "again.c").read_text() == "int gup;\n"
    assert (place / "mm" / "again.c").stat().st_nlink == 1


@pytest.mark.parametrize(
    ("mode", "suffix", "part"),
    [("w", ".tar", 0.5), ("w:gz", ".tar.gz", 0.7), ("w:xz", ".tar.xz", 0.9), ("w", ".tar", 0.01)],
)
def test_archive_that_is_cut_off_is_told(
    tmp_path: Path, place: Path, mode: str, suffix: str, part: float
) -> None:
    path = packed(tmp_path, mode, suffix)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(KernelError, match="damaged, cut off"):
        source(path).materialize(place, Quiet())
    assert list(place.iterdir()) == []


def test_archive_that_ends_between_two_members_is_told(tmp_path: Path, place: Path) -> None:
    path = packed(tmp_path, "w", ".tar")
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
    path.write_bytes(path.read_bytes()[: last.offset])
    with pytest.raises(KernelError, match="damaged, cut off"):
        source(path).materialize(place, Quiet())


def test_header_that_is_damaged_is_no_end(tmp_path: Path, place: Path) -> None:
    path = packed(tmp_path, "w", ".tar")
    with tarfile.open(path) as tar:
        middle = tar.getmembers()[3].offset
    content = bytearray(path.read_bytes())
    content[middle : middle + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(KernelError, match="damaged, cut off"):
        source(path).materialize(place, Quiet())


def test_what_is_no_archive_or_no_kernel_is_told(tmp_path: Path, place: Path) -> None:
    path = tmp_path / "page.tar.xz"
    path.write_text("<html>not found</html>")
    with pytest.raises(KernelError, match="damaged, cut off, or none"):
        source(path).materialize(place, Quiet())
    with tarfile.open(path, "w:xz"):
        pass
    with pytest.raises(KernelError, match="archive is empty"):
        source(path).materialize(place, Quiet())
    with tarfile.open(path, "w:xz") as tar:
        add("other/README", text="hello")(tar)
    with pytest.raises(KernelError, match="no kernel source: it has no Makefile"):
        source(path).materialize(place, Quiet())
    assert not place.with_name("out.state").exists()


def test_tarball_without_a_top_folder_is_taken(tmp_path: Path, place: Path) -> None:
    path = tmp_path / "flat.tar"
    with tarfile.open(path, "w") as tar:
        both(add("Makefile", text=MAKEFILE), add("./mm/gup.c", text="int gup;\n"))(tar)
    assert source(path).materialize(place, Quiet()) == "6.12.117"
    assert set(contents(place)) == {"Makefile", "mm/gup.c"}


def test_killed_unpacking_is_done_again_and_a_whole_one_is_not(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = source(packed(tmp_path))
    kernel.materialize(place, Quiet())
    good = contents(place)
    inode = (place / "Makefile").stat().st_ino
    assert kernel.materialize(place, Quiet()) == "6.12.117"
    assert (place / "Makefile").stat().st_ino == inode

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    place.with_name("out.state").write_text("tarball-of-another-time")
    with monkeypatch.context() as patched:
        patched.setattr("pinhole.kernel.archive._write", killed)
        with pytest.raises(KeyboardInterrupt):
            kernel.materialize(place, Quiet())
    assert not place.with_name("out.state").exists()
    (place / "stray").write_text("")
    kernel.materialize(place, Quiet())
    assert contents(place) == good
    assert left_behind(tmp_path) == []


def test_files_are_new_and_for_this_user(tmp_path: Path, place: Path) -> None:
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w") as tar:
        for name, mode in (("l/Makefile", 0o4777), ("l/secret", 0)):
            member = tarfile.TarInfo(name)
            member.mode, member.uid, member.mtime, member.size = mode, 12345, 0, len(MAKEFILE)
            tar.addfile(member, io.BytesIO(MAKEFILE.encode()))
    source(path).materialize(place, Quiet())
    status = (place / "Makefile").stat()
    assert (status.st_mode & 0o7000, status.st_uid) == (0, os.geteuid())
    assert status.st_mtime > 1_000_000
    assert (place / "secret").stat().st_mode & 0o777 == 0o644

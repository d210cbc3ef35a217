# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels from a mirror that misbehaves: a small signed archive on this host plays it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.small_archive import SUITES, TOOLS, SmallArchive, served

from pinhole.errors import HostError, KernelError
from pinhole.kernel import apt, debian, debian_package, suites
from pinhole.kernel.answer import Answer
from pinhole.kernel.apt import Mirror
from pinhole.kernel.bootable import Kernel
from pinhole.kernel.kernel import resolve
from pinhole.kernel.recipe import DebianRecipe
from pinhole.progress import Quiet

pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs gpg, dpkg and apt")
SERIES = DebianRecipe("5.10")


class Heard(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def mirror(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[SmallArchive]:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "SERIES", {**suites.SERIES, "5.10": SUITES})
    with served(tmp_path_factory.mktemp("m"), monkeypatch) as archive:
        archive.offer("5.10.0-46-amd64", "5.10.262-1")
        yield archive


def got(heard: Heard | None = None, *, offline: bool = False) -> Kernel:
    return resolve(SERIES, heard or Heard(), offline=offline)


def next_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked is a day old; a copy of the kernel stays."""
    monkeypatch.setattr(Answer, "age", staticmethod(lambda _: 25 * 3600.0))


def left_behind(tmp_path: Path) -> list[str]:
    cache = tmp_path / "cache"
    return [str(one) for one in cache.rglob(".making-*")] if cache.exists() else []


def test_newest_generic_kernel_is_fetched_whole(mirror: SmallArchive, tmp_path: Path) -> None:
    mirror.offer("5.10.0-9-amd64", "5.10.70-1")
    mirror.offer("5.10.0-50-cloud-amd64", "5.10.300-1")
    mirror.offer("5.10.0-50-rt-amd64", "5.10.300-1")
    mirror.offer("5.10.0-50-amd64-unsigned", "5.10.300-1")
    kernel = got()
    assert (kernel.release, kernel.version) == ("5.10.0-46-amd64", "5.10.0")
    assert kernel.origin == "Debian package linux-image-5.10.0-46-amd64 5.10.262-1"
    assert kernel.config == {"CONFIG_NUMA": "y"}
    assert kernel.modules is not None and (kernel.modules / "modules.dep").is_file()
    assert left_behind(tmp_path) == []


def test_second_run_asks_nothing(mirror: SmallArchive) -> None:
    first = got()
    mirror.asked.clear()
    assert got() == first == got(offline=True)
    assert mirror.asked == []


def test_a_kernel_that_is_used_is_not_pruned(mirror: SmallArchive) -> None:  # noqa: ARG001
    """What was fetched long ago and is used each day is not what nobody needs."""
    folder = got().image.parent
    os.utime(folder, (time.time() - 40 * 86400,) * 2)
    assert got(offline=True).image.exists()
    assert time.time() - folder.stat().st_mtime < 86400


def test_two_at_once_fetch_it_once(mirror: SmallArchive) -> None:
    kernels: list[Kernel] = []
    threads = [threading.Thread(target=lambda: kernels.append(got())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(kernels) == 3
    assert len(set(kernels)) == 1
    assert len([path for path in mirror.asked if ".deb" in path]) == 1
    assert len([path for path in mirror.asked if "InRelease" in path]) == 1


def test_newer_kernel_is_taken_a_day_later(
    mirror: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = got()
    mirror.offer("5.10.0-47-amd64", "5.10.270-1")
    assert got() == first
    next_day(monkeypatch)
    assert got().release == "5.10.0-47-amd64"
    assert got(offline=True).release == "5.10.0-47-amd64"


def test_dropped_suite_without_a_copy_names_the_way_out(
    mirror: SmallArchive, tmp_path: Path
) -> None:
    mirror.drop()
    with pytest.raises(KernelError) as caught:
        got()
    assert "does not have the suite bullseye-security" in str(caught.value)
    assert "image: PATH" in str(caught.value)
    assert left_behind(tmp_path) == []


def test_dropped_suite_with_a_copy_goes_on_and_says_so_once_an_hour(
    mirror: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, heard = got(), Heard()
    mirror.drop()
    with monkeypatch.context() as later:
        next_day(later)
        assert got(heard) == first
    assert "does not have the suite bullseye-security" in heard.notes[0]
    assert "Using the cached linux-image-5.10.0-46-amd64 5.10.262-1" in heard.notes[0]
    real_age = Answer.age
    monkeypatch.setattr(Answer, "age", staticmethod(lambda at: real_age(at) + 1800 if at else 1e9))
    monkeypatch.setattr(debian_package, "_ASK_AGAIN_SECONDS", 0.0)
    mirror.asked.clear()
    assert got(heard) == first
    assert "less than an hour ago" in heard.notes[1]
    assert mirror.asked == []


def test_mirror_out_of_reach_is_told_from_a_dropped_suite(
    mirror: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = Mirror(main=None, security="http://127.0.0.1:9/")
    monkeypatch.setattr(apt, "host_mirror", lambda: nobody)
    with pytest.raises(KernelError, match="did not answer for bullseye-security"):
        got()
    assert mirror.asked == []


def test_offline_without_a_copy_asks_nobody(mirror: SmallArchive) -> None:
    with pytest.raises(KernelError, match="this run is offline"):
        got(offline=True)
    assert mirror.asked == []


def test_index_signed_by_another_key_is_refused(
    mirror: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if not other.is_file():
        pytest.skip("debian-archive-keyring is not installed")
    monkeypatch.setattr(apt, "KEYRING", other)
    with pytest.raises(KernelError, match="is not Debian's"):
        got()
    assert not any(".deb" in path for path in mirror.asked)


def test_package_that_was_changed_is_refused(mirror: SmallArchive, tmp_path: Path) -> None:
    package = mirror.packages()[0]
    content = bytearray(package.read_bytes())
    content[len(content) // 2] ^= 1
    package.write_bytes(content)
    with pytest.raises(KernelError, match="could not be fetched"):
        got()
    assert left_behind(tmp_path) == []
    assert not any((tmp_path / "cache" / "kernel").glob("debian*"))


def test_damaged_copy_is_fetched_again(mirror: SmallArchive) -> None:
    kernel, heard = got(), Heard()
    kernel.image.write_bytes(kernel.image.read_bytes()[:-16])
    mirror.asked.clear()
    assert got(heard) == kernel
    assert kernel.image.stat().st_size == 5 * 512
    assert "is damaged (vmlinuz has 2544 bytes instead of 2560)" in heard.notes[0]
    assert any(".deb" in path for path in mirror.asked)


def test_series_that_the_suite_does_not_carry_is_named(
    mirror: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "SERIES", {"6.1": SUITES})
    with pytest.raises(KernelError, match=r"bullseye-security has no kernel 6\.1"):
        resolve(DebianRecipe("6.1"), Quiet())
    assert mirror.asked


def test_missing_keyring_names_its_package(
    mirror: SmallArchive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(apt, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(HostError, match="apt-get install debian-archive-keyring"):
        got()
    assert mirror.asked == []


def test_host_that_forbids_nothing_changes_nothing(
    mirror: SmallArchive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A host's own lax settings, hooks and pins must not reach the private apt."""
    marker = tmp_path / "hook-ran"
    lax = tmp_path / "lax.conf"
    lax.write_text(
        'Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n'
        f'APT::Default-Release "sid";\nAPT::Update::Pre-Invoke {{ "touch {marker}"; }};\n'
        f'APT::Update::Post-Invoke {{ "touch {marker}"; }};\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(lax))
    assert got().release == "5.10.0-46-amd64"
    assert not marker.exists()
    (mirror.root / "dists" / "bullseye-security" / "InRelease").write_text("Origin: Debian\n")
    with monkeypatch.context() as later:
        next_day(later)
        heard = Heard()
        got(heard)
    assert "Using the cached" in heard.notes[0]

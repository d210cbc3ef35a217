# SPDX-License-Identifier: GPL-2.0-only
"""Kernel sources on a disk that is full, and under processes that are killed."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.faults.mini_kernel import commit, contents, left_behind, make_repository

from pinhole.kernel.source import GitSource, KernelSource, TarballSource, TreeSource, identify
from pinhole.progress import Quiet

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("git", "tar", "zstd"))), reason="needs git, tar and zstd"
)
CODE = """
import os, sys
from pathlib import Path
from pinhole.errors import HostError
from pinhole.kernel.source import GitSource, TarballSource, TreeSource, identify
from pinhole.progress import Quiet
kind, *words = sys.argv[1:]
source = {"tree": TreeSource, "git": GitSource, "tarball": TarballSource}[kind](
    *(Path(word) if word.startswith("/") and kind != "git" else word for word in words)
)
folder = Path(os.environ["PINHOLE_CACHE"]) / "out"
print("ready", flush=True)
try:
    print(identify(source, Quiet(), offline=False).materialize(folder, Quiet()))
except HostError as error:
    print(error)
    print("whole:", folder.with_name("out.state").exists())
"""
SIZE = 3_000_000


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = make_repository(tmp_path / "linux")
    (place / "mm" / "large.bin").write_bytes(os.urandom(SIZE))
    commit(place)
    return place


def words(kind: str, repository: Path) -> list[str]:
    """A source of ``kind`` with the repository's content, as the words of ``CODE``."""
    if kind in {"path", "url"}:
        return ["git", str(repository) if kind == "path" else repository.as_uri(), "main"]
    if kind == "tree":
        return ["tree", str(repository)]
    tarball = repository.parent / f"linux.{kind}"
    argv = ["tar", "-caf", str(tarball), "-C", str(repository.parent), "--exclude=.git", "linux"]
    subprocess.run(argv, check=True)
    return ["tarball", str(tarball), hashlib.sha256(tarball.read_bytes()).hexdigest()]


KINDS = ("path", "url", "tree", "tar.xz", "tar.zst")


@pytest.mark.parametrize(
    ("kind", "size_bytes"),
    [
        *((kind, 1_500_000) for kind in KINDS),
        # Here the copy in the cache has room and the source folder beside it has not.
        *((kind, SIZE + 1_500_000) for kind in ("url", "tree", "tar.zst")),
    ],
)
def test_full_disk_is_named_and_nothing_is_called_whole(
    repository: Path, tmp_path: Path, kind: str, size_bytes: int
) -> None:
    namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this host allows no mount namespaces, so no small disk can be mounted")
    mounted = tmp_path / "small"
    mounted.mkdir()
    # The mount goes with the process: nothing is left on the host, whatever happens.
    mount = 'mount -t tmpfs -o size="$2" tmpfs "$1"'
    script = f'{mount} && export PINHOLE_CACHE="$1/c"; shift 2; exec "$@"'
    argv = [*namespace, "sh", "-c", script, "sh", str(mounted), str(size_bytes)]
    done = subprocess.run(
        [*argv, sys.executable, "-c", CODE, *words(kind, repository)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ready, *message, state = done.stdout.splitlines()
    assert ready == "ready"
    assert "No space left on device" in " ".join(message)
    assert str(mounted) in " ".join(message)
    assert "PINHOLE_CACHE" in " ".join(message)
    assert state == "whole: False"


@pytest.mark.parametrize("kind", KINDS)
def test_killed_process_is_made_good_by_the_next(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    for number in range(300):
        (repository / "mm" / f"file{number}.c").write_text(f"int file{number};\n" * 400)
    commit(repository)
    cache = tmp_path / "cache"
    monkeypatch.setenv("PINHOLE_CACHE", str(cache))
    argv = [sys.executable, "-c", CODE, *words(kind, repository)]
    for delay_seconds in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(delay_seconds)
            process.send_signal(signal.SIGKILL)
    if kind == "tree":
        source: KernelSource = TreeSource(repository)
    elif kind in {"path", "url"}:
        source = GitSource(argv[-2], "main")
    else:
        source = TarballSource(Path(argv[-2]), argv[-1])
    assert identify(source, Quiet(), offline=False).materialize(cache / "out", Quiet())
    expected = {path: c for path, c in contents(repository).items() if not path.startswith(".git/")}
    assert contents(cache / "out") == expected
    assert left_behind(cache) == []
    assert sorted(one.name for one in cache.iterdir() if one.name.startswith("out.")) in (
        ["out.index", "out.state"],
        ["out.state"],
    )

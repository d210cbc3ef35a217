# SPDX-License-Identifier: GPL-2.0-only
"""The cache under what goes wrong: full disks, killed makers, two at once, damaged entries."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pinhole.errors import HostError
from pinhole.kernel import cache
from pinhole.progress import Quiet


class Heard(Quiet):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def writer(text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(text)

    return make


def never(_: Path) -> None:
    raise AssertionError("made again")


def left_in(root: Path, kind: str) -> list[str]:
    """What lies in a kind's folder, without the lock files, which stay."""
    return sorted(one.name for one in (root / kind).iterdir() if one.suffix != ".lock")


def test_entry_is_made_once_and_only_for_the_user(root: Path) -> None:
    made = cache.entry("kind", "key", writer("one"))
    assert cache.entry("kind", "key", never) == made == root / "kind" / "key"
    assert (made / "sub" / "file").read_text() == "one"
    assert cache.keys("kind") == ("key",)
    assert (root / "kind").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt()])
def test_maker_that_fails_leaves_nothing(root: Path, error: BaseException) -> None:
    def fail(folder: Path) -> None:
        writer("half")(folder)
        raise error

    with pytest.raises(type(error)):
        cache.entry("kind", "key", fail)
    assert left_in(root, "kind") == []
    assert cache.find("kind", "key") is None


def test_use_is_noted_for_prune(root: Path) -> None:  # noqa: ARG001
    folder = cache.entry("kind", "key", lambda _: None)
    os.utime(folder, (1000, 1000))
    assert cache.entry("kind", "key", lambda _: None).stat().st_mtime > 1000


@pytest.mark.parametrize("name", ["../up", "", "a/b", ".hidden", "a\n"])
def test_names_cannot_leave_the_cache(root: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        cache.entry("kind", name, never)
    assert not root.exists() or left_in(root, "kind") == []


def truncate(folder: Path) -> None:
    (folder / "sub" / "file").write_text("")


def remove(folder: Path) -> None:
    (folder / "sub" / "file").unlink()


def flip(folder: Path) -> None:
    (folder / "sub" / "file").write_text("onf")


def spoil_manifest(folder: Path) -> None:
    (folder / ".manifest.json").write_text('{"sizes": []}')


@pytest.mark.parametrize("spoil", [truncate, remove, flip, spoil_manifest])
def test_damaged_entry_is_noticed_and_made_again(root: Path, spoil: Callable[[Path], None]) -> None:
    digested = ("sub/file",)
    spoil(cache.entry("kind", "key", writer("one"), digested=digested))
    assert cache.find("kind", "key", digested) is None
    heard = Heard()
    again = cache.entry("kind", "key", writer("two"), digested=digested, progress=heard)
    assert (again / "sub" / "file").read_text() == "two"
    assert "is damaged" in heard.notes[0]
    assert left_in(root, "kind") == ["key"]


@pytest.mark.parametrize("spoil", [truncate, remove])
def test_file_that_lost_its_content_is_noticed_without_digests(
    root: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(cache.entry("kind", "key", writer("one")))
    assert cache.find("kind", "key") is None
    assert cache.entry("kind", "key", writer("two")) == root / "kind" / "key"
    assert cache.find("kind", "key") is not None


CHILD = """
import sys, time
from pathlib import Path
from pinhole.kernel import cache

def make(folder):
    (folder / "file").write_text("whole")
    with open(sys.argv[1], "a") as log:
        log.write("made\\n")
    print("making", flush=True)
    time.sleep(float(sys.argv[2]))

print(cache.entry("kind", "key", make), flush=True)
"""


def child(log: Path, seconds: float) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", CHILD, str(log), str(seconds)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_two_processes_at_once_make_it_once(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    both = [child(log, 0.8), child(log, 0.8)]
    said = [one.communicate(timeout=60)[0].split()[-1] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert said == [str(root / "kind" / "key")] * 2
    assert log.read_text() == "made\n"


def test_two_threads_at_once_make_it_once(root: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        writer("one")(folder)

    threads = [threading.Thread(target=cache.entry, args=("kind", "key", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 1
    assert left_in(root, "kind") == ["key"]


def kill_while_making(log: Path) -> None:
    killed = child(log, 60)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "making\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    killed.stdout.close()


def test_killed_maker_leaves_no_entry_and_is_swept(root: Path, tmp_path: Path) -> None:
    kill_while_making(tmp_path / "log")
    assert len(left_in(root, "kind")) == 1  # what it wrote so far, under no entry's name
    assert cache.keys("kind") == ()
    assert cache.find("kind", "key") is None
    cache.entry("kind", "key", writer("one"))
    assert left_in(root, "kind") == ["key"]


def test_killed_maker_of_another_key_is_swept_but_never_a_living_one(
    root: Path, tmp_path: Path
) -> None:
    kill_while_making(tmp_path / "log")
    cache.entry("kind", "other", writer("one"))
    assert left_in(root, "kind") == ["other"]
    living = child(tmp_path / "log", 1.5)
    assert living.stdout is not None
    assert living.stdout.readline() == "making\n"
    cache.entry("kind", "third", writer("one"))
    assert living.communicate(timeout=60)[0].strip() == str(root / "kind" / "key")
    assert left_in(root, "kind") == ["key", "other", "third"]


FULL = """
import os, sys
from pathlib import Path
from pinhole.errors import HostError
from pinhole.kernel import cache, tool

def python(folder):
    for number in range(64):
        (folder / str(number)).write_bytes(bytes(1 << 16))

def subprocess(folder):
    argv = ["dd", "if=/dev/zero", f"of={folder}/file", "bs=64k", "count=64"]
    tool.run(argv, package="coreutils", seconds=60)

try:
    needs = int(sys.argv[2])
    cache.entry("kind", "key", {"python": python, "subprocess": subprocess}[sys.argv[1]],
                what="the thing", needs_bytes=needs)
except HostError as error:
    print(error)
    left = [n for n in os.listdir(os.environ["PINHOLE_CACHE"] + "/kind") if n != ".key.lock"]
    print("left:", left)
"""


@pytest.mark.parametrize(
    ("how", "needs_bytes", "words"),
    [
        ("python", 0, "No space left on device"),
        ("subprocess", 0, "No space left on device"),
        ("python", 5_000_000, "about 5 MB are needed, 1 MB are free"),
    ],
)
def test_full_disk_says_what_where_and_how_much(
    tmp_path: Path, how: str, needs_bytes: int, words: str
) -> None:
    namespace = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this host allows no mount namespaces, so no small disk can be mounted")
    mounted = tmp_path / "small"
    mounted.mkdir()
    # The mount goes with the process: nothing is left on the host, whatever happens.
    mount = 'mount -t tmpfs -o size=1500k tmpfs "$1"'
    script = f'{mount} && PINHOLE_CACHE="$1/c" exec "$2" -c "$3" $4 $5'
    argv = [*namespace, "sh", "-c", script, "sh", str(mounted), sys.executable, FULL, how]
    done = subprocess.run(
        [*argv, str(needs_bytes)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    message, left = done.stdout.splitlines()
    assert "the thing" in message
    assert str(mounted) in message
    assert words in message
    assert "PINHOLE_CACHE" in message
    assert left == "left: []"


def test_lock_file_that_cannot_be_made_is_a_host_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "kind" / ".key.lock").mkdir(parents=True)
    with pytest.raises(HostError, match="cannot lock"):
        cache.entry("kind", "key", never)
    monkeypatch.setenv("PINHOLE_CACHE", "/proc/none")
    with pytest.raises(HostError, match="PINHOLE_CACHE"):
        cache.entry("kind", "key", never)

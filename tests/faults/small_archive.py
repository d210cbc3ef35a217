# SPDX-License-Identifier: GPL-2.0-only
"""A small signed Debian archive on this host, in the place of a mirror."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pinhole.kernel import apt
from pinhole.kernel.apt import Mirror
from pinhole.kernel.suites import Alternatives, Archive, Suite

TOOLS = ("gpg", "dpkg-deb", "apt-get")
SUITES: Alternatives = ((Suite(Archive.SECURITY, "bullseye-security"),),)


class Handler(SimpleHTTPRequestHandler):
    """Serves files and writes down what was asked for."""

    asked: list[str]

    def log_message(self, _: str, *words: object) -> None:
        self.asked.append(str(words[0]))


class SmallArchive:
    """An archive with one suite, signed by its own key, served over HTTP."""

    def __init__(self, root: Path, uri: str, asked: list[str]) -> None:
        self.root, self.uri, self.asked = root / "www", uri, asked
        self.keyring = root / "keyring.gpg"
        self._home = root / "gpg"
        self._home.mkdir(mode=0o700)
        self._gpg("--quick-gen-key", "--passphrase", "", "archive@test", "ed25519", "sign", "never")
        self._gpg("--output", str(self.keyring), "--export")
        self._suite = self.root / "dists" / "bullseye-security"
        (self._suite / "main" / "binary-amd64").mkdir(parents=True)
        self._records: list[str] = []

    def offer(self, release: str, version: str) -> None:
        """Adds a package with a kernel ``release`` and signs the suite again."""
        with self._package(f"linux-image-{release}", version, "amd64") as folder:
            (folder / "boot").mkdir()
            image = _image(f"{release} () #1 {version}")
            (folder / "boot" / f"vmlinuz-{release}").write_bytes(image)
            (folder / "boot" / f"config-{release}").write_text("CONFIG_NUMA=y\n")
            modules = folder / "lib" / "modules" / release
            (modules / "kernel").mkdir(parents=True)
            for index in ("modules.order", "modules.builtin"):
                (modules / index).write_text("")

    def offer_source(self, series: str, version: str, tree: Path) -> None:
        """Adds a package with the source ``tree`` and signs the suite again."""
        with self._package(f"linux-source-{series}", version, "all") as folder:
            (folder / "usr" / "src").mkdir(parents=True)
            tarball = folder / "usr" / "src" / f"linux-source-{series}.tar.xz"
            top = f"--transform=s,^[.],linux-source-{series},S"
            argv = ["tar", "-cJf", str(tarball), "-C", str(tree), top, "."]
            subprocess.run(argv, check=True, capture_output=True)

    @contextmanager
    def _package(self, name: str, version: str, architecture: str) -> Iterator[Path]:
        folder = self.root / "package"
        (folder / "DEBIAN").mkdir(parents=True)
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
            "Installed-Size: 9\n"
        )
        described = "Maintainer: none <none@test>\nDescription: a kernel\n"
        (folder / "DEBIAN" / "control").write_text(control + described)
        yield folder
        package = self.root / f"{name}_{version}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-b", str(folder), str(package)],
            check=True, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(folder)
        content = package.read_bytes()
        self._records.append(
            f"{control}Filename: {package.name}\nSize: {len(content)}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\nDescription: a kernel\n"
        )
        self.sign()

    def sign(self) -> None:
        index = "\n".join(self._records).encode()
        (self._suite / "main" / "binary-amd64" / "Packages").write_bytes(index)
        release = (
            "Origin: Debian\nSuite: bullseye-security\nCodename: bullseye-security\n"
            "Components: main\nArchitectures: amd64\nDate: Mon, 01 Jan 2024 00:00:00 UTC\nSHA256:\n"
            f" {hashlib.sha256(index).hexdigest()} {len(index)} main/binary-amd64/Packages\n"
        )
        plain = self._suite / "Release"
        plain.write_text(release)
        signed = self._suite / "InRelease"
        signed.unlink(missing_ok=True)
        self._gpg("--output", str(signed), "--clearsign", str(plain))
        plain.unlink()

    def drop(self) -> None:
        """The suite goes, as it does on mirrors when a release's support ends."""
        shutil.rmtree(self._suite)

    def packages(self) -> list[Path]:
        return sorted(self.root.glob("*.deb"))

    def close(self) -> None:
        argv = ["gpgconf", "--homedir", str(self._home), "--kill", "all"]
        subprocess.run(argv, check=False, capture_output=True)

    def _gpg(self, *words: str) -> None:
        argv = ["gpg", "--homedir", str(self._home), "--batch", "--pinentry-mode", "loopback"]
        subprocess.run([*argv, *words], check=True, capture_output=True)


def _image(banner: str) -> bytes:
    head = bytearray(5 * 512)
    head[0x1F1] = 4
    head[0x1FE:0x200] = b"\x55\xaa"
    struct.pack_into("<4sH", head, 0x202, b"HdrS", 0x20F)
    struct.pack_into("<H", head, 0x20E, 0x100)
    head[0x300 : 0x300 + len(banner)] = banner.encode()
    return bytes(head)


@contextmanager
def served(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallArchive]:
    """An empty archive below ``root`` (a short path: gpg's socket lies there), taken for Debian."""
    (root / "www").mkdir()
    asked: list[str] = []
    handler = type("Asked", (Handler,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(root / "www")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    uri = f"http://127.0.0.1:{server.server_port}/"
    archive = SmallArchive(root, uri, asked)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(apt, "KEYRING", archive.keyring)
    monkeypatch.setattr(apt, "host_mirror", lambda: Mirror(main=None, security=uri))
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
        archive.close()

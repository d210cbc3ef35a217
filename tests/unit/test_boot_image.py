# SPDX-License-Identifier: GPL-2.0-only
"""The boot image: what is in it, what init is told, and that it is the same everywhere."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pinhole.boot.base import BASE_NEEDS
from pinhole.boot.image import build
from pinhole.boot.programs import build_programs
from pinhole.errors import BootImageError
from pinhole.kernel.bootable import Kernel
from pinhole.needs import Needs
from pinhole.progress import Quiet

RELEASE = "6.12.117+deb12-amd64"

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "make", "busybox", "cpio"))),
    reason="needs gcc, make, busybox-static and cpio",
)


def kernel_in(folder: Path) -> Kernel:
    """A kernel whose modules are as Debian's 6.12 has them, but for their content."""
    modules = folder / "lib" / "modules" / RELEASE
    lines = {
        "kernel/drivers/net/virtio_net.ko.xz": " kernel/net/core/failover.ko.xz",
        "kernel/net/core/failover.ko.xz": "",
        "kernel/crypto/crc32_generic.ko.xz": "",
        "kernel/drivers/misc/pvpanic/pvpanic.ko.xz": "",
    }
    for path in lines:
        (modules / path).parent.mkdir(parents=True, exist_ok=True)
        (modules / path).write_bytes(lzma.compress(f"\x7fELF {path}".encode()))
    dep = "".join(f"{path}:{needed}\n" for path, needed in lines.items())
    (modules / "modules.dep").write_text(dep)
    (modules / "modules.alias").write_text("alias crypto-crc32 crc32_generic\nalias x other\n")
    (modules / "modules.symbols").write_text("")
    (modules / "modules.builtin").write_text("kernel/drivers/virtio/virtio_pci.ko\n")
    return Kernel(
        label="debian:6.12",
        release=RELEASE,
        version="6.12.117",
        image=folder / "vmlinuz",
        modules=modules,
        config={"CONFIG_VIRTIO_NET": "m"},
        key="key",
        origin="a test",
    )


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return kernel_in(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """One cache for all tests here: the programs are compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINHOLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def unpacked(initramfs: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(
        ["cpio", "-idm", "--quiet", "--no-preserve-owner"],
        input=initramfs.read_bytes(), cwd=folder, check=False, capture_output=True,
    )  # fmt: skip
    return folder


def told(root: Path) -> list[tuple[str, str, str]]:
    """What init reads in its configuration, by init's own word."""
    init = build_programs(Quiet()) / "init"
    conf = root / "etc/pinhole/init.conf"
    said = subprocess.run([init, "--check", conf], check=True, capture_output=True).stdout
    lines = map(json.loads, said.splitlines())
    return [(line["verb"], line["first"], line["rest"]) for line in lines]


def test_image_has_what_the_guest_takes(kernel: Kernel, tmp_path: Path) -> None:
    needs = BASE_NEEDS | Needs(runtime_modules=("crc32_generic",), sysctls=(("vm.a", "1 2"),))
    image = build(kernel, needs, Quiet())
    assert image.loaded == ("failover", "virtio_net", "pvpanic")
    root = unpacked(image.initramfs, tmp_path / "root")
    for program in ("init", "usr/bin/pinguest", "usr/bin/pinholder", "usr/sbin/dropbear"):
        assert os.access(root / program, os.X_OK), program
    assert (root / "sbin/modprobe").readlink() == Path("/bin/busybox")
    assert (root / "root").stat().st_mode & 0o777 == 0o700
    modules = f"/lib/modules/{RELEASE}"
    assert told(root) == [
        ("module", f"{modules}/kernel/net/core/failover.ko", ""),
        ("module", f"{modules}/kernel/drivers/net/virtio_net.ko", ""),
        ("module", f"{modules}/kernel/drivers/misc/pvpanic/pvpanic.ko", ""),
        ("sysctl", "vm.a", "1 2"),
        ("hostname", "pinhole", ""),
        ("address", "eth0", "10.0.2.15/24"),
    ]
    kept = root / modules.strip("/")
    assert (kept / "kernel/crypto/crc32_generic.ko").read_bytes().startswith(b"\x7fELF")
    assert (kept / "modules.alias").read_text() == "alias crypto-crc32 crc32_generic\n"
    assert not (root / "etc/pinhole/ssh_host_key").exists()


def test_dropbear_has_all_its_libraries(kernel: Kernel, tmp_path: Path) -> None:
    root = unpacked(build(kernel, BASE_NEEDS, Quiet()).initramfs, tmp_path / "root")
    into = ["unshare", "-r", "chroot", str(root)]
    if subprocess.run([*into, "/bin/busybox", "true"], check=False).returncode:
        pytest.skip("this host allows no user namespaces, so the image cannot be entered")
    done = subprocess.run(
        [*into, "/usr/sbin/dropbear", "-V"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.split()[0]) == (0, "Dropbear")


def test_parameters_go_with_their_module(kernel: Kernel, tmp_path: Path) -> None:
    needs = Needs(modules=("virtio_net", "failover debug=1 level=2"))
    root = unpacked(build(kernel, needs, Quiet()).initramfs, tmp_path / "root")
    parameters = {Path(first).stem: rest for verb, first, rest in told(root) if verb == "module"}
    assert parameters == {"failover": "debug=1 level=2", "virtio_net": ""}
    with pytest.raises(BootImageError, match="failover is to be loaded with 'a=1' and with 'a=2'"):
        build(kernel, Needs(modules=("failover a=1", "failover a=2")), Quiet())


@pytest.mark.parametrize(
    "needs", [Needs(modules=("vfio_pci",)), Needs(runtime_modules=("vfio_pci",))]
)
def test_missing_module_is_named_with_the_kernel(kernel: Kernel, needs: Needs) -> None:
    with pytest.raises(BootImageError, match=r"debian:6\.12 .* has no module 'vfio_pci'"):
        build(kernel, BASE_NEEDS | needs, Quiet())


def test_kernel_without_modules_must_have_all_built_in(kernel: Kernel) -> None:
    bare = replace(kernel, modules=None)
    with pytest.raises(BootImageError, match="CONFIG_VIRTIO_NET as modules, but no modules"):
        build(bare, BASE_NEEDS, Quiet())
    built_in = replace(bare, config={"CONFIG_VIRTIO_NET": "y"})
    assert build(built_in, BASE_NEEDS, Quiet()).loaded == ()


@pytest.mark.parametrize("value", ["1\nmodule /etc/passwd", "\x1b[2J"])
def test_configuration_cannot_be_broken_out_of(kernel: Kernel, value: str) -> None:
    with pytest.raises(BootImageError, match="cannot be a line"):
        build(kernel, Needs(sysctls=(("vm.a", value),)), Quiet())


def test_same_needs_give_the_cached_image_quickly(kernel: Kernel) -> None:
    first = build(kernel, BASE_NEEDS, Quiet())
    began = time.monotonic()
    assert build(kernel, BASE_NEEDS, Quiet()) == first
    assert time.monotonic() - began < 2.0
    other = build(kernel, BASE_NEEDS | Needs(runtime_modules=("crc32_generic",)), Quiet())
    assert other.key != first.key
    assert other.initramfs != first.initramfs


ELSEWHERE = """
import hashlib, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
os.umask(int(sys.argv[2], 8))
from test_boot_image import kernel_in
from pinhole.boot.base import BASE_NEEDS
from pinhole.boot.image import build
from pinhole.progress import Quiet
image = build(kernel_in(Path("kernel").absolute()), BASE_NEEDS, Quiet())
print(hashlib.sha256(image.initramfs.read_bytes()).hexdigest(), image.key)
"""


def test_image_is_the_same_byte_for_byte_wherever_it_is_made(tmp_path: Path) -> None:
    seen = set()
    for name, umask, zone in (("one", "022", "UTC"), ("two", "077", "Asia/Kathmandu")):
        folder = tmp_path / name
        folder.mkdir()
        argv = [sys.executable, "-c", ELSEWHERE, str(Path(__file__).parent), umask]
        environment = {**os.environ, "PINHOLE_CACHE": str(folder / "cache"), "TZ": zone}
        done = subprocess.run(
            argv, cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        seen.add(done.stdout)
    assert len(seen) == 1

# SPDX-License-Identifier: GPL-2.0-only
"""Kernels given as files: headers, configurations, and modules that belong to another kernel."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pinhole.errors import KernelError
from pinhole.kernel import bzimage, given, kconfig
from pinhole.kernel.bootable import upstream_version
from pinhole.kernel.recipe import ImageRecipe

BANNER = "5.10.0-46-amd64 (debian-kernel@lists.debian.org) #1 SMP Debian 5.10.262-1 (2026-07-31)"
RELEASE = "5.10.0-46-amd64"


def image_bytes(banner: str = BANNER, payload: bytes = b"", protocol: int = 0x20F) -> bytes:
    """A bzImage as boot.rst describes it, with the fields that are read."""
    head = bytearray(5 * 512)
    head[0x1F1] = 4
    head[0x1FE:0x200] = b"\x55\xaa"
    body = payload + bytes(-len(payload) % 16 + 16)
    struct.pack_into("<I", head, 0x1F4, len(body) // 16)
    struct.pack_into("<4sH", head, 0x202, b"HdrS", protocol)
    struct.pack_into("<H", head, 0x20E, 0x300 - 0x200)
    struct.pack_into("<II", head, 0x248, 0, len(payload))
    head[0x300 : 0x300 + len(banner)] = banner.encode()
    return bytes(head) + body


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(image_bytes())
    return path


def modules_folder(root: Path, release: str, vermagic: str) -> Path:
    folder = root / "lib" / "modules" / release
    (folder / "kernel").mkdir(parents=True)
    module = b"\x7fELF\0license=GPL\0vermagic=" + vermagic.encode() + b" SMP mod_unload \0"
    (folder / "kernel" / "one.ko.xz").write_bytes(lzma.compress(module))
    (folder / "modules.dep").write_text("kernel/one.ko.xz:\n")
    return folder


def test_header_gives_release_and_upstream_version(image: Path) -> None:
    read = bzimage.read(image)
    assert read.release == RELEASE
    assert read.banner == BANNER
    assert upstream_version(read.release, read.banner) == "5.10.262"


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.12.117", "6.12.117"), ("6.13.0-rc3+", "6.13.0-rc3"), ("7.3.4-dirty", "7.3.4")],
)
def test_upstream_version_of_other_kernels_is_in_their_release(release: str, version: str) -> None:
    assert upstream_version(release, f"{release} (me@here) #1 SMP") == version


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"hello\n" * 400, "it has no boot header 'HdrS'"),
        (b"\x7fELF" + bytes(2000), "it is an ELF file"),
        (gzip.compress(b"x"), "it is a gzip file"),
        (image_bytes(protocol=0x204), "its boot protocol is 2.04"),
        (image_bytes(banner=""), "it does not say its version"),
    ],
)
def test_image_that_is_not_a_kernel_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "image"
    path.write_bytes(content)
    with pytest.raises(KernelError, match="is not a Linux kernel image") as caught:
        given.resolve(ImageRecipe(path))
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


def test_image_that_is_cut_short_says_so(image: Path) -> None:
    image.write_bytes(image.read_bytes()[:-1])
    with pytest.raises(KernelError, match="is cut short"):
        given.resolve(ImageRecipe(image))


def test_image_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="No such file"):
        given.resolve(ImageRecipe(tmp_path / "none"))


def test_config_values_are_read_and_unset_options_are_absent() -> None:
    text = (
        '# CONFIG_CMA is not set\nCONFIG_NUMA=y\nCONFIG_FUSE_FS=m\nCONFIG_HZ=250\nCONFIG_V="a b"\n'
    )
    assert kconfig.parse(text) == {
        "CONFIG_NUMA": "y",
        "CONFIG_FUSE_FS": "m",
        "CONFIG_HZ": "250",
        "CONFIG_V": "a b",
    }


def test_lacking_options_are_named(image: Path) -> None:
    (image.parent / f"config-{RELEASE}").write_text("CONFIG_NUMA=y\nCONFIG_FUSE_FS=m\n")
    kernel = given.resolve(ImageRecipe(image))
    wanted = ["CONFIG_NUMA", "CONFIG_FUSE_FS", "CONFIG_ZZ", "CONFIG_CMA"]
    assert kernel.lacks(wanted) == ("CONFIG_CMA", "CONFIG_ZZ")
    assert kernel.lacks(["CONFIG_NUMA"]) == ()


def test_unknown_config_is_none_and_never_nothing_lacking(image: Path) -> None:
    kernel = given.resolve(ImageRecipe(image))
    assert kernel.config is None
    assert kernel.lacks(["CONFIG_NUMA"]) is None


def test_config_of_a_build_tree_is_found(tmp_path: Path) -> None:
    boot = tmp_path / "arch" / "x86" / "boot"
    boot.mkdir(parents=True)
    (boot / "bzImage").write_bytes(image_bytes())
    (tmp_path / ".config").write_text("CONFIG_NUMA=y\n")
    assert given.resolve(ImageRecipe(boot / "bzImage")).config == {"CONFIG_NUMA": "y"}


def lzma_alone(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress, lzma_alone])
def test_config_inside_the_image_is_found(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    inside = b"IKCFG_ST" + gzip.compress(b"CONFIG_NUMA=y\n# CONFIG_CMA is not set\n") + b"IKCFG_ED"
    payload = compress(b"kernel" * 1000 + inside + b"more" * 1000) + b"\x10\x27\x00\x00"
    path = tmp_path / "bzImage"
    path.write_bytes(image_bytes(payload=payload))
    assert given.resolve(ImageRecipe(path)).config == {"CONFIG_NUMA": "y"}


def test_given_config_that_is_none_is_an_error(image: Path) -> None:
    with pytest.raises(KernelError, match="is not a kernel configuration"):
        given.resolve(ImageRecipe(image, config=image))


@pytest.mark.parametrize("below", ["", "lib/modules", f"lib/modules/{RELEASE}"])
def test_modules_are_found_at_any_level(image: Path, tmp_path: Path, below: str) -> None:
    folder = modules_folder(tmp_path, RELEASE, RELEASE)
    assert given.resolve(ImageRecipe(image, modules=tmp_path / below)).modules == folder


def test_modules_of_an_installed_kernel_are_found(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    installed = tmp_path / "boot" / "vmlinuz"
    installed.write_bytes(image_bytes())
    assert given.resolve(ImageRecipe(installed)).modules is None
    folder = modules_folder(tmp_path, RELEASE, RELEASE)
    assert given.resolve(ImageRecipe(installed)).modules == folder


def test_modules_of_another_release_are_refused_by_name(image: Path, tmp_path: Path) -> None:
    modules_folder(tmp_path, "6.1.0-9-amd64", "6.1.0-9-amd64")
    with pytest.raises(KernelError, match=r"modules for 6\.1\.0-9-amd64, but the kernel is 5\.10"):
        given.resolve(ImageRecipe(image, modules=tmp_path))


def test_modules_of_another_release_are_refused_by_what_they_say(
    image: Path, tmp_path: Path
) -> None:
    modules_folder(tmp_path, RELEASE, "5.10.0-45-amd64")
    with pytest.raises(KernelError, match=r"are for 5\.10\.0-45-amd64"):
        given.resolve(ImageRecipe(image, modules=tmp_path))


def test_modules_folder_without_depmod_says_what_to_run(image: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(KernelError, match="depmod"):
        given.resolve(ImageRecipe(image, modules=tmp_path / "m"))
    with pytest.raises(KernelError, match="is not a folder"):
        given.resolve(ImageRecipe(image, modules=tmp_path / "none"))


def test_key_changes_with_each_part(image: Path, tmp_path: Path) -> None:
    modules_folder(tmp_path, RELEASE, RELEASE)
    config = tmp_path / "config"
    config.write_text("CONFIG_NUMA=y\n")
    keys = {
        given.resolve(ImageRecipe(image)).key,
        given.resolve(ImageRecipe(image, modules=tmp_path)).key,
        given.resolve(ImageRecipe(image, config=config)).key,
    }
    image.write_bytes(image_bytes(payload=b"other"))
    keys.add(given.resolve(ImageRecipe(image)).key)
    assert len(keys) == 4

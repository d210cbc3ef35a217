# SPDX-License-Identifier: GPL-2.0-only
"""depmod's indexes: the order of loading, what is built in, and what is left for the guest."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from pinhole.errors import KernelError
from pinhole.kernel.modules import ModuleTree, canonical

# Lines of Debian's 5.10.0-46-amd64.
DEP = """\
kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/net/core/failover.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/crypto/crc32_generic.ko:
"""  # noqa: E501
ALIAS = """\
# Aliases extracted from modules themselves.
alias virtio:d00000001v* virtio_net
alias crypto-crc32-generic crc32_generic
alias crypto-crc32 crc32_generic
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
"""
SYMBOLS = """\
# Aliases for symbols, used by symbol_request().
alias symbol:failover_slave_unregister failover
"""


@pytest.fixture
def tree(tmp_path: Path) -> ModuleTree:
    (tmp_path / "modules.dep").write_text(DEP)
    (tmp_path / "modules.alias").write_text(ALIAS)
    (tmp_path / "modules.symbols").write_text(SYMBOLS)
    (tmp_path / "modules.builtin").write_text("kernel/fs/configfs/configfs.ko\n")
    return ModuleTree(tmp_path)


def test_each_module_comes_after_what_it_needs(tree: ModuleTree) -> None:
    order = [canonical(path) for path in tree.loading_order(["virtio-net", "virtio_pci"])]
    assert sorted(order) == sorted(
        ["virtio", "virtio_ring", "failover", "net_failover", "virtio_net", "virtio_pci"]
    )
    assert order.index("virtio") < order.index("virtio_ring") < order.index("virtio_pci")
    assert order.index("failover") < order.index("net_failover") < order.index("virtio_net")
    assert order.index("virtio_ring") < order.index("virtio_net")


@pytest.mark.parametrize("secret", ["../secret", "kernel/../../secret", "/etc/passwd"])
def test_a_module_outside_of_the_tree_is_not_read(tmp_path: Path, secret: str) -> None:
    (tmp_path / "secret").write_text("the user's")
    root = tmp_path / "6.12.0"
    root.mkdir()
    (root / "modules.dep").write_text(f"kernel/a.ko: {secret}\n")
    tree = ModuleTree(root)
    with pytest.raises(KernelError, match="which is not in there"):
        [tree.content(path) for path in tree.loading_order(["a"])]


def test_built_in_modules_are_skipped_and_missing_ones_named(tree: ModuleTree) -> None:
    assert tree.loading_order(["configfs"]) == ()
    assert tree.has("configfs") and tree.has("virtio-net") and not tree.has("vfoi")
    with pytest.raises(KeyError, match="vfoi"):
        tree.loading_order(["configfs", "vfoi"])


def test_reduced_index_keeps_what_belongs_to_the_modules(tree: ModuleTree) -> None:
    index = tree.reduced_index(tree.loading_order(["crc32_generic", "net_failover"]))
    assert index["modules.dep"].splitlines() == [
        "kernel/crypto/crc32_generic.ko:",
        "kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko",
        "kernel/net/core/failover.ko:",
    ]
    assert index["modules.alias"].splitlines() == [
        "alias crypto-crc32-generic crc32_generic",
        "alias crypto-crc32 crc32_generic",
    ]
    assert index["modules.symbols"] == "alias symbol:failover_slave_unregister failover\n"
    assert index["modules.builtin"] == "kernel/fs/configfs/configfs.ko\n"


def test_reduced_index_names_modules_as_they_lie_decompressed(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text("kernel/a.ko.xz: kernel/b.ko.zst\nkernel/b.ko.zst:\n")
    for name in ("modules.alias", "modules.symbols"):
        (tmp_path / name).write_text("")
    tree = ModuleTree(tmp_path)
    index = tree.reduced_index(tree.loading_order(["a"]))
    assert index["modules.dep"] == "kernel/a.ko: kernel/b.ko\nkernel/b.ko:\n"


def test_modules_are_decompressed(tmp_path: Path) -> None:
    content = b"\x7fELF" + bytes(range(256)) * 64
    (tmp_path / "modules.dep").write_text("")
    (tmp_path / "plain.ko").write_bytes(content)
    (tmp_path / "a.ko.xz").write_bytes(lzma.compress(content))
    (tmp_path / "b.ko.gz").write_bytes(gzip.compress(content))
    names = ["plain.ko", "a.ko.xz", "b.ko.gz"]
    if shutil.which("zstd"):
        (tmp_path / "c.ko").write_bytes(content)
        subprocess.run(["zstd", "-q", "--rm", str(tmp_path / "c.ko")], check=True)
        names.append("c.ko.zst")
    tree = ModuleTree(tmp_path)
    assert [tree.content(name) for name in names] == [content] * len(names)


@pytest.mark.parametrize("name", ["a.ko.xz", "b.ko.gz"])
def test_damaged_module_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "modules.dep").write_text("")
    whole = lzma.compress(b"x" * 5000) if name.endswith("xz") else gzip.compress(b"x" * 5000)
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(KernelError, match=name):
        ModuleTree(tmp_path).content(name)


def test_folder_without_index_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="depmod"):
        ModuleTree(tmp_path)

# SPDX-License-Identifier: GPL-2.0-only
"""A guest of busybox and a shell script, for tests of the machine alone.

Its init does what ``act=`` on the kernel's command line says, speaks on the status port as
pinhole's own init does, and leaves a shell on the console.
"""

from __future__ import annotations

import io
import lzma
from collections.abc import Iterable
from pathlib import Path

from pinhole.budget import Budgets
from pinhole.kernel.kernel import Kernel, resolve
from pinhole.kernel.recipe import DebianRecipe
from pinhole.machine.accel import Accelerator
from pinhole.machine.process import find_qemu
from pinhole.machine.spec import MachineSpec
from pinhole.machine.topology import Topology
from pinhole.progress import Quiet

NETWORK = ("failover", "net_failover", "virtio", "virtio_ring", "virtio_pci", "virtio_net")
PVPANIC = ("pvpanic", "pvpanic-mmio")

INIT = r"""#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
say() { echo "pinhole $*" > /dev/ttyS1; }
say stage modules
for m in /modules/*; do insmod $m; done
say stage $act
case $act in
crash) echo c > /proc/sysrq-trigger ;;
leave) exit 3 ;;
silent) echo nobody hears me; sleep 1000 ;;
fail) say 'failed network: eth0 has no address' ; sleep 1000 ;;
nonsense) say 'ready {nonsense' ; sleep 1000 ;;
off) poweroff -f ;;
oops)
    echo 'BUG: unable to handle page fault for address: ffffffffdeadbeef'
    echo 'Oops: 0000 [#1] PREEMPT SMP NOPTI'
    echo 'Kernel panic - not syncing: Fatal exception'
    echo '---[ end Kernel panic - not syncing: Fatal exception ]---' ;;
flood)
    printf '\377\376\300\200 bad \033[2J bytes\n'
    tr '\0' x < /dev/zero | head -c $bytes; echo; echo flooded ;;
esac
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0
echo online > /sys/devices/system/memory/auto_online_blocks
stty -echo < /dev/ttyS0
say "ready {\"release\": \"$(uname -r)\"}"
while true; do sh < /dev/ttyS0 > /dev/ttyS0 2>&1; done
"""


def debian(series: str) -> Kernel:
    """Debian's kernel of ``series``, from the cache if it was ever fetched."""
    return resolve(DebianRecipe(series), Quiet())


def initrd(folder: Path, kernel: Kernel, modules: Iterable[str] = ()) -> Path:
    """Writes the guest's initramfs; of ``modules`` those that ``kernel`` has as modules."""
    files = {"init": INIT.encode(), "bin/busybox": Path("/bin/busybox").read_bytes()}
    assert kernel.modules is not None
    for number, name in enumerate(modules):
        for path in kernel.modules.rglob(f"{name}.ko*"):
            content = path.read_bytes()
            plain = lzma.decompress(content) if path.suffix == ".xz" else content
            files[f"modules/{number:02}-{name}.ko"] = plain
    image = folder / "initrd.cpio"
    image.write_bytes(_newc(["bin", "dev", "proc", "sys", "modules"], files))
    return image


def machine_spec(
    kernel: Kernel,
    initrd: Path | None,
    workdir: Path,
    act: str = "ready",
    topology: Topology | None = None,
    *cmdline: str,
) -> MachineSpec:
    """A machine under TCG, which every host has."""
    return MachineSpec(
        kernel_image=kernel.image,
        initrd=initrd,
        cmdline=("console=ttyS0", "panic=-1", "movable_node", f"act={act}", *cmdline),
        topology=topology or Topology(),
        accelerator=Accelerator.TCG,
        budgets=Budgets(Accelerator.TCG.budget_scale),
        qemu=find_qemu(),
        workdir=workdir,
    )


def _newc(folders: Iterable[str], files: dict[str, bytes]) -> bytes:
    """A cpio archive in the format of Documentation/driver-api/early-userspace/buffer-format."""
    archive = io.BytesIO()
    entries = [(name, 0o40755, b"") for name in folders]
    entries += [(name, 0o100755, content) for name, content in files.items()]
    for inode, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        archive.write(b"070701" + b"".join(b"%08x" % field for field in fields))
        archive.write(name.encode() + b"\0")
        archive.write(bytes(-archive.tell() % 4))
        archive.write(content)
        archive.write(bytes(-archive.tell() % 4))
    return archive.getvalue()

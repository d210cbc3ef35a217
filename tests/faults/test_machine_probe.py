# SPDX-License-Identifier: GPL-2.0-only
"""An accelerator that opens but cannot boot, and what is remembered of it.

Where KVM works, or is not there at all, a QEMU that fails as it does on a host whose KVM cannot
boot (text captured from QEMU 7.2) stands for one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.vm.machine_guest import debian, initrd, machine_spec

from pinhole.errors import HostError, KernelError, MachineError, UsageError
from pinhole.kernel.kernel import Kernel
from pinhole.machine import probe
from pinhole.machine.accel import Accelerator
from pinhole.machine.probe import AcceleratorChoice, choose, why_not
from pinhole.machine.process import find_qemu
from pinhole.machine.qemu import Machine
from pinhole.progress import Quiet

FAILS_UNDER_KVM = """#!/bin/sh
case " $* " in
*" kvm "*)
    echo 'qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69' >&2
    kill -ABRT $$ ;;
esac
exec {qemu} "$@"
"""


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return debian("6.12")


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINHOLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(probe, "_KVM", Path("/dev/null"))  # it opens
    path = tmp_path / "qemu"
    path.write_text(FAILS_UNDER_KVM.format(qemu=find_qemu()))
    path.chmod(0o755)
    return path


def test_kvm_that_cannot_boot_gives_tcg_and_is_remembered(qemu: Path, kernel: Kernel) -> None:
    choice = choose(None, qemu, kernel.image, Quiet())
    assert (choice.accelerator, choice.remembered) == (Accelerator.TCG, False)
    assert "was ended by SIGABRT; it said: qemu-system-x86_64: error: failed to set MSR" in (
        choice.reason
    )
    again = choose(None, qemu, Path("/no/such/kernel"), Quiet())
    assert again == replace(choice, remembered=True)
    with pytest.raises(HostError, match="failed to set MSR 0x10a") as raised:
        choose("kvm", qemu, kernel.image, Quiet())
    assert "use --accel tcg" in str(raised.value)

    qemu.write_text(qemu.read_text() + "# another build\n")
    with pytest.raises(KernelError, match="cannot read the kernel image"):
        choose(None, qemu, Path("/no/such/kernel"), Quiet())


def test_damaged_memory_is_found_out_anew(
    qemu: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "why_not", lambda *_: None)
    fresh = choose(None, qemu, kernel.image, Quiet())
    assert fresh == AcceleratorChoice(Accelerator.KVM, "KVM boots a kernel here", False)
    assert choose("kvm", qemu, kernel.image, Quiet()).remembered
    (memory,) = (qemu.parent / "cache" / "accelerator").iterdir()
    memory.write_text("{")
    assert not choose(None, qemu, kernel.image, Quiet()).remembered


def test_kernel_that_boots_nowhere_says_nothing_about_kvm(
    qemu: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "why_not", lambda *_: "it did not come up")
    with pytest.raises(KernelError, match="boots neither with KVM"):
        choose(None, qemu, kernel.image, Quiet())
    assert not (qemu.parent / "cache" / "accelerator").exists()


def test_without_kvm_nothing_is_booted(
    qemu: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_KVM", Path("/nowhere/kvm"))
    assert choose(None, qemu, kernel.image, Quiet()).reason == "there is no /dev/kvm"
    with pytest.raises(HostError, match="there is no /dev/kvm: use --accel tcg"):
        choose("kvm", qemu, kernel.image, Quiet())
    assert choose("tcg", qemu, kernel.image, Quiet()).accelerator is Accelerator.TCG
    with pytest.raises(UsageError, match="unknown accelerator 'xen': it is kvm or tcg"):
        choose("xen", qemu, kernel.image, Quiet())


@pytest.mark.skipif(not Path("/dev/kvm").exists(), reason="this host has no /dev/kvm")
def test_what_the_probe_says_of_this_host_s_kvm_is_true(kernel: Kernel, tmp_path: Path) -> None:
    image = initrd(tmp_path, kernel)
    spec = replace(machine_spec(kernel, image, tmp_path), accelerator=Accelerator.KVM)
    reason = why_not(Accelerator.KVM, find_qemu(), kernel.image)
    if reason is None:
        with Machine(spec) as machine:
            machine.wait_ready()
    else:
        with pytest.raises(MachineError), Machine(spec) as machine:
            machine.wait_ready()

# SPDX-License-Identifier: GPL-2.0-only
"""Long-term pins through devices (vfio, iommufd, vhost-vdpa) on this host's own kernel."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.unit.test_guest_c_pinholder import HELD, call, events, named, names, pinholder

__all__ = ["pinholder"]  # the fixture

EXIT_UNSUPPORTED = 5
WAYS = {
    "vfio": "ioctl(VFIO_IOMMU_MAP_DMA)",
    "iommufd": "ioctl(IOMMU_IOAS_MAP)",
    "vhost_vdpa": "write(VHOST_IOTLB_UPDATE)",
}
LACKS = {errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT}


@pytest.mark.skipif(os.geteuid() != 0, reason="devices are root's")
@pytest.mark.parametrize("way", WAYS)
def test_pages_are_held_and_let_go_twice_or_the_lack_is_told(pinholder: Path, way: str) -> None:
    for _ in range(2):
        status, out, err = call(pinholder, "--hold", way, "--size", "1M")
        found = events(out)
        if status == EXIT_UNSUPPORTED:
            lack = named(found, "unsupported")
            assert names(found) == ["start", "unsupported"], "nothing was done before it was told"
            assert lack["errno"] in LACKS
            assert lack["call"] in err
            pytest.skip(lack["message"])
        assert status == 0, err
        assert names(found) == HELD
        hold = named(found, "hold")
        assert (hold["call"], hold["errno"]) == (WAYS[way], 0)
        assert hold["pages"] * named(found, "start")["page_size_bytes"] == 1 << 20


@pytest.mark.skipif(os.geteuid() != 0, reason="devices are root's")
@pytest.mark.parametrize("way", WAYS)
def test_a_killed_holder_leaves_nothing_in_the_next_ones_way(pinholder: Path, way: str) -> None:
    with subprocess.Popen(
        [pinholder, "--hold", way, "--size", "1M"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        seen = []
        for line in holder.stdout:
            seen += events(line)
            if seen[-1]["event"] == "unsupported":
                pytest.skip(seen[-1]["message"])
            if seen[-1]["event"] == "holding":
                break
        holder.send_signal(signal.SIGKILL)
    assert names(seen)[-1] == "holding"
    status, _, err = call(pinholder, "--hold", way, "--size", "1M")
    assert status == 0, err

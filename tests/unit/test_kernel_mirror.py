# SPDX-License-Identifier: GPL-2.0-only
"""Which mirror the host's apt uses, from what apt says about its sources."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pinhole.errors import KernelError
from pinhole.kernel import apt
from pinhole.kernel.apt import Mirror, Package, host_mirror, newest

TARGETS = """\
Docker\thttp://docker.test/linux/debian/\tbookworm
Debian\thttp://near.test/debian/\tbookworm
Debian\thttp://near.test/debian/\tbookworm-updates
Debian\tmirror+file:/etc/apt/mirrors/debian-security.list/\tbookworm-security
$(ORIGIN)\thttp://unknown.test/\tbookworm
"""
# What apt-get 2.6 --print-uris update prints on a host without any index.
URIS = """\
'http://node.test/node_20.x/dists/nodistro/InRelease' node.test_InRelease 0
'http://near.test/debian/dists/bookworm/InRelease' near.test_debian_dists_bookworm_InRelease 0
'http://near.test/debian/dists/bookworm/main/binary-amd64/Packages.xz' near.test_Packages 0
'http://near.test/debian-security/dists/bookworm-security/InRelease' near.test_InRelease 0
"""


def apt_that_says(monkeypatch: pytest.MonkeyPatch, targets: str, uris: str = "") -> None:
    def run(argv: Sequence[str], **_: object) -> str:
        return targets if "indextargets" in argv else uris

    monkeypatch.setattr(apt, "run", run)


def test_debian_archives_are_told_from_others_by_what_they_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apt_that_says(monkeypatch, TARGETS)
    security = "mirror+file:/etc/apt/mirrors/debian-security.list/"
    assert host_mirror() == Mirror("http://near.test/debian/", security)


def test_host_that_never_updated_is_read_from_its_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    apt_that_says(monkeypatch, "", URIS)
    assert host_mirror() == Mirror("http://near.test/debian/", "http://near.test/debian-security/")


def test_security_archive_is_looked_for_beside_the_main_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apt_that_says(monkeypatch, "Debian\thttp://near.test/debian\tbookworm\n")
    assert host_mirror().security == "http://near.test/debian-security/"
    apt_that_says(monkeypatch, "Debian\thttp://near.test/elsewhere/\tbookworm\n")
    assert host_mirror() == Mirror("http://near.test/elsewhere/", None)


def test_host_without_debian_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    apt_that_says(monkeypatch, "Ubuntu\thttp://other.test/ubuntu/\tnoble\n")
    with pytest.raises(KernelError, match="image: PATH"):
        host_mirror()


def test_versions_are_ordered_as_debian_orders_them() -> None:
    versions = ["6.12.9-1", "6.12.117-1~deb12u1", "6.12.117-1", "6.12.100-2"]
    packages = [Package("linux", version, "", 0, 0) for version in versions]
    found = newest(packages)
    assert found is not None and found.version == "6.12.117-1"
    assert newest(packages[:2]) == packages[1]
    assert newest([]) is None

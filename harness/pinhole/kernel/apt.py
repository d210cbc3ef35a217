# SPDX-License-Identifier: GPL-2.0-only
"""A private apt: packages of other Debian suites, from the mirror that the host's apt uses.

It has its own sources, lists, status and cache; the rest is the host's configuration (proxies,
certificates, credentials). apt checks every index against debian-archive-keyring and every
package against its index; nothing here can switch that off. It works for any user.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import HostError, KernelError
from pinhole.kernel.suites import Archive, Suite
from pinhole.kernel.tool import ToolError, run

ARCHITECTURE = "amd64"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_ASK_SECONDS = 60.0
_UPDATE_SECONDS = 300.0
_FETCH_SECONDS = 3600.0

_DEBIAN_SUITE = re.compile(
    r"(buster|bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable)"
    r"(-updates|-security|/updates|-backports|-proposed-updates)?"
)
_RELEASE_URI = re.compile(r"'(?P<uri>\S+/)dists/(?P<suite>\S+?)/(?:InRelease|Release)'")

_CONFIGURATION = """\
// Read after the host's own configuration: what stands here wins.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architecture "{architecture}";
APT::Default-Release "";
APT::Get::AllowUnauthenticated "false";
// The lists lie in the user's private cache, where apt's own user _apt cannot go.
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::State::extended_states "{folder}/extended_states";
Dir::Cache "{folder}";
Dir::Cache::archives "{folder}/archives";
Dir::Cache::pkgcache "{folder}/pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "{folder}/nothing";
Dir::Etc::preferences "{folder}/nothing/preferences";
Dir::Etc::preferencesparts "{folder}/nothing";
Dir::Etc::trusted "{folder}/nothing/trusted.gpg";
Dir::Etc::trustedparts "{folder}/nothing";
"""


@dataclass(frozen=True)
class Package:
    """A binary package that the mirror offers; sizes in bytes, ``sha256`` that of the .deb."""

    name: str
    version: str
    sha256: str
    size_bytes: int
    installed_bytes: int


@dataclass(frozen=True)
class Mirror:
    """Where the host's apt gets Debian from, one URI an archive."""

    main: str | None
    security: str | None

    def uri(self, archive: Archive) -> str | None:
        """The URI of ``archive``, or None if the host has none."""
        return self.main if archive is Archive.MAIN else self.security


def host_mirror() -> Mirror:
    """The mirror that the host's apt is set up with; raises ``KernelError`` if that has no Debian.

    Where only the main archive is set up, the security archive is taken to lie beside it, as it
    does on mirrors that carry both (``…/debian`` and ``…/debian-security``).
    """
    try:
        offers = _from_lists() or _from_sources()
    except ToolError as error:
        raise KernelError(f"the host's apt does not name its sources: {error}") from error
    main = next((uri for uri, suite in offers if not _is_security(suite)), None)
    security = next((uri for uri, suite in offers if _is_security(suite)), None)
    if main is None and security is None:
        raise KernelError(
            "the host's apt has no Debian archive among its sources; give a kernel as "
            "image: PATH (and modules: PATH) instead"
        )
    if security is None and main is not None and main.rstrip("/").endswith("/debian"):
        security = main.rstrip("/") + "-security/"
    return Mirror(main, security)


def _from_lists() -> list[tuple[str, str]]:
    """(URI, suite) of the Debian sources whose indexes the host has, by what these say."""
    form = "$(ORIGIN)\t$(REPO_URI)\t$(RELEASE)"
    said = run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        package="apt",
        seconds=_ASK_SECONDS,
    )
    rows = [line.split("\t") for line in said.splitlines()]
    return [(row[1], row[2]) for row in rows if len(row) == 3 and row[0] == "Debian"]


def _from_sources() -> list[tuple[str, str]]:
    """(URI, suite) of the sources with a Debian suite's name, on a host that has no indexes."""
    said = run(["apt-get", "--print-uris", "update"], package="apt", seconds=_ASK_SECONDS)
    found = (_RELEASE_URI.match(line) for line in said.splitlines())
    return [
        (one["uri"], one["suite"]) for one in found if one and _DEBIAN_SUITE.fullmatch(one["suite"])
    ]


def _is_security(suite: str) -> bool:
    return suite.endswith(("-security", "/updates"))


class PrivateApt:
    """An apt in ``folder``, which must be empty and private, for ``suites`` of ``mirror``."""

    def __init__(self, folder: Path, mirror: Mirror, suites: Iterable[Suite]) -> None:
        if not KEYRING.is_file():
            raise HostError(
                f"{KEYRING} is missing, so nothing from Debian can be checked; install it: "
                "apt-get install debian-archive-keyring"
            )
        for part in ("lists/partial", "archives/partial", "nothing"):
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        lines = []
        for suite in suites:
            uri = mirror.uri(suite.archive)
            if uri is not None:
                options = f"arch={ARCHITECTURE} target=Packages signed-by={KEYRING}"
                lines.append(f"deb [{options}] {uri} {suite.name} main\n")
        (folder / "sources.list").write_text("".join(lines))
        self._configuration = folder / "apt.conf"
        self._configuration.write_text(
            _CONFIGURATION.format(folder=folder, architecture=ARCHITECTURE)
        )

    def update(self) -> None:
        """Fetches the indexes and checks their signatures; ``ToolError`` holds apt's words."""
        self._apt("apt-get", "update", seconds=_UPDATE_SECONDS)

    def newest(self, name: re.Pattern[str], prefix: str) -> Package | None:
        """The package of the highest version whose name starts with ``prefix`` and is ``name``."""
        known = self._apt("apt-cache", "pkgnames", prefix, seconds=_ASK_SECONDS).split()
        names = sorted(one for one in known if name.fullmatch(one))
        if not names:
            return None
        said = self._apt("apt-cache", "show", *names, seconds=_ASK_SECONDS)
        packages = [_package(record) for record in said.split("\n\n") if record.strip()]
        return newest(packages)

    def fetch(self, package: Package, folder: Path) -> Path:
        """Downloads ``package`` into ``folder``; apt compares it with the signed index."""
        wanted = f"{package.name}={package.version}"
        self._apt("apt-get", "download", wanted, seconds=_FETCH_SECONDS, folder=folder)
        return next(folder.glob("*.deb"))

    def _apt(
        self, tool: str, command: str, *words: str, seconds: float, folder: Path | None = None
    ) -> str:
        return run(
            [tool, "-q", "-c", str(self._configuration), command, *words],
            package="apt",
            seconds=seconds,
            folder=folder,
        )


def newest(packages: Sequence[Package]) -> Package | None:
    """The one of the highest version, as Debian orders versions."""
    ordered = sorted(packages, key=functools.cmp_to_key(_by_version))
    return ordered[-1] if ordered else None


def _by_version(one: Package, other: Package) -> int:
    if one.version == other.version:
        return 0
    try:
        run(
            ["dpkg", "--compare-versions", one.version, "lt", other.version],
            package="dpkg",
            seconds=_ASK_SECONDS,
        )
    except ToolError:  # status 1: it is not
        return 1
    return -1


def _package(record: str) -> Package:
    fields = dict(re.findall(r"(?m)^([A-Za-z0-9-]+): (.*)$", record))
    try:
        return Package(
            name=fields["Package"],
            version=fields["Version"],
            sha256=fields["SHA256"],
            size_bytes=int(fields["Size"]),
            installed_bytes=1024 * int(fields["Installed-Size"]),
        )
    except (KeyError, ValueError) as error:
        raise KernelError(f"the mirror's index has a package without {error}") from error

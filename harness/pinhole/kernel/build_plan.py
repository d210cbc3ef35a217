# SPDX-License-Identifier: GPL-2.0-only
"""A build recipe pinned down: its source, patches, configuration and compiler, and their key.

The key is known before anything is unpacked or compiled, so that a kernel in the cache is found
at once; of a tarball the version is not known by then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import KernelError, UsageError
from pinhole.kernel import sandbox, variants
from pinhole.kernel.diff import looks_like_diff
from pinhole.kernel.fragments import Request, requests
from pinhole.kernel.identified import Identified
from pinhole.kernel.mails import is_mail
from pinhole.kernel.manifest import file_digest
from pinhole.kernel.patches import digest, load_patches
from pinhole.kernel.recipe import BuildRecipe
from pinhole.kernel.source import TreeSource, identify
from pinhole.kernel.toolchain import Toolchain, toolchain
from pinhole.progress import Progress

_MADE = 1
"""How kernels are built and what an entry holds; another number makes other keys."""


@dataclass(frozen=True)
class BuildPlan:
    """What a build takes. ``requests`` are all options asked for, of whatever version.

    ``config_base`` is ``allnoconfig``, ``defconfig`` or a file, whose SHA-256 is in the keys.
    ``base_key`` addresses the same kernel without variant and patches.
    """

    recipe: BuildRecipe
    source: Identified
    toolchain: Toolchain
    config_base: str | Path
    requests: tuple[Request, ...]
    key: str
    base_key: str
    given: tuple[str, ...]
    """What of the keys comes from files that somebody may edit: patches and ``config_base``."""
    tree: str
    """The work tree in which the unpatched kernels of this lineage and configuration are built."""

    @property
    def patched(self) -> bool:
        """Whether anything is applied to the source."""
        return self.key != self.base_key

    @property
    def local_version(self) -> str:
        """What the release ends in: tells kernels of one version apart in the guest too."""
        return self.local_version_of(self.key)

    @staticmethod
    def local_version_of(key: str) -> str:
        """The same for any key."""
        return f"-pinhole-{key.rpartition('-')[2][:10]}"

    def asked_of(self, version: str) -> tuple[Request, ...]:
        """The options that are asked of a kernel of upstream ``version``, each once: the last."""
        asked = (one for one in self.requests if one.holds_for(version))
        return tuple({one.option: one for one in asked}.values())

    def check_unchanged(self) -> None:
        """Raises ``KernelError`` if patches or ``config_base`` are not any more what the keys are
        made of: waiting for another build, or for the base, takes minutes, and who waits edits."""
        if self.given != _given(_patch_keys(self.recipe), self.config_base):
            raise KernelError(
                f"{self.recipe.label}: a patch or the configuration that it begins with changed "
                "while it was built; build it again"
            )

    def patch_files(self, version: str) -> tuple[Path, ...]:
        """The variant's patch for ``version``, then the recipe's."""
        found = list(self.recipe.patches)
        if self.recipe.variant is not None:
            name = self.recipe.variant
            own = variants.variant(name).file_for(name, version)
            if own is not None:
                found.insert(0, own)
        return tuple(found)


def plan_build(recipe: BuildRecipe, progress: Progress, *, offline: bool) -> BuildPlan:
    """Pins ``recipe`` down; fetches the source if it has to be.

    Raises ``UsageError`` for a fragment, variant, patch or configuration that is not there.
    """
    asked = requests(recipe.config.fragments, recipe.config.options)
    base = _config_base(recipe)
    patch_keys = _patch_keys(recipe)
    tools = toolchain(recipe.compiler)
    source = identify(recipe.source, progress, offline=offline)
    config = {
        "base": base if isinstance(base, str) else file_digest(base),
        "lines": [
            # Where the version is known, what is asked of other kernels makes no other key.
            [one.line, "" if source.version else one.kernels]
            for one in asked
            if source.version is None or one.holds_for(source.version)
        ],
    }
    parts = {"made": _MADE, "config": config, "toolchain": tools.identity}
    key = _key({**parts, "source": source.key, "patches": patch_keys})
    return BuildPlan(
        recipe=recipe,
        source=source,
        toolchain=tools,
        config_base=base,
        requests=asked,
        key=key,
        base_key=_key({**parts, "source": source.key, "patches": []}),
        given=_given(patch_keys, base),
        tree=_tree(parts, source.lineage, recipe.sandbox),
    )


def _tree(parts: Mapping[str, object], lineage: str, sandboxed: bool | None) -> str:
    """What was built without a sandbox is no base of what is built in one: it could be anybody's
    work."""
    confined = sandboxed is not False and sandbox.why_not() is None
    return f"base-{_digest({**parts, 'lineage': lineage})[:24]}{'' if confined else '-open'}"


def _config_base(recipe: BuildRecipe) -> str | Path:
    base = recipe.config.base
    if base == "tree":
        if not isinstance(recipe.source, TreeSource):
            raise UsageError(
                f"{recipe.label}: the configuration 'tree' is the .config of a tree: source; give "
                "the path of a .config instead"
            )
        base = recipe.source.path / ".config"
    if isinstance(base, Path) and not base.is_file():
        raise UsageError(
            f"{recipe.label}: there is no kernel configuration {base}; make one there, or take "
            "allnoconfig or defconfig"
        )
    return base


def _patch_keys(recipe: BuildRecipe) -> list[str]:
    """By content: the same patches under other names are the same."""
    keys = []
    if recipe.variant is not None:
        keys += [
            file_digest(path) for path in variants.variant(recipe.variant).files(recipe.variant)
        ]
    return keys + [_patch_key(path) for path in recipe.patches]


def _patch_key(path: Path) -> str:
    """Of what is no mail and no diff, a quilt series, the patches count that it names."""
    try:
        content = b"" if path.is_dir() else path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the patch {path}: {error.strerror}") from error
    if content and (is_mail(content) or looks_like_diff(content)):
        return hashlib.sha256(content).hexdigest()
    return digest(load_patches([path]))


def _given(patch_keys: Sequence[str], base: str | Path) -> tuple[str, ...]:
    return *patch_keys, base if isinstance(base, str) else file_digest(base)


def _key(parts: object) -> str:
    return f"build{_MADE}-{_digest(parts)[:40]}"


def _digest(parts: object | Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

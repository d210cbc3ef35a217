# SPDX-License-Identifier: GPL-2.0-only
"""Kernel variants: policies as small patches, in ``kernel-configs/variants/NAME/``.

``variant.yaml`` says what the policy is, for which series it is built where none is named, and
which patch file is for which range of upstream versions.
"""

from __future__ import annotations

from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import Field, field_validator

from pinhole.errors import UsageError
from pinhole.resources import shipped
from pinhole.versions import in_range
from pinhole.yamlfile import StrictModel, YamlFile, did_you_mean

_FILE = "variant.yaml"


class VariantPatch(StrictModel):
    """The patch ``file`` beside ``variant.yaml``, for upstream versions in ``kernels``."""

    kernels: str
    file: str = Field(pattern=r"^[A-Za-z0-9._-]+\.patch$")

    @field_validator("kernels")
    @classmethod
    def _range_of_versions(cls, value: str) -> str:
        try:
            SpecifierSet(value)
        except InvalidSpecifier as error:
            raise ValueError(
                f"{value!r} is not a range of kernel versions (write '>=6.12, <6.13')"
            ) from error
        return value


class Variant(StrictModel):
    """One policy. ``series`` is Debian's series that is taken where no source is named."""

    policy: str
    summary: str
    series: str
    patches: tuple[VariantPatch, ...]

    def file_for(self, name: str, version: str) -> Path | None:
        """Its patch for the upstream ``version``, None if it takes none (``stock``).

        Raises ``UsageError`` where no patch of it is for that version.
        """
        if not self.patches:
            return None
        for patch in self.patches:
            if in_range(version, patch.kernels):
                return _folder() / name / patch.file
        ranges = "; ".join(patch.kernels for patch in self.patches)
        raise UsageError(
            f"the variant {name!r} has no patch for {version}, only for {ranges}; write one "
            f"beside {_folder() / name / _FILE}, or take another source"
        )

    def files(self, name: str) -> tuple[Path, ...]:
        """All its patch files: what a kernel's key is made of before its version is known."""
        return tuple(_folder() / name / patch.file for patch in self.patches)


def variants() -> tuple[str, ...]:
    """The names of all variants, sorted."""
    return tuple(sorted(path.parent.name for path in _folder().glob(f"*/{_FILE}")))


def variant(name: str) -> Variant:
    """The variant of that name; ``UsageError`` with what was probably meant if there is none."""
    if name not in variants():
        raise UsageError(
            f"unknown variant {name!r}{did_you_mean(name, variants())}: known are "
            f"{', '.join(variants())}"
        )
    return YamlFile.read(_folder() / name / _FILE).model(Variant)


def default_series(name: str) -> str:
    """Debian's series that the variant ``name`` is built of where no source is named."""
    return variant(name).series


def _folder() -> Path:
    return shipped("kernel-configs") / "variants"

# SPDX-License-Identifier: GPL-2.0-only
"""What the pytest plugin asks for once a test takes one of its fixtures, and not before.

Apart from the plugin, which must not import any of this in a project that only is installed
beside pinhole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import ValidationError

from pinhole.errors import MachineError, PinholeError, UsageError
from pinhole.guest.guest import Guest
from pinhole.guest.holder import Holder
from pinhole.kernel.bootable import Kernel
from pinhole.kernel.kernel import resolve
from pinhole.kernel.recipe import parse_recipe
from pinhole.plan import Expectation
from pinhole.scenario.engine import Result
from pinhole.tools.failure import describe_guest, describe_result

_PACKAGE = Path(__file__).resolve().parent.parent
_KERNELS: pytest.StashKey[dict[str, Kernel | PinholeError]] = pytest.StashKey()


@dataclass
class Watched:
    """What a test has so far: of these a report shows the evidence, should the test fail."""

    folder: Path
    guest: Guest | None = None
    holders: list[Holder] = field(default_factory=list)
    results: list[tuple[Path, Result]] = field(default_factory=list)
    failed: bool = False

    def evidence(self) -> str:
        """Where the whole of it lies, what scenarios came to, what the guest says of itself."""
        lines = [f"directory: {self.folder} (kept)"]
        for folder, result in self.results:
            lines += describe_result(result, folder)
        if self.guest is not None:
            lines += describe_guest(self.guest, self.holders, self.folder)
        return "\n".join(lines)


class TerminalLines:
    """Progress on pytest's terminal: a line as each step begins, whatever pytest captures."""

    def __init__(self, config: pytest.Config) -> None:
        # xdist's workers have no terminal: what they would say is not shown.
        self._reporter = config.pluginmanager.get_plugin("terminalreporter")
        self._capture = config.pluginmanager.get_plugin("capturemanager")
        self._quarters: dict[str, int] = {}

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        self.note(f"{text} …")
        yield

    def note(self, text: str) -> None:
        if self._reporter is None:
            return
        shown: AbstractContextManager[None] = nullcontext()
        if self._capture is not None:
            shown = self._capture.global_and_fixture_disabled()
        with shown:
            self._reporter.ensure_newline()
            self._reporter.write_line(f"pinhole: {text}")

    def share(self, text: str, done: float) -> None:
        """A line for each quarter: a build may take minutes."""
        if int(done * 4) > self._quarters.get(text, 0):
            self._quarters[text] = int(done * 4)
            self.note(f"{text}: {done:.0%}")


@contextmanager
def said_plainly() -> Iterator[None]:
    """Fails the test with the words of pinhole's own errors, which name thing, reason and next
    step, instead of a traceback through pinhole."""
    try:
        yield
    except PinholeError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@contextmanager
def quiet_after_failure(watched: Watched) -> Iterator[None]:
    """Lets the trouble of a machine on its way out pass where the test has failed already.

    A guest that panicked in the test is told of there; the fixtures above it, which can no longer
    reach it, would tell of it again. QEMU itself is ended either way.
    """
    try:
        yield
    except MachineError:
        if not watched.failed:
            raise


def resolved(config: pytest.Config, text: str) -> Kernel:
    """The kernel that ``text`` means, or the error that it gave: found out once a session."""
    known = config.stash.setdefault(_KERNELS, {})
    if text not in known:
        offline = bool(config.getoption("--pinhole-offline"))
        try:
            known[text] = resolve(parse_recipe(text), TerminalLines(config), offline=offline)
        except PinholeError as error:
            known[text] = error
    found = known[text]
    if isinstance(found, PinholeError):
        raise found
    return found


def skip_by_markers(item: pytest.Item, kernel: Kernel) -> None:
    """Skips the test where its markers do not fit ``kernel``; a kernel whose configuration is
    not known has every option."""
    skip_where_lacking(
        kernel, {name for mark in item.iter_markers("kernel_option") for name in mark.args}
    )
    for mark in item.iter_markers("kernel_version"):
        wanted = ", ".join(map(str, mark.args))
        try:
            covered = Expectation(kernels=wanted, because="marker").covers(kernel.version)
        except ValidationError as error:
            raise UsageError(f"the marker kernel_version: {error.errors()[0]['msg']}") from error
        if not covered:
            pytest.skip(f"{kernel.label} is {kernel.version}, the test is for {wanted}")


def skip_where_lacking(kernel: Kernel, options: Iterable[str]) -> None:
    """Skips the test, naming those of ``options`` that ``kernel`` lacks."""
    lacking = kernel.lacks(options)
    if lacking:
        pytest.skip(f"{kernel.label} lacks {', '.join(lacking)}")


def end_at_the_test(error: BaseException) -> None:
    """Ends the traceback of an error of pinhole at the last line that is not pinhole's own.

    What follows is no news to who wrote the test; the error's words name thing and reason. The
    frames themselves are cut: pytest makes its traceback anew from them (Traceback.cut()).
    """
    frame, last = error.__traceback__, None
    while frame is not None:
        if not Path(frame.tb_frame.f_code.co_filename).is_relative_to(_PACKAGE):
            last = frame
        frame = frame.tb_next
    if isinstance(error, PinholeError) and last is not None:
        last.tb_next = None

# SPDX-License-Identifier: GPL-2.0-only
"""A mailed thread to the one series that it asks to apply: the newest version, whole, in order.

b4 (https://b4.docs.kernel.org) makes the series out of the thread, as for ``git am``: it knows
covers, answers, partial resends and encodings. What b4 would only warn of is an error here, found
before or after: a missing patch, two series in one mbox, two mails that claim one number.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinhole.errors import HostError, UsageError
from pinhole.kernel.mails import Mail, read_mails
from pinhole.kernel.tool import ToolError, find, run
from pinhole.progress import Progress

_B4_SECONDS = 120.0
_LISTED = 10
_REPLACED = "\N{REPLACEMENT CHARACTER}".encode()
_NEXT = "save the patches as files and list them in a series file"


@dataclass(frozen=True)
class MailedPatch:
    """One patch as it was mailed: ``body`` holds its diff among other text."""

    title: str
    author: str
    body: bytes


def patches_of(mails: Sequence[Mail], where: str, progress: Progress) -> tuple[MailedPatch, ...]:
    """The patches of the one series in ``mails``, in order; ``where`` names the file for people.

    Raises ``UsageError`` if there is not exactly one, or not all of it, and ``HostError`` if b4
    is missing or fails.
    """
    topics = [topic for topic in _topics(mails) if any(mail.is_patch for mail in topic)]
    if not topics:
        kinds = "only a cover letter or answers" if mails else "no mail"
        raise UsageError(
            f"{where}: {kinds}, no patch among its {len(mails)} mails; get the whole thread, or "
            "an mbox with the patches"
        )
    if len(topics) > 1:
        raise _several(where, [_newest(topic)[0] for topic in topics])
    topic = topics[0]
    wanted = _chosen(_newest(topic), where, progress)
    versions = sorted({mail.version for mail in topic if mail.is_patch})
    if len(versions) > 1:
        others = ", ".join(f"v{version}" for version in versions[:-1])
        progress.note(f"{where}: takes v{versions[-1]}, the newest; there is {others} too")
    for mail in wanted:
        _check_parts(mail, where)
    left_out = {mail.message_id for mail in _newest(topic)} - {one.message_id for one in wanted}
    made = _by_b4([one for one in topic if one.message_id not in left_out], versions[-1], where)
    _check_complete(made, where)
    _check_readable(made, wanted, where)
    return tuple(MailedPatch(mail.title, mail.author, b"\n".join(mail.diffs)) for mail in made)


def _topics(mails: Sequence[Mail]) -> list[list[Mail]]:
    """The mails, put together that belong together: by thread, by title, by numbering."""
    topics: list[list[Mail]] = []
    known: list[set[str]] = []
    for mail in mails:
        signs = {mail.message_id, *mail.references}
        if not mail.reply and (mail.diffs or mail.number == 0):
            signs.add(f"title {mail.title.casefold()}")
        joined, told = [mail], signs
        for at in reversed(range(len(topics))):
            if known[at] & signs:
                joined = topics.pop(at) + joined
                told = known.pop(at) | told
        topics.append(joined)
        known.append(told)
    return _joined_by_number(topics)


def _joined_by_number(topics: list[list[Mail]]) -> list[list[Mail]]:
    """Joins what ``git format-patch`` wrote unthreaded: same version and count, other numbers."""
    joined: list[list[Mail]] = []
    for topic in topics:
        numbers = _numbers(topic)
        fits = (
            one
            for one in joined
            if not any(mail.references for mail in (*one, *topic) if _is_numbered(mail))
            and {key[1:] for key in numbers} & {key[1:] for key in _numbers(one)}
            and not numbers & _numbers(one)
        )
        found = next(fits, None)
        if found is None:
            joined.append(list(topic))
        else:
            found += topic
    return joined


def _numbers(topic: Iterable[Mail]) -> set[tuple[int | None, int, int]]:
    return {(mail.number, mail.version, mail.count or 0) for mail in topic if _is_numbered(mail)}


def _is_numbered(mail: Mail) -> bool:
    return mail.count is not None and mail.count > 1 and not mail.reply


def _newest(topic: Sequence[Mail]) -> list[Mail]:
    newest = max(mail.version for mail in topic if mail.is_patch)
    return [mail for mail in topic if mail.is_patch and mail.version == newest]


def _chosen(newest: list[Mail], where: str, progress: Progress) -> list[Mail]:
    """The patches of one version, each number once."""
    numbered = [mail for mail in newest if mail.number is not None]
    for mail in newest:
        if numbered and mail.number is None:
            progress.note(
                f"{where}: leaves out {mail.subject!r}, which has no number in the series"
            )
    if len({mail.count for mail in numbered}) > 1:
        raise _several(where, newest)
    by_number: dict[int, Mail] = {}
    for mail in numbered or newest:
        other = by_number.setdefault(mail.number or 1, mail)
        if other is mail or other.diffs == mail.diffs:
            continue
        if mail.number is None:
            raise UsageError(
                f"{where}: {other.subject!r} and {mail.subject!r} have no numbers that tell which "
                f"comes first or which is meant; {_NEXT}"
            )
        raise UsageError(
            f"{where}: {other.subject!r} and {mail.subject!r} are different patches with one "
            f"number; take one of them out, or {_NEXT}"
        )
    return list(by_number.values())


def _several(where: str, firsts: Sequence[Mail]) -> UsageError:
    listed = "".join(f"\n  {mail.subject} ({mail.author})" for mail in firsts[:_LISTED])
    more = f"\n  and {len(firsts) - _LISTED} more" if len(firsts) > _LISTED else ""
    return UsageError(
        f"{where} holds several series; save the thread of one of them to a file of its own:"
        f"{listed}{more}"
    )


def _check_parts(mail: Mail, where: str) -> None:
    if mail.unread:
        raise UsageError(
            f"{where}: the patch of {mail.subject!r} is an attachment of the kind "
            f"{mail.unread[0]}, which b4 does not read; save the attachment and give that file"
        )
    if len(mail.diffs) > 1:
        raise UsageError(
            f"{where}: {mail.subject!r} holds {len(mail.diffs)} patches in one mail, in no order "
            f"that it tells; {_NEXT}"
        )


def _check_complete(made: Sequence[Mail], where: str) -> None:
    count = max((mail.count or 1 for mail in made), default=0)
    there = {mail.number or 1 for mail in made}
    missing = [str(number) for number in range(1, count + 1) if number not in there]
    if missing or not made:
        what = ", ".join(f"{number}/{count}" for number in missing) or "every patch"
        are = "are" if len(missing) > 1 else "is"
        raise UsageError(
            f"{where}: {what} {are} missing; get the whole thread (to apply only what is there: "
            f"{_NEXT})"
        )


def _check_readable(made: Sequence[Mail], wanted: Sequence[Mail], where: str) -> None:
    """b4 puts U+FFFD where bytes are not of the mail's character set; git would apply that."""
    sent = {body for mail in wanted for body in mail.diffs}
    if any(_REPLACED in body for body in sent):
        return
    for mail in made:
        if any(_REPLACED in body for body in mail.diffs):
            raise UsageError(
                f"{where}: {mail.subject!r} has bytes that are not in the character set that it "
                "declares (UTF-8 if none); save its diff to a file as it is and give that"
            )


def _by_b4(mails: Sequence[Mail], version: int, where: str) -> list[Mail]:
    """What ``b4 am`` makes of ``mails``, without a network and without the user's configuration."""
    if importlib.util.find_spec("b4") is None:
        raise HostError("b4, which reads mailed series, is missing; install it: pip install b4")
    find("git", "git")  # b4 runs git mailinfo
    with tempfile.TemporaryDirectory(prefix="pinhole-b4-") as name:
        folder = Path(name)
        (folder / "thread.mbox").write_bytes(b"".join(_quoted(mail.raw) for mail in mails))
        try:
            run(_b4(version), package="python3", seconds=_B4_SECONDS, folder=folder,
                environment=_alone(folder))  # fmt: skip
        except ToolError as error:
            said = "".join(f"\n  {line}" for line in error.lines)
            raise UsageError(
                f"{where}: b4 cannot make a series of it; mend the mbox, or {_NEXT}:{said}"
            ) from error
        found = sorted((folder / "out" / "series.maildir" / "new").glob("*.eml"))
        return [mail for path in found for mail in read_mails(path.read_bytes())]


def _b4(version: int) -> list[str]:
    return [
        *(sys.executable, "-P", "-m", "b4.command", "--offline-mode", "--no-interactive"),
        *("-c", "b4.attestation-policy=off"),
        *("am", "--use-local-mbox", "thread.mbox", "--use-version", str(version)),
        *("--no-add-trailers", "--no-cover", "--save-as-maildir"),
        *("--outdir", "out", "--mbox-name", "series"),
    ]


def _alone(folder: Path) -> dict[str, str]:
    """An environment in which neither b4 nor git finds the user's files or a repository."""
    xdg = {f"XDG_{kind}_HOME": str(folder / "home") for kind in ("CONFIG", "DATA", "CACHE")}
    return {
        **xdg,
        "HOME": str(folder / "home"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "0",
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_DIR": str(folder / "no-repository"),
        "PYTHONUTF8": "1",
    }


def _quoted(raw: bytes) -> bytes:
    """One message of an mbox; b4 cuts at each line that begins with "From "."""
    lines = (b">" + line if line.startswith(b"From ") else line for line in raw.split(b"\n"))
    return b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + b"\n".join(lines) + b"\n\n"

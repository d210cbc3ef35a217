# SPDX-License-Identifier: GPL-2.0-only
"""Mails as a mailing list gives them: an mbox cut into messages, each read as far as patches go.

Nothing is decided here; ``thread.py`` chooses the series among the messages.
"""

from __future__ import annotations

import email
import email.header
import email.policy
import email.utils
import hashlib
import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.message import Message

from pinhole.kernel.diff import looks_like_diff

_FROM_LINE = re.compile(rb"From .*\d\d?:\d\d(:\d\d)? .*\d{4}")
"""mbox(5): an asctime date ends it. A sentence that begins with "From " has none."""
_HEADER = re.compile(rb"[!-9;-~]+:")
_BRACKETS = re.compile(r"\s*\[([^\]]*)\]\s*")
_REPLY = re.compile(r"(re|aw|sv|fwd?|antw)(\[\d+\])?:\s*", re.IGNORECASE)
_READ_BY_B4 = ("text/plain", "text/x-patch")
"""b4's ``LoreMessage.get_payload`` looks at no other part of a mail."""


@dataclass(frozen=True)
class Mail:
    """One message. ``number`` and ``count`` are of ``[PATCH 2/3]``, None where it has none.

    ``diffs`` are the decoded bodies and attachments that hold a diff; ``unread`` names the kinds
    of attachments with a diff that b4 would not read.
    """

    raw: bytes
    message_id: str
    references: tuple[str, ...]
    subject: str
    title: str
    author: str
    reply: bool
    version: int
    number: int | None
    count: int | None
    diffs: tuple[bytes, ...]
    unread: tuple[str, ...]

    @property
    def is_patch(self) -> bool:
        """Whether it carries a patch of its own, not somebody's answer with code in it."""
        return bool(self.diffs) and not self.reply


def is_mail(data: bytes) -> bool:
    """Whether ``data`` begins as an mbox or a single message with a subject does."""
    text = data.lstrip(b"\r\n")
    if _FROM_LINE.match(text):
        return True
    head = re.split(rb"\r?\n\r?\n", text, maxsplit=1)[0]
    lines = head.splitlines()
    return (
        all(_HEADER.match(line) or line[:1] in {b" ", b"\t"} for line in lines)
        and re.search(rb"^subject:", head, re.IGNORECASE | re.MULTILINE) is not None
        and re.search(rb"^from:", head, re.IGNORECASE | re.MULTILINE) is not None
    )


def read_mails(data: bytes) -> tuple[Mail, ...]:
    """All messages of an mbox (or the single one), in its order, each Message-ID once.

    A message that lists and their copies brought twice is one message.
    """
    mails = (_read(raw) for raw in _split(data.replace(b"\r\n", b"\n")))
    return tuple({mail.message_id: mail for mail in mails}.values())


def _split(data: bytes) -> list[bytes]:
    """The messages, with mboxrd's quoting (``>From``, ``>>From``) taken off."""
    messages: list[list[bytes]] = []
    lines = data.lstrip(b"\n").splitlines(keepends=True)
    blank = True
    for at, line in enumerate(lines):
        following = lines[at + 1] if at + 1 < len(lines) else b""
        if blank and _FROM_LINE.match(line) and _HEADER.match(following):
            messages.append([])
        else:
            if not messages:
                messages.append([])
            messages[-1].append(re.sub(rb"\A>(>*From )", rb"\1", line))
        blank = line == b"\n"
    return [b"".join(message) for message in messages if b"".join(message).strip()]


def _read(raw: bytes) -> Mail:
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    message_id = _ids(message, "Message-ID")
    if not message_id:
        # git format-patch writes none unless it threads, and b4 takes no message without.
        message_id = (f"{hashlib.sha256(raw).hexdigest()[:32]}@no-message-id.invalid",)
        raw = b"Message-ID: <" + message_id[0].encode() + b">\n" + raw
    subject = _header(message, "Subject")
    title, words, reply = _taken_apart(subject)
    version, number, count = _numbers(words)
    parts = [(part.get_content_type(), _payload(part)) for part in message.walk()]
    # HTML beside the text says the same once more, and no tool takes a patch from it.
    diffs = [(kind, body) for kind, body in parts if kind != "text/html" and looks_like_diff(body)]
    name, address = email.utils.parseaddr(_header(message, "From"))
    return Mail(
        raw=raw,
        message_id=message_id[0],
        references=(*_ids(message, "References"), *_ids(message, "In-Reply-To")),
        subject=subject,
        title=title,
        author=f"{name} <{address}>" if name else address,
        reply=reply,
        version=version,
        number=number,
        count=count,
        diffs=tuple(body for _, body in diffs),
        unread=tuple(kind for kind, _ in diffs if kind not in _READ_BY_B4),
    )


def _header(message: Message, name: str) -> str:
    """The header, decoded and on one line; as it stands where it cannot be decoded."""
    values = (value for one, value in message.raw_items() if one.lower() == name.lower())
    # Headers that are UTF-8 without encoded words (RFC 6532), as b4 and some lists write them.
    raw = next(values, "").encode("utf-8", "surrogateescape").decode(errors="replace")
    try:
        text = str(email.header.make_header(email.header.decode_header(raw)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        text = raw
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _ids(message: Message, name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"<([^<>\s]+)>", str(message.get(name, ""))))


def _payload(part: Message) -> bytes:
    if part.is_multipart():
        return b""
    body = part.get_payload(decode=True)
    return body.replace(b"\r\n", b"\n") if isinstance(body, bytes) else b""


def _taken_apart(subject: str) -> tuple[str, list[str], bool]:
    """The title alone, the words of its brackets, and whether it is an answer."""
    rest, words, reply = subject, [], False
    while True:
        answered = _REPLY.match(rest)
        brackets = _BRACKETS.match(rest)
        if answered is not None:
            reply = True
            rest = rest[answered.end() :]
        elif brackets is not None:
            words += re.split(r"[\s,;]+", brackets[1])
            rest = rest[brackets.end() :]
        else:
            return rest.strip() or subject, words, reply


def _numbers(words: list[str]) -> tuple[int, int | None, int | None]:
    """Version, number and count, of ``v3``, ``PATCHv3`` and ``2/3``."""
    version, number, count = 1, None, None
    for word in words:
        if found := re.fullmatch(r"(?:patch)?v(\d{1,4})", word, re.IGNORECASE):
            version = int(found[1])
        elif found := re.fullmatch(r"(\d{1,4})/(\d{1,4})", word):
            number, count = int(found[1]), int(found[2])
    return version, number, count

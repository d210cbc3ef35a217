# SPDX-License-Identifier: GPL-2.0-only
"""Patches read: mailed threads through b4, plain diffs, quilt series; and what is no patch."""

from __future__ import annotations

import base64
import gzip
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinhole.errors import HostError, UsageError
from pinhole.kernel.diff import MalformedDiff, parse_diff
from pinhole.kernel.mails import is_mail, read_mails
from pinhole.kernel.patches import Patch, digest, load_patches

CAPTURED = Path(__file__).parent / "captured" / "patches"
THREE = CAPTURED / "three-mails.mbox"
TITLES = [
    "mm/gup: name why a folio must move before a long-term pin",
    "mm/gup: count the long-term pins that migration refused",
    "mm/gup: refuse a long-term pin with EBUSY when migration fails",
]


class Notes:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def step(self, text: str) -> None:  # pragma: no cover - reading has no steps
        raise AssertionError(text)

    def note(self, text: str) -> None:
        self.texts.append(text)


def a_diff(path: str = "mm/a.c", old: str = "one", new: str = "two", prefix: bool = True) -> str:
    a, b = ("a/", "b/") if prefix else ("", "")
    return (
        f"diff --git {a}{path} {b}{path}\nindex 5626abf..814f4a4 100644\n"
        f"--- {a}{path}\n+++ {b}{path}\n@@ -1 +1 @@\n-{old}\n+{new}\n"
    )


def a_mail(
    subject: str,
    body: str = "",
    *,
    message_id: str | None = None,
    to: str = "",
    sender: str = "Zoe <zoe@example.org>",
    headers: str = "",
) -> str:
    identity = message_id or re.sub(r"\W+", "-", subject)
    answer = f"In-Reply-To: <{to}>\nReferences: <{to}>\n" if to else ""
    return (
        f"From zoe@example.org Wed Nov 25 09:00:11 2026\nFrom: {sender}\nSubject: {subject}\n"
        f"Date: Wed, 25 Nov 2026 09:00:11 +0000\nMessage-ID: <{identity}@example.org>\n"
        f"{answer}{headers}\n{body}\n\n"
    )


def a_patch_mail(subject: str, *, new: str = "two", to: str = "", path: str = "mm/a.c") -> str:
    body = f"Why.\n\n---\n mm/a.c | 2 +-\n\n{a_diff(path, new=new)}-- \n2.39.5\n"
    return a_mail(subject, body, to=to)


def write(folder: Path, text: str | bytes, name: str = "given") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def titles(*paths: Path, notes: Notes | None = None) -> list[str]:
    return [patch.title for patch in load_patches(paths, notes)]  # type: ignore[arg-type]


def refused(*paths: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_patches(paths)
    return str(caught.value)


# A thread as a list gives it.


def test_whole_thread_gives_the_series_in_its_order() -> None:
    patches = load_patches([THREE])
    assert [patch.title for patch in patches] == TITLES
    assert {patch.author for patch in patches} == {"Zoë Brûlé <zoe@example.org>"}
    assert [len(patch.changes[0].hunks) for patch in patches] == [3, 3, 2]
    assert all(change.paths == ("mm/gup.c",) for patch in patches for change in patch.changes)


def test_text_of_a_mailed_patch_is_its_diff_alone() -> None:
    for patch in load_patches([THREE]):
        assert patch.text.startswith(b"diff --git a/mm/gup.c b/mm/gup.c\n")
        assert b"2.39.5" not in patch.text  # the signature
        assert b"mailing list" not in patch.text  # the list's footer
        assert b"Only with CONFIG_CMA" not in patch.text  # code in an answer
    assert "« refusé »".encode() in load_patches([THREE])[1].text  # quoted-printable


def test_crlf_mbox_gives_the_same_patches(tmp_path: Path) -> None:
    crlf = write(tmp_path, THREE.read_bytes().replace(b"\n", b"\r\n"))
    assert digest(load_patches([crlf])) == digest(load_patches([THREE]))


def test_crlf_inside_base64_gives_the_same_patch(tmp_path: Path) -> None:
    body = f"Why.\n\n---\n{a_diff()}".replace("\n", "\r\n").encode()
    mail = a_mail(
        "[PATCH] mm: one",
        base64.encodebytes(body).decode(),
        headers="MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
        "Content-Transfer-Encoding: base64\n",
    )
    (patch,) = load_patches([write(tmp_path, mail)])
    assert patch.text == a_diff().encode()


def test_mail_without_numbers_is_a_series_of_one(tmp_path: Path) -> None:
    assert titles(write(tmp_path, a_patch_mail("[PATCH] mm: foo"))) == ["mm: foo"]


def test_line_that_begins_with_from_ends_no_mail(tmp_path: Path) -> None:
    body = f"From here on\n>From there\n\nFrom now on.\n---\n{a_diff()}-- \n2.39.5\n"
    assert titles(write(tmp_path, a_mail("[PATCH] mm: foo", body))) == ["mm: foo"]


def test_mbox_quoting_is_taken_off() -> None:
    text = a_mail("[PATCH] x", ">From one\n>>From two\n> From three").encode()
    (mail,) = read_mails(text)
    assert mail.raw.endswith(b"\nFrom one\n>From two\n> From three\n\n")


def test_attached_patch_is_taken(tmp_path: Path) -> None:
    (patch,) = load_patches([write(tmp_path, with_attachments("text/x-patch", a_diff()))])
    assert patch.text == a_diff().encode()


def with_attachments(kind: str, *diffs: str) -> str:
    parts = "".join(
        f"--limit\nContent-Type: {kind}; charset=us-ascii\n"
        f"Content-Disposition: attachment\n\n{diff}\n"
        for diff in diffs
    )
    return a_mail(
        "[PATCH] mm: attached",
        f"--limit\nContent-Type: text/plain\n\nSee there.\n\n{parts}--limit--\n",
        headers='MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="limit"\n',
    )


def test_attachment_that_b4_does_not_read_is_an_error(tmp_path: Path) -> None:
    message = refused(write(tmp_path, with_attachments("application/octet-stream", a_diff())))
    assert "application/octet-stream" in message and "save the attachment" in message


def test_html_beside_the_text_is_no_second_patch(tmp_path: Path) -> None:
    mail = with_attachments("text/html", a_diff()).replace("See there.", a_diff())
    (patch,) = load_patches([write(tmp_path, mail)])
    assert patch.text == a_diff().encode()


def test_declared_character_set_becomes_utf_8(tmp_path: Path) -> None:
    headers = "MIME-Version: 1.0\nContent-Type: text/plain; charset=ISO-8859-1\n"
    mail = a_mail("[PATCH] mm: x", f"---\n{a_diff(new='Zoë')}", headers=headers)
    (patch,) = load_patches([write(tmp_path, mail.encode("latin-1"))])
    assert patch.text == a_diff(new="Zoë").encode()


def test_bytes_of_no_character_set_are_an_error(tmp_path: Path) -> None:
    mail = a_mail("[PATCH] mm: x", f"---\n{a_diff(new='Zoë')}").encode("latin-1")
    assert "not in the character set" in refused(write(tmp_path, mail))


def test_two_attached_patches_have_no_order(tmp_path: Path) -> None:
    mail = with_attachments("text/x-patch", a_diff(), a_diff("mm/b.c"))
    assert "2 patches in one mail" in refused(write(tmp_path, mail))


def test_newest_version_is_taken_and_said(tmp_path: Path) -> None:
    mails = [
        a_patch_mail(f"[PATCH v{version} {number}/2] mm: {number}", new=f"v{version}{number}")
        for version in (3, 2)
        for number in (2, 1)
    ]
    notes = Notes()
    path = write(tmp_path, "".join(mails))
    patches = load_patches([path], notes)  # type: ignore[arg-type]
    assert [b"+v3" in patch.text for patch in patches] == [True, True]
    assert [patch.title for patch in patches] == ["mm: 1", "mm: 2"]
    assert notes.texts == [f"{path}: takes v3, the newest; there is v2 too"]


def test_faults_of_an_older_version_do_not_matter(tmp_path: Path) -> None:
    mails = [
        a_patch_mail("[PATCH 1/2] mm: 1", new="old"),
        a_patch_mail("[PATCH 1/2] mm: 1 too", to="-PATCH-1-2-mm-1@example.org"),
        a_patch_mail("[PATCH v2] mm: 1", to="-PATCH-1-2-mm-1@example.org", new="new"),
    ]
    (patch,) = load_patches([write(tmp_path, "".join(mails))])
    assert b"+new" in patch.text


def test_resent_part_of_a_series_is_completed_from_the_version_before(tmp_path: Path) -> None:
    mails = [
        a_mail("[PATCH 1/2] mm: 1", f"---\n{a_diff(new='old')}", message_id="one"),
        a_mail("[PATCH 2/2] mm: 2", f"---\n{a_diff('mm/b.c')}", to="one@example.org"),
        a_mail("[PATCH v2 1/2] mm: 1", f"---\n{a_diff(new='new')}", to="one@example.org"),
    ]
    one, two = load_patches([write(tmp_path, "".join(mails))])
    assert b"+new" in one.text and two.changes[0].paths == ("mm/b.c",)


def test_mail_that_came_twice_counts_once(tmp_path: Path) -> None:
    data = THREE.read_bytes()
    assert len(read_mails(data + data)) == len(read_mails(data)) == 6
    assert titles(write(tmp_path, data + data)) == TITLES


def test_answer_without_re_and_number_is_left_out_and_said(tmp_path: Path) -> None:
    first, second = a_patch_mail("[PATCH 1/2] mm: 1"), a_patch_mail("[PATCH 2/2] mm: 2", new="x")
    to = "-PATCH-1-2-mm-1@example.org"
    extra = a_patch_mail("[PATCH] mm: rather so", to=to, new="y")
    notes = Notes()
    assert titles(write(tmp_path, first + second + extra), notes=notes) == ["mm: 1", "mm: 2"]
    assert "leaves out '[PATCH] mm: rather so'" in notes.texts[0]


# Threads that are none.


def test_missing_patch_is_an_error(tmp_path: Path) -> None:
    mails = [a_patch_mail(f"[PATCH 0{n}/06] mm: {n}", new=str(n)) for n in (1, 2, 4, 5)]
    assert "3/6, 6/6 are missing" in refused(write(tmp_path, "".join(mails)))


def test_cover_letter_and_answers_alone_are_no_series(tmp_path: Path) -> None:
    cover = a_mail("[PATCH 0/3] mm: all", "What.\n\n 1 file changed, 1 insertion(+)")
    answer = a_mail("Re: [PATCH 1/3] mm: one", f"What about\n\n{a_diff()}")
    message = refused(write(tmp_path, cover + answer))
    assert "only a cover letter or answers, no patch among its 2 mails" in message


def test_several_series_are_listed(tmp_path: Path) -> None:
    mails = [
        a_patch_mail(f"[PATCH {number}/2] {room}: {number}", new=f"{room}{number}")
        for room in ("mm", "net")
        for number in (1, 2)
    ]
    message = refused(write(tmp_path, "".join(mails)))
    assert "holds several series" in message
    assert "[PATCH 1/2] mm: 1 (Zoe <zoe@example.org>)" in message
    assert "[PATCH 1/2] net: 1" in message


def test_two_different_patches_with_one_number_are_an_error(tmp_path: Path) -> None:
    mails = [
        a_patch_mail("[PATCH 1/2] mm: 1"),
        a_patch_mail("[PATCH 2/2] mm: 2", new="x", to="-PATCH-1-2-mm-1@example.org"),
        a_patch_mail("[PATCH 2/2] mm: 2b", new="y", to="-PATCH-1-2-mm-1@example.org"),
    ]
    message = refused(write(tmp_path, "".join(mails)))
    assert "'[PATCH 2/2] mm: 2' and '[PATCH 2/2] mm: 2b' are different patches" in message


def test_what_b4_refuses_comes_with_its_words(tmp_path: Path) -> None:
    body = f"Hidden \u202e turn.\n---\n{a_diff()}"
    mail = a_mail("[PATCH] mm: x", body, headers="Content-Type: text/plain; charset=UTF-8\n")
    message = refused(write(tmp_path, mail))
    assert "b4 cannot make a series of it" in message
    assert "suspicious unicode control characters" in message


# Files of git format-patch.


def one_by_one(folder: Path) -> list[Path]:
    """The three patches as git format-patch would leave them: one mail each, without an id."""
    return [
        write(
            folder,
            f"From 123 Mon Sep 17 00:00:00 2001\nFrom: Zoe <zoe@example.org>\n"
            f"Date: Wed, 25 Nov 2026 09:00:11 +0000\nSubject: [PATCH {number}/3] {patch.title}\n"
            f"\n---\n{patch.text.decode()}-- \n2.39.5\n\n",
            f"{number:04}.patch",
        )
        for number, patch in enumerate(load_patches([THREE]), start=1)
    ]


def test_files_of_one_series_are_ordered_by_number(tmp_path: Path) -> None:
    paths = one_by_one(tmp_path)
    patches = load_patches(list(reversed(paths)))
    assert [patch.title for patch in patches] == TITLES
    assert [patch.source for patch in patches] == paths
    assert digest(patches) == digest(load_patches([THREE]))


def test_mbox_of_mails_without_ids_is_one_series(tmp_path: Path) -> None:
    whole = b"".join(path.read_bytes() for path in one_by_one(tmp_path))
    assert titles(write(tmp_path, whole)) == TITLES


def test_missing_file_of_a_series_is_an_error(tmp_path: Path) -> None:
    first, _, last = one_by_one(tmp_path)
    message = refused(first, last)
    assert "2/3 is missing" in message and str(first) in message and str(last) in message


# Plain diffs and quilt.


def test_plain_diff_is_known_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, f"Some words about it.\n\n{a_diff()}", "README.txt")
    (patch,) = load_patches([path])
    assert (patch.title, patch.strip, patch.text) == ("README.txt", 1, a_diff().encode())


def test_diff_without_prefixes_is_stripped_of_nothing(tmp_path: Path) -> None:
    (patch,) = load_patches([write(tmp_path, a_diff(prefix=False))])
    assert patch.strip == 0 and patch.changes[0].paths == ("mm/a.c",)


def test_plain_diff_with_crlf_throughout_is_read(tmp_path: Path) -> None:
    (patch,) = load_patches([write(tmp_path, a_diff().replace("\n", "\r\n"))])
    assert patch.text == a_diff().encode()


def test_carriage_returns_of_the_file_itself_stay(tmp_path: Path) -> None:
    diff = a_diff(old="one\r", new="two\r")
    (patch,) = load_patches([write(tmp_path, diff)])
    assert patch.text == diff.encode()


def quilt(folder: Path, series: str, where: str = "") -> Path:
    write(folder, a_diff(), f"{where}one.patch")
    write(folder, a_diff(prefix=False, new="three"), f"{where}sub/two.diff")
    return write(folder, series, f"{where}series")


SERIES = "# first\n\none.patch\n  sub/two.diff -p0 # why\n"


@pytest.mark.parametrize("where", ["", "patches/"])
@pytest.mark.parametrize("named", ["series", "folder"])
def test_quilt_series_is_read(tmp_path: Path, where: str, named: str) -> None:
    series = quilt(tmp_path, SERIES, where)
    patches = load_patches([series if named == "series" else tmp_path])
    assert [(patch.title, patch.strip) for patch in patches] == [("one.patch", 1), ("two.diff", 0)]


def test_series_beside_its_patches_folder_is_read(tmp_path: Path) -> None:
    quilt(tmp_path, "", "patches/")
    assert len(load_patches([write(tmp_path, SERIES, "list-of-mine")])) == 2


def test_quilt_keeps_its_own_order_of_mailed_patches(tmp_path: Path) -> None:
    one_by_one(tmp_path)
    series = write(tmp_path, "0003.patch\n0001.patch\n", "series")
    assert titles(series) == [TITLES[2], TITLES[0]]


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ("one.patch\nmissing.patch\n", "series:2: the patch 'missing.patch' is not in"),
        ("one.patch -R\n", "series:1: the option '-R' is not known"),
        ("one.patch two three\n", "series:1: 'one.patch two three' is no line of a quilt series"),
        ("# nothing\n", "no patch in it"),
        ("one.patch\none.patch\n", "are the same; take one of them out"),
    ],
)
def test_wrong_quilt_series_is_an_error(tmp_path: Path, series: str, said: str) -> None:
    assert said in refused(quilt(tmp_path, series))


def test_thread_in_a_quilt_series_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, THREE.read_bytes(), "thread.patch")
    assert "each file is one patch" in refused(write(tmp_path, "thread.patch\n", "series"))


def test_same_patch_given_twice_is_an_error(tmp_path: Path) -> None:
    message = refused(write(tmp_path, a_diff(), "a"), write(tmp_path, a_diff(), "b"))
    assert f"'a' ({tmp_path}/a) and 'b' ({tmp_path}/b) are the same" in message


# What is no patch.


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"\x7fELF\0\0", "binary, no patch"),
        (gzip.compress(b"x", mtime=0), "compressed; unpack it first: gunzip"),
        (b"Dear all,\nhow are you?\n", "no patch in it"),
    ],
)
def test_junk_is_an_error_with_file_and_reason(tmp_path: Path, data: bytes, said: str) -> None:
    path = write(tmp_path, data)
    message = refused(path)
    assert message.startswith(f"{path}: ") and said in message


def test_missing_file_and_folder_without_series_are_errors(tmp_path: Path) -> None:
    assert "No such file or directory" in refused(tmp_path / "none.mbox")
    assert "a folder without a quilt series" in refused(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, a_diff())
    path.chmod(0)
    assert "Permission denied" in refused(path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace("-one\n", ""), "ends too early"),
        (lambda text: text.replace("+two\n", "+two\n+and more\n"), "more lines than its header"),
        (lambda text: text.replace("+two\n", "+two\nwrapped\n@@ -9 +9 @@\n-a\n+b\n"), "no file"),
        (lambda text: text.replace("@@ -1 +1 @@\n-one\n+two\n", ""), "names without a hunk"),
    ],
)
def test_damaged_diff_is_an_error(tmp_path: Path, damage: object, said: str) -> None:
    assert callable(damage)
    message = refused(write(tmp_path, damage(a_diff())))
    assert "is damaged: line" in message and said in message


def test_binary_change_without_content_is_an_error(tmp_path: Path) -> None:
    text = (
        "diff --git a/x.bin b/x.bin\nindex 1..2 100644\nBinary files a/x.bin and b/x.bin differ\n"
    )
    assert "git diff --binary" in refused(write(tmp_path, text))


# The digest.


def test_digest_is_of_content_and_order_alone(tmp_path: Path) -> None:
    here = load_patches([write(tmp_path, a_diff(), "one/a"), write(tmp_path, a_diff("x"), "one/b")])
    there = load_patches([write(tmp_path, a_diff(), "c"), write(tmp_path, a_diff("x"), "d")])
    assert digest(here) == digest(there)
    assert digest(here) != digest(here[::-1])
    assert digest(here) != digest(here[:1])
    assert digest(here) != digest([Patch(one.title, one.source, one.text, 0) for one in here])
    assert re.fullmatch(r"[0-9a-f]{64}", digest(()))


# Nothing else is ever raised.


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_parsers_take_any_bytes(data: bytes) -> None:
    if is_mail(data):
        read_mails(data)
    read_mails(b"From: a\nSubject: b\n" + data)
    try:
        parse_diff(b"diff --git a/x b/x\n" + data, 1)
    except MalformedDiff as error:
        assert str(error).startswith("line ")


@settings(deadline=None)
@given(st.text("\n -+@\\ax,1", max_size=60))
def test_diff_parser_says_what_is_wrong(text: str) -> None:
    try:
        changes = parse_diff(b"--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n" + text.encode(), 1)
    except MalformedDiff as error:
        assert re.match(r"line \d+ of the diff: ", str(error))
    else:
        assert changes[0].hunks[0].expected


# b4 stays at home.


SPY = """
import os, socket
def spied(*words, **more):
    with open(os.environ["SPY_LOG"], "a") as log:
        log.write(repr(words) + "\\n")
    raise OSError("no network in this test")
socket.getaddrinfo = socket.create_connection = socket.socket.connect = spied
socket.socket.sendto = spied
with open(os.environ["SPY_LOG"], "a") as log:
    log.write("began\\n")
"""


def test_b4_uses_no_network_and_nothing_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mails have DKIM signatures, and the user's git would have b4 look at these."""
    home, log = tmp_path / "home", tmp_path / "log"
    write(home, "[b4]\n\tattestation-policy = hardfail\n", ".gitconfig")
    write(tmp_path / "spy", SPY, "sitecustomize.py")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "spy"))
    monkeypatch.setenv("SPY_LOG", str(log))
    assert titles(THREE) == TITLES
    assert log.read_text() == "began\n"
    assert [path.name for path in home.iterdir()] == [".gitconfig"]


def test_missing_b4_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(HostError, match="pip install b4"):
        load_patches([THREE])

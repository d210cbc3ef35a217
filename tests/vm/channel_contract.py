# SPDX-License-Identifier: GPL-2.0-only
"""What every Channel must do; an implementation's test class inherits this.

It provides the fixture ``channel``, a fresh connection into a booted guest.
"""

from __future__ import annotations

import hashlib
import random
import re
import threading
import time

import pytest

from pinhole.errors import BudgetError, ChannelError, UsageError
from pinhole.guest.channel import STREAM_LIMIT_BYTES, Channel, Completed, GuestFileError
from pinhole.size import MIB

BUDGET = 20.0
ODD_NAMES = [
    "plain",
    "two words",
    'it\'s "quoted"',
    "new\nline",
    "-leading-dash",
    "*?[a]\\",
    "$HOME `id`; #",
    "ünïcödé",
]


def command_lines(channel: Channel) -> str:
    """The command lines of all processes in the guest, words separated by spaces."""
    shell = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
    return channel.run(["sh", "-c", shell], budget=BUDGET).text


class ChannelContract:
    """Behaviour that nothing above ``guest/`` may find different between implementations."""

    def test_binary_data_goes_through_both_ways(self, channel: Channel) -> None:
        data = random.Random(1).randbytes(300_001)
        done = channel.run(["cat"], stdin=data, budget=BUDGET)
        assert (done.status, done.signal) == (0, None)
        assert done.stdout == data
        assert not done.stdout_truncated

    def test_large_stdin_arrives_whole(self, channel: Channel) -> None:
        data = random.Random(2).randbytes(2 * MIB)
        done = channel.run(["sha256sum"], stdin=data, budget=BUDGET)
        assert done.text.split()[0] == hashlib.sha256(data).hexdigest()

    def test_stdin_that_nobody_reads_is_no_failure(self, channel: Channel) -> None:
        assert channel.run(["true"], stdin=bytes(MIB), budget=BUDGET).status == 0

    def test_stdout_and_stderr_are_kept_apart(self, channel: Channel) -> None:
        done = channel.run(["sh", "-c", "echo out; echo err >&2"], budget=BUDGET)
        assert (done.stdout, done.stderr) == (b"out\n", b"err\n")

    @pytest.mark.parametrize("status", [0, 1, 7, 143, 255])
    def test_exit_status_is_told(self, channel: Channel, status: int) -> None:
        done = channel.run(["sh", "-c", f"exit {status}"], budget=BUDGET)
        assert (done.status, done.signal) == (status, None)

    @pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV"])
    def test_signal_that_ended_it_is_told(self, channel: Channel, name: str) -> None:
        done = channel.run(["sh", "-c", f"kill -{name} $$"], budget=BUDGET)
        assert (done.status, done.signal) == (None, name)

    def test_missing_program_is_status_127(self, channel: Channel) -> None:
        assert channel.run(["no-such-program"], budget=BUDGET).status == 127

    @pytest.mark.parametrize("word", ODD_NAMES)
    def test_words_arrive_as_they_were_given(self, channel: Channel, word: str) -> None:
        done = channel.run(["printf", "%s|", "a", word, ""], budget=BUDGET)
        assert done.text == f"a|{word}||"

    def test_a_nul_in_a_word_is_refused(self, channel: Channel) -> None:
        with pytest.raises(UsageError, match="NUL"):
            channel.run(["echo", "a\0b"], budget=BUDGET)

    def test_invalid_utf8_arrives_as_bytes(self, channel: Channel) -> None:
        done = channel.run(["printf", r"\377\376ok"], budget=BUDGET)
        assert done.stdout == b"\xff\xfeok"
        assert done.text == "��ok"

    def test_output_over_the_limit_is_cut_and_marked(self, channel: Channel) -> None:
        began = time.monotonic()
        done = channel.run(["dd", "if=/dev/zero", "bs=64k", "count=384"], budget=60.0)
        assert (len(done.stdout), done.stdout_truncated) == (STREAM_LIMIT_BYTES, True)
        assert not done.stderr_truncated
        assert done.status == 0
        assert time.monotonic() - began < 60.0

    def test_budget_ends_the_process_and_what_it_started(self, channel: Channel) -> None:
        with pytest.raises(BudgetError, match=r"sleep 1001.*1 s.*was killed"):
            channel.run(["sh", "-c", "sleep 1001 & sleep 1002"], budget=1.0)
        assert not re.search(r"sleep 100[12]", command_lines(channel))

    def test_budget_is_kept_while_output_streams(self, channel: Channel) -> None:
        began = time.monotonic()
        with pytest.raises(BudgetError, match="yes"):
            channel.run(["yes"], budget=1.5)
        assert time.monotonic() - began < 6.0
        assert "yes " not in command_lines(channel)

    def test_two_commands_run_at_once(self, channel: Channel) -> None:
        ended: list[Completed] = []

        def run(text: str) -> None:
            ended.append(channel.run(["sh", "-c", f"sleep 1; echo {text}"], budget=BUDGET))

        threads = [threading.Thread(target=run, args=(text,)) for text in ("a", "b")]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 1.9
        assert sorted(done.text for done in ended) == ["a\n", "b\n"]

    def test_spawned_process_talks_in_lines(self, channel: Channel) -> None:
        shell = 'echo ready; read a; echo "got $a"; printf "no newline"; exit 3'
        with channel.spawn(["sh", "-c", shell], budget=BUDGET) as process:
            assert process.read_line(BUDGET) == "ready"
            process.write(b"word\n", budget=BUDGET)
            assert process.read_line(BUDGET) == "got word"
            assert process.read_line(BUDGET) == "no newline"
            assert process.read_line(BUDGET) is None
            assert process.wait(BUDGET).status == 3

    def test_spawned_process_sees_the_end_of_its_input(self, channel: Channel) -> None:
        with channel.spawn(["wc", "-c"], budget=BUDGET) as process:
            process.write(b"12345", budget=BUDGET)
            process.close_stdin()
            assert process.read_line(BUDGET) == "5"
            with pytest.raises(ChannelError, match="no more input"):
                process.write(b"6", budget=BUDGET)

    def test_a_line_that_does_not_come_leaves_the_process(self, channel: Channel) -> None:
        with channel.spawn(["sh", "-c", "sleep 1; echo late"], budget=BUDGET) as process:
            with pytest.raises(BudgetError, match="a line of"):
                process.read_line(0.2)
            assert process.read_line(BUDGET) == "late"

    def test_a_line_without_end_is_an_error(self, channel: Channel) -> None:
        argv = ["dd", "if=/dev/zero", "bs=64k"]
        with (
            channel.spawn(argv, budget=BUDGET) as process,
            pytest.raises(ChannelError, match="a line of over"),
        ):
            process.read_line(60.0)

    def test_spawned_process_can_be_signalled(self, channel: Channel) -> None:
        shell = "trap 'echo usr1; exit 4' USR1; echo ready; while :; do sleep 0.1; done"
        with channel.spawn(["sh", "-c", shell], budget=BUDGET) as process:
            assert process.read_line(BUDGET) == "ready"
            process.signal("USR1", budget=BUDGET)
            assert process.read_line(BUDGET) == "usr1"
            assert process.wait(BUDGET).status == 4
            process.signal("TERM", budget=BUDGET)

    def test_a_signal_that_does_not_exist_is_refused(self, channel: Channel) -> None:
        with (
            channel.spawn(["sleep", "1003"], budget=BUDGET) as process,
            pytest.raises(UsageError, match="names no signal"),
        ):
            process.signal("HUPP; reboot", budget=BUDGET)

    def test_pid_is_the_process_itself(self, channel: Channel) -> None:
        with channel.spawn(["sleep", "1004"], budget=BUDGET) as process:
            path = f"/proc/{process.pid}/cmdline"
            assert channel.read(path, budget=BUDGET) == b"sleep\x001004\x00"

    def test_killed_process_is_gone(self, channel: Channel) -> None:
        with channel.spawn(["sleep", "1005"], budget=BUDGET) as process:
            process.kill()
            assert process.wait(BUDGET).signal == "KILL"
        assert "sleep 1005" not in command_lines(channel)

    def test_leaving_the_block_ends_the_process(self, channel: Channel) -> None:
        with (
            pytest.raises(ZeroDivisionError),
            channel.spawn(["sh", "-c", "trap '' TERM; sleep 1006 & sleep 1007"], budget=BUDGET),
        ):
            raise ZeroDivisionError
        assert not re.search(r"sleep 100[67]", command_lines(channel))

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_files_of_any_name_and_content(self, channel: Channel, name: str) -> None:
        data = random.Random(3).randbytes(100_000)
        channel.write(f"/tmp/{name}", data, budget=BUDGET)
        assert channel.read(f"/tmp/{name}", budget=BUDGET) == data
        channel.write(f"/tmp/{name}", b"", budget=BUDGET)
        assert channel.read(f"/tmp/{name}", budget=BUDGET) == b""

    def test_missing_file_is_enoent(self, channel: Channel) -> None:
        with pytest.raises(GuestFileError, match="/tmp/missing") as raised:
            channel.read("/tmp/missing", budget=BUDGET)
        assert raised.value.errno_name == "ENOENT"

    def test_write_without_a_folder_is_enoent(self, channel: Channel) -> None:
        with pytest.raises(GuestFileError) as raised:
            channel.write("/tmp/none/x", b"x", budget=BUDGET)
        assert raised.value.errno_name == "ENOENT"

    def test_value_that_sysfs_refuses_is_einval(self, channel: Channel) -> None:
        with pytest.raises(GuestFileError) as raised:
            channel.write("/sys/devices/system/memory/memory0/state", b"sideways", budget=BUDGET)
        assert raised.value.errno_name == "EINVAL"

    def test_file_over_the_limit_is_an_error(self, channel: Channel) -> None:
        channel.write("/tmp/long", bytes(1001), budget=BUDGET)
        with pytest.raises(GuestFileError, match="1000 bytes") as raised:
            channel.read("/tmp/long", budget=BUDGET, limit_bytes=1000)
        assert raised.value.errno_name == "EFBIG"

    def test_many_files_at_once(self, channel: Channel) -> None:
        globs = ["/proc/vmstat", "/sys/devices/system/memory/memory[0-9]*/state", "/tmp/missing"]
        found = channel.read_many(globs, budget=BUDGET)
        assert found.boottime > 0
        assert "nr_free_pages " in found.texts()["/proc/vmstat"]
        assert found.texts()["/sys/devices/system/memory/memory0/state"] == "online\n"
        assert "/tmp/missing" not in found.texts()

    def test_connection_that_breaks_is_a_channel_error(self, channel: Channel) -> None:
        with pytest.raises(ChannelError):
            channel.run(["sh", "-c", "kill -KILL $PPID; sleep 1008"], budget=BUDGET)

    def test_how_it_ended_stays_known(self, channel: Channel) -> None:
        with channel.spawn(["sh", "-c", "exit 5"], budget=BUDGET) as process:
            pass
        channel.run(["true"], budget=BUDGET)
        assert process.wait(BUDGET).status in (5, None)
        with channel.spawn(["sh", "-c", "exit 6"], budget=BUDGET) as process:
            assert process.wait(BUDGET).status == 6
        channel.run(["true"], budget=BUDGET)
        assert process.wait(BUDGET).status == 6

    def test_closing_twice_is_fine_and_ends_it(self, channel: Channel) -> None:
        channel.close()
        channel.close()
        with pytest.raises(ChannelError):
            channel.run(["true"], budget=BUDGET)

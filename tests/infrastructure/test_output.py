"""Lines come whole and in order, whatever the bytes are and however they come; nothing is lost, nobody is blocked."""

from __future__ import annotations

import hashlib
import os
from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import memory_stream_one_way_pair

from tests.infrastructure.conftest import SECONDS, python
from trioflow.errors import StoreFull
from trioflow.infrastructure.infrastructure import Command, ExitReport, OutputLine
from trioflow.infrastructure.output import LONGEST_LINE, LineSplitter, Output
from trioflow.infrastructure.process import ProcessInfrastructure

LONGEST = 5
out = partial(OutputLine, "stdout")


def split(data: bytes, sizes: list[int], longest: int = LONGEST) -> list[OutputLine]:
    splitter = LineSplitter("stdout", longest)
    found = []
    for size in sizes:
        found += splitter.feed(data[:size])
        data = data[size:]
    return found + splitter.feed(data) + splitter.end()


def joined(lines: list[OutputLine]) -> str:
    return "".join(line.text + ("" if line.goes_on else "\n") for line in lines)


texts = st.text(st.sampled_from("aé€😀\n\r\0"), max_size=60)
cuts = st.lists(st.integers(0, 9), max_size=30)


@given(texts, cuts)
def test_text_comes_back_as_it_was_and_no_piece_is_too_long(text, sizes):
    lines = split(text.encode(), sizes)

    assert joined(lines) == (text if text.endswith("\n") or not text else text + "\n")
    assert max((len(line.text.encode()) for line in lines), default=0) <= LONGEST


@given(st.binary(max_size=60), cuts)
def test_how_the_bytes_come_makes_no_difference(data, sizes):
    assert split(data, sizes) == split(data, [])


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [out("")]),
        (b"one\ntwo", [out("one"), out("two")]),
        (b"12345\n", [out("12345")]),
        (b"123456\n", [out("12345", goes_on=True), out("6")]),
        ("1234é\n".encode(), [out("1234", goes_on=True), out("é")]),
        (b"\xff\xfeab\n", [out("��ab")]),
        (b"\x80" * 7 + b"\n", [out("�" * 5, goes_on=True), out("��")]),
    ],
)
def test_lines_are_cut_where_they_are_too_long_and_never_amid_a_character(data, lines):
    assert split(data, []) == lines


async def test_the_process_is_held_up_while_the_sink_waits():
    taken = []
    go_on = trio.Event()

    async def sink(lines):
        taken.extend(lines)
        await go_on.wait()

    send, receive = memory_stream_one_way_pair()
    other_send, other = memory_stream_one_way_pair()
    output = Output(sink)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(output.pump, receive, other)
        await send.send_all(b"first\n")
        await trio.testing.wait_all_tasks_blocked()
        await send.send_all(b"second\n")
        await other_send.send_all(b"third\n")
        await trio.testing.wait_all_tasks_blocked()
        assert taken == [out("first")]
        go_on.set()
        await send.aclose()
        await other_send.aclose()

    assert output.complete
    assert sorted(line.text for line in taken) == ["first", "second", "third"]


FLOOD = """
import os, threading
def write(fd, seed):
    line = ("%d é€😀 " % seed).encode() * 250_000
    for i in range(4):
        os.write(fd, b"%d:" % i)
        view = memoryview(line + b"\\n" * (i % 2) + b"x\\n" * 1000)
        while view:
            view = view[os.write(fd, view):]
    os.write(fd, b"the end")
threads = [threading.Thread(target=write, args=(fd, fd)) for fd in (1, 2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def flood(fd: int) -> str:
    line = f"{fd} é€😀 " * 250_000
    return "".join(f"{i}:" + line + "\n" * (i % 2) + "x\n" * 1000 for i in range(4)) + "the end\n"


async def test_twenty_megabytes_on_both_pipes_arrive_as_they_were(start):
    started = await start(*python(FLOOD))

    assert await started.wait() == ExitReport(status=0)
    for fd, stream in ((1, "stdout"), (2, "stderr")):
        lines = [line for line in started.lines if line.stream == stream]
        assert _digest(joined(lines)) == _digest(flood(fd))
        assert max(len(line.text.encode()) for line in lines) <= LONGEST_LINE


def _digest(text: str) -> tuple[int, str]:
    return len(text), hashlib.sha256(text.encode()).hexdigest()


MUTE = """
import os
os.write(1, b"before\\n")
os.close(1)
os.close(2)
os.read(int(os.environ["TRIOFLOW__LINK_FD"]), 9)
os._exit(4)
"""


async def test_a_process_that_closes_its_output_goes_on(start):
    started = await start(*python(MUTE))
    await started.wait_said("before")

    async with started.process.take_link() as link:
        await link.send_all(b"go on")

    assert await started.wait() == ExitReport(status=4)


async def test_output_that_somebody_else_keeps_open_is_waited_for_so_long_and_no_longer(start):
    started = await start("sh", "-c", "echo before; exec sleep 999", drain=0.1)
    await started.wait_said("before")

    held = os.open(f"/proc/{started.process.pid}/fd/1", os.O_WRONLY)
    started.process.request_stop(0)
    report = await started.wait()
    os.close(held)

    assert report == ExitReport(status=-15, output_complete=False)


async def test_a_stuck_sink_does_not_keep_a_process_that_is_over(environment):
    report = []

    async def stuck(lines):
        await trio.sleep_forever()

    with trio.fail_after(SECONDS):
        command = Command(argv=("echo", "hello"), environment=environment)
        report.append(await ProcessInfrastructure(drain_seconds=0.1).run(command, stuck))

    assert report == [ExitReport(status=0, output_complete=False)]


async def test_a_process_outlives_a_sink_that_raises_and_its_report_says_so(environment, caplog):
    async def full(lines):
        raise StoreFull

    command = Command(argv=("sh", "-c", "echo one; echo two >&2; exit 6"), environment=environment)
    with trio.fail_after(SECONDS):
        report = await ProcessInfrastructure().run(command, full)

    assert report == ExitReport(status=6, output_complete=False)
    assert [record.message for record in caplog.records] == [
        "what a process writes cannot be handed on, and is lost from here on"
    ]


async def test_the_last_words_of_a_process_whose_owner_is_cancelled_are_heard(start):
    started = await start(
        "sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done", grace=5
    )
    await started.wait_said("ready")

    started.scope.cancel()

    assert await started.wait() == ExitReport(status=3)
    assert started.said() == ["ready", "bye"]

"""Output: what a process writes is in its run's log, whole and in order, whatever the store does."""

from __future__ import annotations

import logging
import sys

import pytest
import trio
from attrs import define, field

from tests.runner.conftest import Notes
from trioflow.core.states import StateType
from trioflow.errors import StoreError
from trioflow.infrastructure.infrastructure import OutputLine
from trioflow.runner.output import OutputLog

SPEAKS = """
from trioflow import get_run_logger
import sys

@flow
async def f():
    for number in range(2_000):
        get_run_logger().info("said %d", number)
        print("out", number)
        print("err", number, file=sys.stderr)
    print("no line end", end="")
"""


@pytest.mark.promise("P16")
@pytest.mark.behaviour("PR-01")
async def test_all_that_a_run_says_and_writes_before_its_exit_is_stored_in_order(start, books):
    watched = await start(SPEAKS)
    assert (await watched.wait()).type is StateType.COMPLETED

    run_id = watched.run.id
    numbers = range(2_000)
    said = [message for message in await books.said(run_id) if message.startswith("said ")]
    assert said == [f"said {number}" for number in numbers]
    out, err = await books.logs(run_id, "stdout"), await books.logs(run_id, "stderr")
    assert [record.message for record in out] == [*(f"out {number}" for number in numbers), "no line end"]
    assert [record.message for record in err] == [f"err {number}" for number in numbers]
    assert {record.level for record in out} == {logging.INFO}
    assert {record.level for record in err} == {logging.WARNING}


WRITES_AND_DIES = """
@flow
async def f():
    for number in range(100):
        print(number)
    os.write(1, b"last\\xff words")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.promise("P16")
async def test_what_a_process_that_was_killed_had_written_is_stored(start, books):
    watched = await start(WRITES_AND_DIES)
    assert (await watched.wait()).type is StateType.CRASHED
    assert await books.said(watched.run.id, "stdout") == [
        *map(str, range(100)),
        "last\N{REPLACEMENT CHARACTER} words",
    ]


WRITES_MUCH = (
    "import sys; [print(number, 'x' * 90) for number in range(50_000)]; sys.stdout.write('y' * 300_000)"
)


@pytest.mark.promise("P16")
async def test_megabytes_of_output_arrive_whole_and_a_long_line_in_pieces(start, books):
    watched = await start(program=[sys.executable, "-c", WRITES_MUCH])
    await watched.wait()

    lines = [line.text for line in watched.notes.lines]
    assert lines[:50_000] == [f"{number} {'x' * 90}" for number in range(50_000)]
    assert "".join(lines[50_000:]) == "y" * 300_000
    assert await books.said(watched.run.id, "stdout") == lines


# --- a store that does not take it


@define(eq=False)
class Refusing:
    """A client that refuses logs while it is told to."""

    refuses: bool = True
    asked: int = 0
    taken: list[str] = field(factory=list)

    async def call(self, endpoint, request):
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.refuses:
            raise StoreError("the disk is full")
        self.taken += [record.message for record in request.records]


def lines(*texts):
    return [OutputLine("stdout", text) for text in texts]


async def test_a_process_is_held_up_while_the_store_does_not_take_its_output(books, nursery, autojump_clock):
    client = Refusing()
    log = OutputLog(await books.claimed(), client, Notes())
    nursery.start_soon(log.take, lines("one", "two\0"))
    await trio.sleep(10)
    assert client.taken == []
    client.refuses = False
    await trio.sleep(2)
    assert client.taken == ["one", "two\\x00"]


async def test_a_store_that_never_takes_it_holds_nobody_up_for_ever_and_what_is_missing_is_counted(
    books, autojump_clock
):
    client, notes = Refusing(), Notes()
    log = OutputLog(await books.claimed(), client, notes)
    await log.take(lines("one", "two"))
    asked = client.asked
    await log.take(lines("three"))
    assert client.asked == asked + 1
    client.refuses = False
    await log.take(lines("four"))
    await log.take(lines("five"))

    missing = "3 lines of output are missing here: the store did not take them"
    assert client.taken == [missing, "four", "five"]
    assert [line.text for line in notes.lines] == ["one", "two", "three", "four", "five"]

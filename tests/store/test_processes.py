"""Several processes in one home: none hears of a lock, none loses what it was answered, a forked one is told."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice

import pytest
import trio

from tests.store.ledger import LEDGER, entered
from trioflow.store.sqlite import open_sqlite

WRITE = """
import os, sys, trio
from tests.store.ledger import LEDGER, enter
from trioflow.store.sqlite import open_sqlite

async def main(path, writer, tasks, rounds):
    store = await open_sqlite(path, migrations=LEDGER)

    async def write(task):
        for number in range(rounds):
            name = f"{writer}-{task}-{number}"
            await store.coalesce(enter, name)
            os.write(1, f"{name}\\n".encode())

    async with trio.open_nursery() as nursery:
        for task in range(tasks):
            nursery.start_soon(write, task)
    await store.aclose()

trio.run(main, sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
"""


def command(path, writer, tasks, rounds):
    return [sys.executable, "-c", WRITE, str(path), str(writer), str(tasks), str(rounds)]


async def in_ledger(path):
    store = await open_sqlite(path, migrations=LEDGER)
    names = await store.read(entered)
    assert await store.read(lambda tx: tx.execute("PRAGMA integrity_check")) == [("ok",)]
    assert store.last_change() == len(names)
    await store.aclose()
    return names


async def test_six_processes_write_one_home(path):
    written = {}

    async def write(writer):
        process = await trio.run_process(
            command(path, writer, 4, 25), capture_stdout=True, capture_stderr=True
        )
        written[writer] = (process.stdout.decode().split(), process.stderr)

    async with trio.open_nursery() as nursery:
        for writer in range(6):
            nursery.start_soon(write, writer)
    assert [errors for _, errors in written.values()] == [b""] * 6
    names = sorted(name for names, _ in written.values() for name in names)
    assert len(names) == 600
    assert sorted(await in_ledger(path)) == names


def write_until_killed(path, writer, tasks, names):
    """What a process told of as answered, which is killed after so many names."""
    with subprocess.Popen(
        command(path, writer, tasks, 100_000), stdout=subprocess.PIPE, text=True
    ) as process:
        told = list(islice(process.stdout, names))
        process.kill()
        told += process.stdout
    return {name.strip() for name in told if name.endswith("\n")}


@pytest.mark.parametrize("tasks", [1, 20])
async def test_a_killed_writer_loses_nothing_that_it_was_answered(path, tasks):
    answered = set()
    for life in range(3):
        answered |= write_until_killed(path, life, tasks, 100 + 37 * life)
        assert answered <= set(await in_ledger(path))
    assert len(answered) > 300


FORGET = """
import sys, trio
from tests.store.ledger import LEDGER, entering
from trioflow.store.sqlite import open_sqlite

async def main():
    store = await open_sqlite(sys.argv[1], migrations=LEDGER)
    store.every(0.0001, lambda tx: None)
    await store.transact(entering("a"))
    return store

store = trio.run(main)
"""


async def test_a_store_that_nobody_closed_holds_no_process_up_and_loses_nothing(path):
    process = await trio.run_process([sys.executable, "-c", FORGET, str(path)], capture_stderr=True)
    assert process.stderr == b""
    assert await in_ledger(path) == ["a"]


FORK = """
import os, sys, trio
from tests.store.ledger import LEDGER, entered, entering
from trioflow.errors import StoreForked
from trioflow.store.sqlite import open_sqlite

def refused(call):
    try:
        call()
    except StoreForked:
        return True

async def main():
    store = await open_sqlite(sys.argv[1], migrations=LEDGER)
    await store.transact(entering("a"))
    await store.read(entered)
    if not (child := os.fork()):
        calls = (
            lambda: store.transact(entering("b")).send(None),
            lambda: store.read(entered).send(None),
            lambda: store.wait_for_change(0).send(None),
            lambda: store.every(1, entered),
        )
        answers = [refused(call) for call in calls]
        os._exit(0 if answers == [True] * 4 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    await store.transact(entering("c"))
    await store.aclose()

trio.run(main)
"""

FORK_AND_OPEN = """
import os, sys, trio
from tests.store.ledger import LEDGER, entering
from trioflow.errors import StoreForked
from trioflow.store.sqlite import open_sqlite

async def main(path, there):
    store = await open_sqlite(path, migrations=LEDGER)
    await store.transact(entering(there))
    return store

store = trio.run(main, sys.argv[1], "parent")
if child := os.fork():
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
trio.run(main, sys.argv[1] + ".other", "child")
try:
    trio.run(main, sys.argv[1], "child")
except StoreForked as refusal:
    print(refusal)
del store
"""


async def run_forking(script, path):
    return await trio.run_process(
        [sys.executable, "-W", "ignore", "-c", script, str(path)], capture_stdout=True, capture_stderr=True
    )


async def test_a_forked_child_has_no_store_and_its_parent_goes_on(path):
    process = await run_forking(FORK, path)
    assert process.stderr == b""
    assert await in_ledger(path) == ["a", "c"]


async def test_a_forked_child_cannot_open_its_parents_database_but_another_one(path):
    process = await run_forking(FORK_AND_OPEN, path)
    assert process.stdout.decode().startswith("A forked child has no store")
    assert await in_ledger(path) == ["parent"]
    assert await in_ledger(f"{path}.other") == ["child"]

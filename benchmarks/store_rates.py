"""What the store costs beside a bare SQLite log, and how fairly processes share one home. Prints JSON lines.

Each item writes three rows. Times are wall clock: look at ratios of one run on a quiet machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import apsw
import trio

from trioflow.store.migrate import Migration
from trioflow.store.sqlite import open_memory, open_sqlite
from trioflow.store.store import Durability, Store, Tx

TABLE = "CREATE TABLE log (id INTEGER PRIMARY KEY, item INTEGER, place INTEGER)"
FEED = "CREATE TABLE feed (number INTEGER NOT NULL); INSERT INTO feed VALUES (0);"
MIGRATIONS = [Migration(1, "log", f"{TABLE}; {FEED}")]
INSERT = "INSERT INTO log (item, place) VALUES (?, ?)"
WRITERS = 6


def report(what: str, **figures: float | list[int]) -> None:
    """Prints one line."""
    print(json.dumps({"what": what, **figures}), flush=True)


def write(tx: Tx, items: Sequence[int]) -> Sequence[int]:
    """The judge: three rows an item."""
    tx.executemany(INSERT, [(item, place) for item in items for place in range(3)])
    return items


def bare_log(path: Path, items: int) -> list[float]:
    """Seconds an item, each in a synced transaction of its own, with nothing around it."""
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute(TABLE).fetchall()
    seconds = []
    for item in range(items):
        start = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE").fetchall()
        connection.executemany(INSERT, [(item, place) for place in range(3)]).fetchall()
        connection.execute("COMMIT").fetchall()
        seconds.append(time.perf_counter() - start)
    connection.close()
    return seconds


async def one_by_one(store: Store, items: int, durability: Durability) -> list[float]:
    """Seconds an item, each asked for when the one before it was answered."""
    seconds = []
    for item in range(items):
        start = time.perf_counter()
        await store.coalesce(write, item, durability=durability)
        seconds.append(time.perf_counter() - start)
    return seconds


async def all_at_once(store: Store, tasks: int, each: int, busy: float) -> tuple[float, float]:
    """Items a second, and items a transaction, if every task computes for ``busy`` seconds before each item."""
    batches = 0

    def counted(tx: Tx, items: Sequence[int]) -> Sequence[int]:
        nonlocal batches
        batches += 1
        return write(tx, items)

    async def work() -> None:
        for item in range(each):
            until = time.perf_counter() + busy
            while time.perf_counter() < until:
                pass
            await store.coalesce(counted, item)

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(work)
    return tasks * each / (time.perf_counter() - start), tasks * each / batches


async def one_process(folder: Path) -> None:
    """What one process gets, alone on its home."""
    memory, store = (
        open_memory(migrations=MIGRATIONS),
        await open_sqlite(folder / "log.db", migrations=MIGRATIONS),
    )
    for round_ in range(3):
        bare = median(bare_log(folder / f"bare{round_}.db", 500)) * 1e3
        for name, place, durability in (
            ("file, SYNCED", store, Durability.SYNCED),
            ("file, RELAXED", store, Durability.RELAXED),
            ("memory", memory, Durability.SYNCED),
        ):
            cpu = time.process_time()
            each = median(await one_by_one(place, 500, durability)) * 1e3
            cpu = (time.process_time() - cpu) / 500 * 1e3
            report(
                f"one by one, {name}",
                ms=round(each, 3),
                cpu_ms=round(cpu, 3),
                times_bare=round(each / bare, 2),
            )
    for busy in (0, 50e-6, 150e-6):
        rate, length = await all_at_once(store, 1000, 10, busy)
        report(
            f"1,000 tasks, {busy * 1e6:.0f} us of Python an item",
            items_s=round(rate),
            items_a_commit=round(length),
        )
    await store.aclose()
    await memory.aclose()


async def write_for(path: str, seconds: float) -> None:
    """A process of its own: as many commits as it can, one by one."""
    store = await open_sqlite(path, migrations=MIGRATIONS)
    print("ready", flush=True)
    await trio.to_thread.run_sync(sys.stdin.readline)
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        latencies += await one_by_one(store, 1, Durability.SYNCED)
    print(json.dumps([len(latencies), sorted(latencies)[int(len(latencies) * 0.99)]]), flush=True)
    await store.aclose()


def several_processes(path: Path, seconds: float) -> None:
    """What each of several processes gets that write one home as fast as they can."""
    command = [sys.executable, __file__, str(path), str(seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(WRITERS)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [json.loads(process.communicate()[0]) for process in processes]
    report(
        f"{WRITERS} processes",
        commits_s=round(sum(count for count, _ in results) / seconds),
        each=sorted(count for count, _ in results),
        p99_ms=round(max(p99 for _, p99 in results) * 1e3, 1),
    )


def main() -> None:
    """Run all of it, or one of the several processes."""
    if sys.argv[1:]:
        trio.run(write_for, sys.argv[1], float(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        trio.run(partial(one_process, Path(folder)))
        for seconds in (3.0, 3.0):
            several_processes(Path(folder) / f"shared{seconds}.db", seconds)


main()

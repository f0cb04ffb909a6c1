"""What trioflow costs beside a bare SQLite log. Each call prints one JSON line.

    python benchmarks/bench.py {sequential|concurrent|empty-flow|import|bare-log} --n N [--group G]
    python benchmarks/bench.py {serve-latency|cancel-latency|served-tasks|served-runs} --n N

Every run has a fresh home of its own. ``bare-log`` is the yardstick: the same rows with the same durability, written
by hand, ``--group`` tasks in each transaction (1 beside sequential, 100 beside concurrent).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    """Run one benchmark and print its line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--n", type=int, default=1000, help="how many items")
    parser.add_argument("--group", type=int, default=1, help="bare-log: tasks in one transaction")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(TRIOFLOW_HOME=home, TRIOFLOW_LOG_LEVEL="WARNING")
        seconds, cpu = BENCHMARKS[given.name](given.n, given.group)
    line = {
        "name": given.name,
        "n": given.n,
        "seconds": round(seconds, 4),
        "per_item_ms": round(seconds / given.n * 1e3, 4),
        "cpu_ms_per_item": round(cpu / given.n * 1e3, 4),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print(json.dumps(line))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds (all threads) that ``work`` took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def sequential(n: int, _group: int) -> tuple[float, float]:
    """One flow that awaits n no-op tasks, one after the other."""
    import trio

    from trioflow import flow, task

    @task
    async def nothing(i: int) -> int:
        return i

    @flow
    async def one_by_one() -> tuple[float, float]:
        await nothing(-1)
        wall, cpu = time.perf_counter(), time.process_time()
        for i in range(n):
            await nothing(i)
        return time.perf_counter() - wall, time.process_time() - cpu

    return trio.run(one_by_one)


def concurrent(n: int, _group: int) -> tuple[float, float]:
    """One flow that submits n no-op tasks at once and awaits them all."""
    import trio

    from trioflow import flow, task

    @task
    async def nothing(i: int) -> int:
        return i

    @flow
    async def all_at_once() -> tuple[float, float]:
        await nothing(-1)
        wall, cpu = time.perf_counter(), time.process_time()
        for future in [nothing.submit(i) for i in range(n)]:
            await future
        return time.perf_counter() - wall, time.process_time() - cpu

    return trio.run(all_at_once)


def empty_flow(n: int, _group: int) -> tuple[float, float]:
    """N flow runs that do nothing, one after the other, in one process."""
    import trio

    from trioflow import flow

    @flow
    async def empty() -> None:
        pass

    async def many() -> tuple[float, float]:
        await empty()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(n):
            await empty()
        return time.perf_counter() - wall, time.process_time() - cpu

    return trio.run(many)


def import_(n: int, _group: int) -> tuple[float, float]:
    """``from trioflow import flow, task`` in n fresh interpreters, less what an empty interpreter takes."""

    def starts(code: str) -> tuple[float, float]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall, _ = timed(lambda: [subprocess.run([sys.executable, "-c", code], check=True) for _ in range(n)])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    starts("from trioflow import flow, task")
    (wall, cpu), (empty_wall, empty_cpu) = starts("from trioflow import flow, task"), starts("")
    trio_wall, _ = starts("import trio")
    print(
        json.dumps(
            {"name": "import-trio", "n": n, "per_item_ms": round((trio_wall - empty_wall) / n * 1e3, 2)}
        ),
        file=sys.stderr,
    )
    return wall - empty_wall, cpu - empty_cpu


def bare_log(n: int, group: int) -> tuple[float, float]:
    """N tasks' rows written by hand: begin without fsync, end with one, ``group`` tasks a transaction."""
    log = BareLog(Path(os.environ["TRIOFLOW_HOME"]) / "log.db")

    def write() -> None:
        for first in range(0, n, group):
            tasks = [uuid.uuid4().bytes for _ in range(min(group, n - first))]
            log.begin(tasks, first)
            log.end(tasks)

    return timed(write)


class BareLog:
    """A log of task runs as one would write it without trioflow: the same rows and indexes, the same two commits."""

    SCHEMA = (
        """CREATE TABLE tasks (id BLOB PRIMARY KEY, flow BLOB, key TEXT, call TEXT, name TEXT, state TEXT, at TEXT,
           started TEXT, ended TEXT, result TEXT) WITHOUT ROWID""",
        "CREATE UNIQUE INDEX tasks_by_call ON tasks (flow, key, call)",
        """CREATE TABLE states (number INTEGER PRIMARY KEY, id BLOB UNIQUE, task BLOB, version INT, type TEXT,
           name TEXT, at TEXT)""",
        "CREATE UNIQUE INDEX states_by_task ON states (task, version)",
    )
    INSERT_TASK = """INSERT INTO tasks (id, flow, key, call, name, state, at)
        VALUES (?, ?, 'bench.nothing', ?, ?, 'RUNNING', ?)"""
    END_TASK = "UPDATE tasks SET state = 'COMPLETED', at = ?, ended = ?, result = '1' WHERE id = ?"
    INSERT_STATE = "INSERT INTO states (id, task, version, type, name, at) VALUES (?, ?, ?, ?, ?, ?)"

    def __init__(self, path: Path) -> None:
        import apsw

        self.connection = apsw.Connection(str(path))
        self.flow = uuid.uuid4().bytes
        for statement in ("PRAGMA journal_mode = WAL", *self.SCHEMA):
            list(self.connection.execute(statement))

    def begin(self, tasks: list[bytes], first: int) -> None:
        """The tasks are pending, then running; ``first`` is the number of the first one. Survives a killed process."""
        calls = enumerate(tasks, first)
        rows = [(task, self.flow, str(call), f"nothing-{call}", time.ctime()) for call, task in calls]
        states = [self.state(task, v, t) for task in tasks for v, t in ((1, "PENDING"), (2, "RUNNING"))]
        self.transaction("NORMAL", (self.INSERT_TASK, rows), (self.INSERT_STATE, states))

    def end(self, tasks: list[bytes]) -> None:
        """The tasks have completed. Survives a power cut."""
        rows = [(time.ctime(), time.ctime(), task) for task in tasks]
        states = [self.state(task, 3, "COMPLETED") for task in tasks]
        self.transaction("FULL", (self.END_TASK, rows), (self.INSERT_STATE, states))

    def transaction(self, durability: str, *writes: tuple[str, list[tuple[object, ...]]]) -> None:
        """Each statement for each of its rows, in one commit."""
        list(self.connection.execute(f"PRAGMA synchronous = {durability}"))
        self.connection.execute("BEGIN IMMEDIATE")
        for statement, rows in writes:
            self.connection.executemany(statement, rows)
        self.connection.execute("COMMIT")

    @staticmethod
    def state(task: bytes, version: int, type_: str) -> tuple[object, ...]:
        """One row of the history."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00")
        return uuid.uuid4().bytes, task, version, type_, type_.title(), at


def served(name: str) -> Callable[[int, int], tuple[float, float]]:
    """One of the benchmarks of what serving costs; they are loaded when one of them is run."""

    def measure(n: int, group: int) -> tuple[float, float]:
        import served as benchmarks

        answer: tuple[float, float] = getattr(benchmarks, name)(n, group)
        return answer

    return measure


BENCHMARKS = {
    "sequential": sequential,
    "concurrent": concurrent,
    "empty-flow": empty_flow,
    "import": import_,
    "bare-log": bare_log,
    "serve-latency": served("serve_latency"),
    "cancel-latency": served("cancel_latency"),
    "served-tasks": served("served_tasks"),
    "served-runs": served("served_runs"),
}

if __name__ == "__main__":
    main()

"""Processes that are killed at a drawn moment, and the database that they leave, read by nothing of theirs."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import define, frozen

from tests.e2e.conftest import SECONDS, Home
from trioflow.testing.everywhere import audit, audit_at_rest


@frozen
class Snapshot:
    """The database as it is now; what the audits read it through."""

    connection: sqlite3.Connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        return self.connection.execute(sql, parameters).fetchall()


@define(eq=False)
class House(Home):
    """A home whose processes are killed."""

    @property
    def database(self) -> Path:
        return self.path / "home" / "trioflow.db"

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        with closing(
            sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=SECONDS)
        ) as connection:
            connection.execute("BEGIN")
            yield Snapshot(connection)

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        with self.snapshot() as snapshot:
            return snapshot.execute(sql, parameters)

    def faults(self) -> list[str]:
        """What is wrong with the database, whoever is at work in it."""
        with self.snapshot() as snapshot:
            ((integrity,),) = snapshot.execute("PRAGMA integrity_check")
            return [*([] if integrity == "ok" else [integrity]), *audit(snapshot)]

    def faults_at_rest(self) -> list[str]:
        """What is wrong with the database, now that nobody is."""
        with self.snapshot() as snapshot:
            return audit_at_rest(snapshot)

    def python(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """A script of this home's, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, script, *arguments],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def houses(tmp_path: Path) -> Iterator[Callable[[int], list[House]]]:
    """Makes so many homes, to be at work in at once."""
    made: list[House] = []

    def build(count: int) -> list[House]:
        for number in range(count):
            folder = tmp_path / f"house {number}"
            folder.mkdir()
            made.append(House(folder))
        return made

    yield build
    for house in made:
        for pid in house_processes(house):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def house(houses: Callable[[int], list[House]]) -> House:
    (house,) = houses(1)
    return house


def at_once(work: Callable[[House, random.Random], None], houses: Sequence[House], seed: str) -> None:
    """The same in each of these homes, each in a thread of its own, with chance of its own."""
    with ThreadPoolExecutor(len(houses)) as threads:
        done = [
            threads.submit(work, house, random.Random(f"{seed} {number}"))
            for number, house in enumerate(houses)
        ]
    for each in done:
        each.result()


def house_processes(house: House) -> list[int]:
    """Every process that was started for a run of this home."""
    mark = f"TRIOFLOW_HOME={house.path / 'home'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def wait_until(what: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """What it gives, as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := what():
            return answer
        time.sleep(0.02)
    pytest.fail(f"{what} was not true within {seconds} s")


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    """Let it go on for so long, then `kill -9` it, unless it has ended."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.kill()

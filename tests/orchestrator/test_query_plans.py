"""What is asked again and again looks into indexes, never through all runs: a home remembers millions of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, field

from tests.orchestrator.conftest import MIDNIGHT, Desk, World
from trioflow import clock
from trioflow.core.deployments import DeploymentSchedule
from trioflow.core.schedules import CronSchedule, IntervalSchedule
from trioflow.core.schedules.window import Overlap
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.scheduler.mark_late import mark_late
from trioflow.scheduler.plan_runs import plan_runs
from trioflow.scheduler.scheduler import outlook
from trioflow.store.sqlite import open_memory
from trioflow.store.store import Tx

EACH_MINUTE = IntervalSchedule(60)


@define(eq=False)
class Listening:
    """A transaction that remembers what it was asked."""

    tx: Tx
    heard: set[str] = field(factory=set[str])

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        self.heard.add(sql)
        return self.tx.execute(sql, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tx, name)


class ListeningOrchestrator:
    """Remembers every statement that its orchestrator's store is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = open_memory()
        self.heard: set[str] = set()
        for name in ("read", "transact"):
            monkeypatch.setattr(type(self.store), name, self.listening(getattr(type(self.store), name)))
        self.orchestrator = Orchestrator(self.store)

    def listening(self, method: Any) -> Any:
        async def call(store: Any, fn: Any, **options: Any) -> Any:
            return await method(store, lambda tx: fn(Listening(tx, self.heard)), **options)

        return call

    async def scans_of_runs(self) -> dict[str, list[str]]:
        """The statements that go through a table that grows with the runs, row by row; with their plans."""
        heard, scans = set(self.heard), {}
        for sql in heard:
            if sql.startswith(("SELECT", "UPDATE")):
                plan = await self.store.read(lambda tx, sql=sql: explained(tx, sql))
                found = [line for line in plan if is_scan(line)]
                if found:
                    scans[sql] = found
        return scans


def explained(tx: Tx, sql: str) -> list[str]:
    return [row[3] for row in tx.execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?"))]


def is_scan(line: str) -> bool:
    return any(line.startswith(f"SCAN {table}") for table in ("flow_runs", "states", "task_runs", "logs"))


async def test_planning_marking_and_asking_for_what_is_ready_look_into_indexes(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    world.at = MIDNIGHT
    listening = ListeningOrchestrator(monkeypatch)
    orchestrator = listening.orchestrator
    desk = Desk(orchestrator)
    plain = await desk.deploy(EACH_MINUTE, name="plain")
    strict = await desk.deploy(
        DeploymentSchedule(schedule=EACH_MINUTE, overlap=Overlap.SKIP),
        CronSchedule("0 4 * * *"),
        name="strict",
    )
    for _ in range(3):
        world.forward(minutes=2)
        await orchestrator.store.read(lambda tx: outlook(tx, clock.now(), timedelta(seconds=30)))
        await orchestrator.transact(plan_runs)
        await orchestrator.transact(mark_late)
        for deployment in (plain, strict):
            ready = await desk.ready(deployment)
            for run in ready.runs[:1]:
                await desk.claim(run.id)
            world.forward(seconds=30)
    await desk.deploy(EACH_MINUTE, name="plain", parameters={"a": 1})
    await desk.pause(plain)
    await desk.resume(plain)
    await desk.delete(strict)

    assert len(listening.heard) > 30
    assert await listening.scans_of_runs() == {}


async def test_a_scan_would_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = ListeningOrchestrator(monkeypatch)
    await listening.store.read(lambda tx: tx.execute("SELECT * FROM flow_runs WHERE name = ?", ("x",)))
    assert list((await listening.scans_of_runs()).values()) == [["SCAN flow_runs"]]

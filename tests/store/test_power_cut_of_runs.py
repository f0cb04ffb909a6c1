"""What a power cut leaves of deployments, schedules, runs and owed hooks: the database as it was at some moment.

Requests come one after the other, and what is in the tables is noted after each. Whatever the cut leaves is one of
these notes, to the byte, and none from before the newest answer that was SYNCED.
"""

from __future__ import annotations

import contextlib
import hashlib
import random

import apsw
import pytest
from attrs import define, field

from tests.orchestrator.conftest import Desk, World
from tests.store.disk import quick
from tests.store.power_cut import Answered, Disk, Sync, images
from tests.tiers import in_both_tiers
from trioflow import clock
from trioflow.core.recorded import RecordedResult
from trioflow.core.schedules import CronSchedule, IntervalSchedule
from trioflow.core.states import Completed, Failed, Running, StateType
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.processes import this_process
from trioflow.scheduler.plan_runs import plan_runs
from trioflow.store.sqlite import open_sqlite
from trioflow.testing.everywhere.audit import audit
from trioflow.wire import endpoints, requests

IMAGES = 2_000
STEPS = 120
HOOKED = frozenset({StateType.COMPLETED, StateType.FAILED})
TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"


def contents(execute):
    """A digest of every row of every table."""
    tables = {name: sorted(map(repr, execute(f"SELECT * FROM {name}"))) for (name,) in execute(TABLES)}
    return hashlib.sha256(repr(tables).encode()).digest()


@define(eq=False)
class Notes:
    """What the tables held after each answer, and whether a power cut may undo it."""

    desk: Desk
    events: list
    after: dict[bytes, int] = field(factory=dict)

    async def note(self, reply, *, is_safe=True):
        held = await self.desk.orchestrator.store.read(lambda tx: contents(tx.execute))
        self.after[held] = len(self.after)
        self.events.append(Answered(held, is_safe))
        return reply


@define(eq=False)
class Work:
    """Everything that writes the tables, one request at a time."""

    desk: Desk
    notes: Notes
    world: World
    chance: random.Random
    deployments: list = field(factory=list)

    async def deploy(self):
        schedules = [IntervalSchedule(600), CronSchedule("*/20 * * * *")][: self.chance.randrange(3)]
        name = f"deployment {self.chance.randrange(5)}"
        deployment = await self.desk.deploy(*schedules, name=name, hooked=HOOKED)
        await self.notes.note(deployment)
        self.deployments = [each for each in self.deployments if each.id != deployment.id] + [deployment]

    async def delete(self):
        self.deployments.remove(deployment := self.chance.choice(self.deployments))
        await self.notes.note(await self.desk.delete(deployment))

    async def pause_and_resume(self):
        deployment = self.chance.choice(self.deployments)
        await self.notes.note(await self.desk.pause(deployment))
        await self.plan()
        await self.notes.note(await self.desk.resume(deployment))

    async def plan(self):
        await self.notes.note(await self.desk.orchestrator.transact(plan_runs))

    async def run(self):
        deployment = self.chance.choice(self.deployments)
        asked = (await self.notes.note(await self.desk.run_deployment(deployment))).run
        run = (await self.notes.note(await self.desk.claim(asked.id))).run
        await self.notes.note(await self.desk.propose(run.id, Running(), epoch=run.epoch), is_safe=False)
        for call in range(self.chance.randrange(4)):
            task = await self.notes.note(await self.desk.begin(run, call), is_safe=False)
            await self.notes.note(await self.desk.end(task, epoch=run.epoch))
        data = RecordedResult(serializer="json", inline="1", size=1)
        end = self.chance.choice([Completed(data=data), Failed()])
        await self.notes.note(await self.desk.propose(run.id, end, epoch=run.epoch))

    async def call_hooks(self):
        ids = frozenset(deployment.id for deployment in self.deployments)
        request = requests.TakeOwedHooks(owner=this_process(), deployment_ids=ids)
        taken = await self.notes.note(await self.desk.ask(endpoints.TAKE_OWED_HOOKS, request))
        for owed in taken.items[:2]:
            settled = requests.SettleHooks(run_id=owed.run.id, version=owed.version)
            await self.notes.note(await self.desk.ask(endpoints.SETTLE_HOOKS, settled))

    async def go_on(self):
        self.world.forward(minutes=self.chance.randrange(15))
        others = [self.delete, self.pause_and_resume, self.plan, self.run, self.run, self.call_hooks]
        await self.chance.choice([self.deploy, *others] if self.deployments else [self.deploy])()


def check(image):
    """What is in an image, which must be sound, as `contents` tells it."""
    with contextlib.closing(apsw.Connection(str(image))) as connection:
        connection.execute("PRAGMA synchronous = OFF").fetchall()  # the image need not survive anything
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert audit(connection) == []
        return contents(connection.execute)


@pytest.mark.promise("P8")
@in_both_tiers(quick=1, nightly=19)
async def test_in_two_thousand_power_cuts_the_tables_are_as_they_were_after_the_newest_synced_answer_or_later(
    tmp_path, disk, round_
):
    chance, world, events = random.Random(round_), World(), disk.recorder.events
    with clock.use(world):
        store = await open_sqlite(tmp_path / "trioflow.db", vfs=disk.name, tuning=quick(50))
        desk = Desk(Orchestrator(store))
        start = Disk.holding(tmp_path / "trioflow.db")
        events.clear()
        notes = Notes(desk, events)
        await notes.note(None)
        work = Work(desk, notes, world, chance)
        for _ in range(STEPS):
            await work.go_on()
        for table in ("deployments", "schedules", "flow_runs", "task_runs", "owed_hooks"):
            assert await desk.rows(f"SELECT 1 FROM {table} LIMIT 1"), f"nothing was ever written to {table}"
        recorded = list(events)
        await store.aclose()
    assert sum(event == Sync("") for event in recorded) > 5, "the log was never merged into the database"

    image, lost = tmp_path / "image.db", 0
    for answered in images(start, recorded, IMAGES, chance, image):
        left = notes.after[check(image)]
        assert left >= max((notes.after[each.name] for each in answered if each.is_safe), default=0)
        lost += left < max((notes.after[each.name] for each in answered), default=0)
    assert lost, "the cuts were too gentle to show anything: even what was RELAXED survived them all"
    await goes_on(image, world)


async def goes_on(image, world):
    """A runner opens it an hour later: whoever had a lease is reaped."""
    world.forward(hours=1)
    with clock.use(world):
        store = await open_sqlite(image)
        await Orchestrator(store).open()
        assert await store.read(audit) == []
        assert await store.read(lambda tx: tx.execute("SELECT * FROM leases")) == []
        await store.aclose()

"""What the scheduler costs in a home that remembers a lot: a tick, and a runner's question. Prints JSON lines.

    python benchmarks/scheduler.py [--schedules 1000] [--past 1000000]

The past is written as plain SQL: runs that are COMPLETED, each with its fire key and its last state. A tick is measured
when nothing is due, when half a minute is over and every schedule is looked at, and when all of them are planned at
once, as after a downtime.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trio
from attrs import evolve

from trioflow import clock
from trioflow.core.deployments import Deployment, DeploymentSchedule
from trioflow.core.runs import FlowRun, RunTimes
from trioflow.core.schedules import IntervalSchedule
from trioflow.core.schedules.identity import fire_key, schedule_identity
from trioflow.core.states import Completed
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.scheduler.scheduler import work_off
from trioflow.store import queries, rows
from trioflow.store.sqlite import open_sqlite
from trioflow.store.store import Tx
from trioflow.wire import endpoints, requests

AT_ONCE = 20_000


class World(clock.RealWorld):
    """The wall clock, and how much later it is said to be."""

    ahead = timedelta()

    def now(self) -> datetime:
        """What time it is."""
        return datetime.now(UTC) + self.ahead


def report(what: str, **figures: float) -> None:
    """Print one line."""
    print(json.dumps({"what": what, **figures}), flush=True)


async def timed(what: str, work: Callable[[], Any]) -> Any:
    """What it gave; its wall and CPU seconds are printed."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = await work()
    seconds = round(time.perf_counter() - wall, 4), round(time.process_time() - cpu, 4)
    report(what, seconds=seconds[0], cpu_seconds=seconds[1])
    return result


def past_runs(deployment: Deployment, count: int) -> Iterator[FlowRun]:
    """Completed runs of a deployment's one hourly schedule, each at its fire."""
    schedule = deployment.schedules[0].schedule
    identity = schedule_identity(deployment.flow_name, deployment.name, schedule)
    following = schedule.next_after(deployment.created)
    for k in range(1, count + 1):
        fire, id_ = following - timedelta(hours=k), clock.new_id()
        state = evolve(Completed(), id=clock.new_id(), timestamp=fire)
        yield FlowRun(
            id=id_,
            flow_id=deployment.flow_id,
            root_id=id_,
            name="brave-otter",
            state=state,
            version=3,
            epoch=1,
            attempt=1,
            times=RunTimes(expected_start=fire, started=fire, ended=fire),
            deployment_id=deployment.id,
            fire_key=fire_key(identity, fire),
            created=fire,
        )


def write(tx: Tx, runs: list[FlowRun]) -> None:
    """Put these runs into the home, with their states."""
    tx.executemany(
        queries.insert("flow_runs", rows.FLOW_RUN_COLUMNS), [rows.flow_run_row(run) for run in runs]
    )
    first = tx.take_numbers(len(runs))
    states = [rows.history_row(first + k, run, run.state, None) for k, run in enumerate(runs)]
    tx.executemany(queries.insert("states", rows.STATE_COLUMNS), states)


async def deploy(orchestrator: Orchestrator, number: int) -> Deployment:
    """A deployment with one hourly schedule, each at its own minute and second."""
    every = IntervalSchedule(3600, datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=3.6 * number))
    request = requests.ApplyDeployment(
        id=clock.new_id(),
        flow_name="past",
        name=f"d{number}",
        entrypoint="flows.py:past",
        schedules=(DeploymentSchedule(schedule=every),),
    )
    return await orchestrator.handle(endpoints.APPLY_DEPLOYMENT, request)


async def main(schedules: int, past: int) -> None:
    """Fill a home, then measure."""
    world = World()
    each = timedelta(seconds=30)
    with clock.use(world), tempfile.TemporaryDirectory() as folder:
        orchestrator = Orchestrator(await open_sqlite(Path(folder) / "trioflow.db"))
        deployments = [await deploy(orchestrator, number) for number in range(schedules)]
        batch: list[FlowRun] = []
        for deployment in deployments:
            batch += past_runs(deployment, past // schedules)
            if len(batch) >= AT_ONCE or deployment is deployments[-1]:
                await orchestrator.store.transact(lambda tx, batch=batch: write(tx, batch))
                batch = []
        await work_off(orchestrator, each)
        await timed("tick, nothing is due", lambda: work_off(orchestrator, each))
        world.ahead = timedelta(seconds=31)
        await timed("tick, all are looked at", lambda: work_off(orchestrator, each))
        world.ahead = timedelta(hours=11)
        await timed("tick after 11 hours, all are planned", lambda: work_off(orchestrator, each))
        ask = requests.FindReadyRuns(
            deployment_ids=frozenset(deployment.id for deployment in deployments[:10]), before=clock.now()
        )
        for _ in range(2):
            await timed(
                "a runner of 10 deployments asks", lambda: orchestrator.handle(endpoints.FIND_READY_RUNS, ask)
            )
        await orchestrator.store.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--past", type=int, default=1_000_000)
    given = parser.parse_args()
    trio.run(main, given.schedules, given.past)

"""A home of version 1 opens with version 2: what was in it is as it was, and what is new has nothing in it."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from trioflow import clock
from trioflow.core.deployments import DeploymentSchedule
from trioflow.core.leases import Owner
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.core.schedules import CronSchedule
from trioflow.core.states import Completed, Running, Scheduled, StateType
from trioflow.core.verdicts import Accept
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.processes import this_process
from trioflow.store import queries, rows
from trioflow.store.migrate import schema
from trioflow.store.sqlite import open_sqlite
from trioflow.store.store import Tx
from trioflow.wire import endpoints, requests

NEW = ("fire_key", "hooked", "timeout")
OLD_COLUMNS = tuple(column for column in rows.FLOW_RUN_COLUMNS if column not in NEW)
FLOW = clock.new_id()


def old_run(**fields: Any) -> FlowRun:
    id_ = clock.new_id()
    given = {"id": id_, "flow_id": FLOW, "root_id": id_, "name": "brave-otter", "created": clock.now()}
    return FlowRun(**{**given, **fields})


RAN = old_run(
    state=evolve(Completed(message="All states completed."), id=clock.new_id(), timestamp=clock.now()),
    version=3,
    epoch=1,
    attempt=1,
    retry=RetryPolicy(retries=2),
    parameters={"port": 8000},
    tags=frozenset({"a"}),
    entrypoint="flows.py:audit",
)
WAITS = old_run(
    state=evolve(Scheduled(clock.now()), id=clock.new_id(), timestamp=clock.now()),
    version=1,
    deployment_id=clock.new_id(),
)


def fill(tx: Tx) -> None:
    tx.execute("INSERT INTO flows VALUES (?, 'audit', ?)", (FLOW.bytes, rows.instant_text(clock.now())))
    insert = queries.insert("flow_runs", OLD_COLUMNS)
    tx.executemany(insert, [rows.flow_run_row(run)[: len(OLD_COLUMNS)] for run in (RAN, WAITS)])
    tx.execute(
        queries.insert("states", rows.STATE_COLUMNS),
        rows.history_row(tx.take_numbers(1), RAN, RAN.state, None),
    )


async def test_a_home_of_version_1_is_read_and_gone_on_with(tmp_path):
    path = tmp_path / "trioflow.db"
    before = await open_sqlite(path, migrations=schema()[:1])
    await before.transact(fill)
    await before.aclose()

    store = await open_sqlite(path)
    assert await store.read(lambda tx: tx.execute("PRAGMA user_version")) == [(2,)]
    orchestrator = Orchestrator(store)
    await orchestrator.open()
    for run in (RAN, WAITS):
        read = requests.ReadFlowRun(run_id=run.id)
        assert await orchestrator.handle(endpoints.READ_FLOW_RUN, read) == run
    assert await store.read(lambda tx: tx.execute("SELECT * FROM deployments, schedules, owed_hooks")) == []

    claim = requests.ClaimFlowRun(run_id=WAITS.id, owner=this_process(), transition_id=clock.new_id())
    assert isinstance((await orchestrator.handle(endpoints.CLAIM_FLOW_RUN, claim)).verdict, Accept)
    await store.aclose()


async def test_what_a_newer_home_has_had_since_is_there_when_it_opens_again(tmp_path):
    path = tmp_path / "trioflow.db"
    store = await open_sqlite(path)
    orchestrator = Orchestrator(store)
    deploy = requests.ApplyDeployment(
        id=clock.new_id(),
        flow_name="audit",
        name="main",
        entrypoint="flows.py:audit",
        schedules=(DeploymentSchedule(schedule=CronSchedule("0 9 * * *", "Europe/Berlin")),),
    )
    applied = await orchestrator.handle(endpoints.APPLY_DEPLOYMENT, deploy)
    id_ = clock.new_id()
    create = requests.CreateFlowRun(
        id=id_,
        flow_name="audit",
        name="brave-otter",
        state=Running(),
        transition_id=id_,
        hooked=frozenset({StateType.CRASHED, StateType.FAILED}),
        timeout=1.5,
        owner=Owner(host="another host", pid=1, started=1),
    )
    run = (await orchestrator.handle(endpoints.CREATE_FLOW_RUN, create)).run
    await store.aclose()

    again = Orchestrator(await open_sqlite(path))
    read = requests.ReadDeployment(deployment_id=applied.id)
    assert await again.handle(endpoints.READ_DEPLOYMENT, read) == applied
    assert await again.handle(endpoints.READ_FLOW_RUN, requests.ReadFlowRun(run_id=id_)) == run
    await again.store.aclose()

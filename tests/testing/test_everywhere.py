"""The kit finds each fault that is planted, says where it is, and refuses what it cannot try; nothing hangs."""

from __future__ import annotations

import itertools
import socket
import subprocess
import threading
import time
from contextlib import suppress
from time import sleep

import pytest
import trio

from tests.testing.scenarios import (
    add,
    clean_up,
    failures,
    mapped_under_a_limit,
    sequential_tasks,
    subflows,
    timeouts,
)
from trioflow import flow, task
from trioflow.engine import roots
from trioflow.errors import ScenarioBroken, ScenarioUnfit, SimulationError
from trioflow.orchestrator.desk import Desk
from trioflow.testing.everywhere import (
    audit,
    audit_at_rest,
    cancel_everywhere,
    crash_everywhere,
    fail_store_at_every_call,
    staging,
)


def broken(sweep, scenario, **options) -> str:
    with pytest.raises(ScenarioBroken) as caught:
        sweep(scenario, **options)
    return str(caught.value)


# --- planted faults


def test_last_words_that_are_not_shielded_are_found(monkeypatch):
    monkeypatch.setattr("trioflow.engine.drive.last_words", trio.move_on_after)

    told = broken(cancel_everywhere, sequential_tasks)

    assert "flow run 'patient-hare' is left RUNNING, which nobody can take up" in told
    assert "the lease of flow run 'patient-hare' is left" in told


def test_a_gap_between_the_claim_and_its_try_is_found_at_its_one_point(monkeypatch):
    made = roots.made

    async def made_with_a_gap(*given):
        answer = await made(*given)
        await trio.lowlevel.checkpoint()
        return answer

    monkeypatch.setattr(roots, "made", made_with_a_gap)

    told = broken(cancel_everywhere, sequential_tasks)

    assert "breaks at 2 of " in told  # after the one step, and before the next
    assert "made_with_a_gap (tests/testing/test_everywhere.py:" in told
    assert "flow run 'patient-hare' is left PENDING" in told


def test_a_swallowed_cancellation_is_found():
    @flow
    async def waits():
        await trio.sleep(1)

    async def swallows(client):
        try:
            await waits()
        except trio.Cancelled:
            return

    assert "the cancellation was swallowed" in broken(cancel_everywhere, swallows)


def test_a_slot_that_leaks_until_its_flow_is_over_is_found(monkeypatch):
    release = Desk._release_slots

    def release_where_all_is_well(self, run):
        if run.state.is_completed:
            release(self, run)

    monkeypatch.setattr(Desk, "_release_slots", release_where_all_is_well)

    told = broken(cancel_everywhere, mapped_under_a_limit)

    assert "holds a slot of tag 'narrow', being CRASHED" in told


def test_an_answer_that_is_lost_after_its_commit_is_found_to_leave_a_run(monkeypatch):
    async def plainly_asked(client, endpoint, request):
        return await client.call(endpoint, request)

    monkeypatch.setattr(roots, "made", plainly_asked)

    told = broken(fail_store_at_every_call, sequential_tasks)

    assert "denied the store after 1, at " in told
    assert "fail_store_at_every_call(sequential_tasks, only='after 1')" in told


def test_a_clean_up_that_takes_too_long_is_found():
    @flow
    async def lingers():
        try:
            await trio.sleep(1)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(100)

    async def scenario(client):
        await lingers()

    assert "it took 100 s to end, and may take 12" in broken(cancel_everywhere, scenario)


def test_an_exception_that_takes_the_place_of_a_cancellation_is_found():
    async def scenario(client):
        try:
            await trio.sleep(1)
        finally:
            raise_if_cancelled()

    def raise_if_cancelled():
        if trio.current_effective_deadline() == float("-inf"):
            raise KeyError("in the clean-up")

    assert "KeyError came out of it: 'in the clean-up'" in broken(cancel_everywhere, scenario)


def test_a_run_that_is_lost_with_its_process_is_found(monkeypatch):
    monkeypatch.setattr("trioflow.orchestrator.orchestrator.reap", lambda *_: None)

    told = broken(crash_everywhere, sequential_tasks)

    assert "after the next process has reaped: flow run 'patient-hare' is left RUNNING" in told


def test_a_task_that_the_engine_leaves_behind_is_found(monkeypatch):
    async def scenario(client):
        trio.lowlevel.spawn_system_task(trio.sleep, 10**9, name="forgotten")
        await add(1)

    assert "task forgotten is left" in broken(cancel_everywhere, scenario)


def test_one_point_alone_can_be_replayed(monkeypatch):
    monkeypatch.setattr("trioflow.engine.drive.last_words", trio.move_on_after)
    told = broken(cancel_everywhere, sequential_tasks)
    point = told.split("only='")[1].split("'")[0]

    again = broken(cancel_everywhere, sequential_tasks, only=point)

    assert again.splitlines()[0] == "sequential_tasks breaks at 1 of 1 points"
    assert again.splitlines()[1:] == told.splitlines()[1 : len(again.splitlines())]
    with pytest.raises(ScenarioUnfit, match="there is no point 'after 9999'"):
        cancel_everywhere(sequential_tasks, only="after 9999")


def test_what_was_tried_is_told():
    swept = cancel_everywhere(subflows)

    assert swept.points > 100
    assert swept.sites > 15
    assert {state.name for state in swept.ends} == {"COMPLETED", "CRASHED"}


# --- scenarios that cannot be tried


async def sleeps_for_ever(client):
    await trio.sleep_forever()


async def polls_for_ever(client):
    while True:  # noqa: ASYNC110 - that is the fault
        await trio.sleep(1)


async def heeds_nothing(client):
    while True:
        with suppress(trio.Cancelled):
            await trio.sleep(1)


@pytest.mark.parametrize("scenario", [sleeps_for_ever, polls_for_ever, heeds_nothing])
def test_a_scenario_that_never_ends_is_named_with_its_line(scenario):
    line = scenario.__code__.co_firstlineno

    with pytest.raises(
        ScenarioUnfit, match=rf"{scenario.__name__} never ends: .* {scenario.__name__} \("
    ) as caught:
        cancel_everywhere(scenario)

    lines = {int(text.split(")")[0]) for text in str(caught.value).split("test_everywhere.py:")[1:]}
    assert lines <= set(range(line, line + 6))
    assert lines


def test_a_scenario_that_blocks_the_loop_is_named_with_its_line(monkeypatch):
    monkeypatch.setattr(staging, "_PATIENCE_SECONDS", 0.2)

    async def blocks(client):
        while True:
            pass

    with pytest.raises(
        SimulationError, match=r"test_everywhere\.py:\d+.* kept the loop for 0\.2 real seconds"
    ):
        cancel_everywhere(blocks)


def really_sleeps():
    time.sleep(0.01)


def really_sleeps_by_another_name():
    sleep(0.01)


def starts_a_thread():
    threading.Thread(target=print).start()


def opens_a_socket():
    socket.socket()


def starts_a_process():
    subprocess.run(["true"], check=True)


@pytest.mark.parametrize(
    "reality",
    [really_sleeps, really_sleeps_by_another_name, starts_a_thread, opens_a_socket, starts_a_process],
)
def test_what_is_real_is_named_with_its_line(reality):
    @flow
    async def uses():
        reality()

    async def scenario(client):
        await uses(return_state=True)

    with pytest.raises(
        SimulationError, match=rf"test_everywhere\.py:{reality.__code__.co_firstlineno + 1}\b"
    ):
        cancel_everywhere(scenario)


def test_a_scenario_that_goes_another_way_each_time_is_refused():
    times = itertools.count()

    async def differs(client):
        for _ in range(next(times)):
            await add(1)

    with pytest.raises(
        ScenarioUnfit, match=r"does not go the same way twice: .*; make all that it uses anew"
    ):
        cancel_everywhere(differs)


def test_a_scenario_that_fails_by_itself_is_refused():
    async def fails(client):
        raise KeyError("by itself")

    with pytest.raises(ScenarioUnfit, match="fails does not end well by itself: KeyError: 'by itself'"):
        crash_everywhere(fails)


# --- audits


def test_scenarios_are_repeatable_in_any_order():
    for scenario in (timeouts, failures, clean_up, timeouts):
        assert fail_store_at_every_call(scenario, only="before 3").points == 1


async def test_the_audit_sees_what_its_rows_say(client, store):
    @task(tags=["db"])
    async def query():
        await trio.lowlevel.checkpoint()

    @flow
    async def asks():
        await query()

    await asks()
    assert await store.read(audit_at_rest) == []

    await store.transact(
        lambda tx: tx.execute("UPDATE flow_runs SET version = version + 1, state_name = 'Late'")
    )
    await store.transact(lambda tx: tx.execute("UPDATE task_runs SET attempt = 7, state_type = 'RUNNING'"))
    await store.transact(lambda tx: tx.execute("INSERT INTO concurrency_limits VALUES ('db', 0)"))

    wrong = await store.read(audit)
    assert [text.partition(" ")[2].partition(" ")[2].partition(" ")[2] for text in wrong] == [
        "is at version 4, and its history has [1, 2, 3]",
        "is Completed, and its history ends with Completed",
        "says that it had 7 attempts, and was started 1 times",
        "with tag 'db' run at once, and its limit is 0",
    ]
    assert len(await store.read(audit_at_rest)) == len(wrong) + 1

"""Claims: what is due is started, in order, and within the limit."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
import trio
import trio.testing
from attrs import define

from tests.runner.house import Child, audit, in_house, lasting
from tests.runner.meddling import Meddler, opened
from trioflow.core.deployments import DeploymentSchedule
from trioflow.core.runs import RetryPolicy
from trioflow.core.schedules import IntervalSchedule
from trioflow.core.schedules.window import Overlap
from trioflow.core.states import Completed, Failed, Running
from trioflow.wire import endpoints

# --- what is due


@pytest.mark.behaviour("RL-01", "RL-08", "RL-13")
async def test_a_run_that_becomes_due_wakes_the_runner_and_is_started_at_once(autojump_clock, caplog):
    with caplog.at_level(logging.INFO, logger="trioflow.runner"):
        async with in_house(lasting(5)) as house:
            runner = await house.serving()
            await trio.sleep(3)
            run = await house.run_of(audit())
            await house.wait_state(run, "Running")

            assert trio.current_time() == 3
            (hand,) = opened(runner).claims.in_hand.values()
            assert (hand.run_id, hand.supervised.pid) == (run.id, 1000)

            await house.wait_state(run, "Completed")
            await house.stage.wait_alive(0)
            await trio.testing.wait_all_tasks_blocked()
            assert opened(runner).claims.in_hand == {}

    said = [record.getMessage() for record in caplog.records]
    assert f"Runner 'my-runner' submitting flow run '{run.id}'" in said
    assert f"Completed submission of flow run '{run.id}'" in said


@pytest.mark.behaviour("RL-04")
@pytest.mark.parametrize(("prefetch", "started"), [(10, 59.0), (1, 59.0), (0.5, 59.5), (0, 60.0)])
async def test_a_run_is_claimed_a_second_before_it_is_due_and_no_earlier(autojump_clock, prefetch, started):
    async with in_house() as house:
        await house.serving(prefetch_seconds=prefetch)
        run = await house.run_of(audit(), at=60)
        await house.wait_state(run, "Pending")

        assert trio.current_time() == pytest.approx(started, abs=1e-3)


@pytest.mark.behaviour("RL-04", "RL-05")
async def test_runs_that_are_past_due_are_taken_the_earliest_first(autojump_clock, caplog):
    async with in_house() as house:
        await trio.sleep(100)
        runs = {at: await house.run_of(audit(), at=at) for at in (50, 10, 99, 70)}
        with caplog.at_level(logging.INFO, logger="trioflow.runner"):
            await house.serving()
            await house.wait_count("Completed", 4)

        said = [record.getMessage() for record in caplog.records if "submitting" in record.getMessage()]
        assert said == [f"Runner 'my-runner' submitting flow run '{runs[at].id}'" for at in (10, 50, 70, 99)]


async def test_a_schedule_is_followed_to_the_second_without_being_woken(autojump_clock):
    async with in_house() as house:
        every_minute = audit(schedules=[IntervalSchedule(timedelta(minutes=1))])
        await house.serving(every_minute, prefetch_seconds=0)
        await trio.sleep(299)

        assert [round(at, 3) for at in house.stage.started_at] == [60, 120, 180, 240]


@pytest.mark.behaviour("RL-01")
@pytest.mark.promise("P4")
async def test_a_runner_that_hears_of_nothing_finds_its_work_by_polling(autojump_clock):
    async with in_house() as house:

        @define(eq=False)
        class Deafened(Meddler):
            async def changes(self, after, which):
                await trio.sleep_forever()

        async def claim(request, inner):
            return await inner.call(endpoints.CLAIM_FLOW_RUN, request)

        await house.serving(client=Deafened(house.client, claim), query_seconds=10)
        await trio.sleep(1)
        run = await house.run_of(audit())
        with trio.fail_after(13):
            await house.wait_state(run, "Completed")

        assert trio.current_time() >= 7


async def test_a_run_that_waited_for_its_turn_starts_when_the_one_before_is_over(autojump_clock):
    async with in_house(lasting(90)) as house:
        schedule = DeploymentSchedule(
            schedule=IntervalSchedule(timedelta(minutes=1)), overlap=Overlap.BUFFER_ONE
        )
        await house.serving(audit(schedules=[schedule]), prefetch_seconds=0, query_seconds=1000)
        await trio.sleep(300)

        assert [round(at, 3) for at in house.stage.started_at] == [60, 150, 240]


# --- the limit


@pytest.mark.behaviour("RL-07", "LM-02")
@pytest.mark.promise("P15")
async def test_a_freed_slot_is_handed_on_at_once_and_in_order(autojump_clock, caplog):
    async with in_house(lasting(10)) as house:
        with caplog.at_level(logging.INFO, logger="trioflow.runner"):
            runs = [await house.run_of(audit(), at=-at) for at in (5, 4, 3, 2, 1)]
            await house.serving(limit=2, query_seconds=1000)
            await house.wait_state(runs[-1], "Completed")

        started = [child.run_id for child in house.stage.started]
        ids = [run.id for run in runs]
        assert (set(started[:2]), set(started[2:4]), started[4]) == (set(ids[:2]), set(ids[2:4]), ids[4])
        assert [round(at, 3) for at in house.stage.started_at] == [0, 0, 10, 10, 20]
        assert house.stage.most == 2
        assert any(record.getMessage().startswith("Flow run limit reached; 2") for record in caplog.records)


@pytest.mark.behaviour("RL-06", "RL-09", "RL-12")
async def test_a_look_tells_which_runs_are_in_hand_and_claims_none_twice(autojump_clock):
    async with in_house(lasting(10)) as house, house.runner(limit=2) as runner:
        await runner.add_deployment(audit())
        runs = [await house.run_of(audit(), at=-at) for at in (3, 2, 1)]
        polling = opened(runner).polling

        assert [run.id for run in await polling.look()] == [run.id for run in runs[:2]]
        assert await polling.look() == []
        await trio.sleep(11)
        assert [run.id for run in await polling.look()] == [runs[2].id]
        await trio.sleep(11)
        assert opened(runner).claims.in_hand == {}


async def test_a_run_that_awaits_its_retry_in_its_own_process_is_not_claimed_again(autojump_clock):
    async def fail_and_wait(child: Child) -> int:
        await child.prepare()
        await child.say(Running())
        await child.say(Failed(message="first try"))
        await trio.sleep(30)
        await child.say(Running())
        await child.say(Completed())
        return 0

    async with in_house(fail_and_wait) as house:
        retrying = audit(retry=RetryPolicy(retries=1, delays=(20.0,)))
        await house.serving(retrying)
        run = await house.run_of(retrying)
        await house.wait_state(run, "Completed")

        assert len(house.stage.started) == 1
        assert await house.history(run) == [
            "Scheduled",
            "Pending",
            "Running",
            "AwaitingRetry",
            "Running",
            "Completed",
        ]

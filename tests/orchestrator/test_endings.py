"""A run whose process is gone is closed by its runner, or reaped: with all that is under it, and no more than that."""

from __future__ import annotations

import pytest

from tests.orchestrator.conftest import DEAD, ELSEWHERE, Desk, World, evolve
from trioflow import clock
from trioflow.core.decisions import Proposal, rule
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.core.states import (
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Pending,
    Running,
    Scheduled,
    State,
    StateType,
    Suspended,
    TimedOut,
)
from trioflow.core.tables import FLOW_RUNS
from trioflow.core.verdicts import Abort, Accept, Reject
from trioflow.errors import RunNotFound
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.store.store import Store

GONE = Crashed(message="Flow run process exited with non-zero status code -9.")


async def deployed(desk: Desk, **fields: object) -> FlowRun:
    """A RUNNING run of some deployment."""
    return await desk.start(deployment_id=clock.new_id(), **fields)


async def leases(desk: Desk) -> int:
    ((count,),) = await desk.rows("SELECT count(*) FROM leases")
    return count


async def test_a_closed_run_is_in_the_state_that_its_runner_gives_and_owned_by_nobody(desk: Desk) -> None:
    run = await deployed(desk)
    answer = await desk.close(run, GONE)

    assert isinstance(answer.verdict, Accept)
    assert str(answer.run.state) == str(GONE)
    assert answer.run == await desk.flow_run(run.id)
    assert answer.run.epoch == run.epoch + 1, "what its process has said before comes too late"
    assert await leases(desk) == 0


@pytest.mark.parametrize(
    ("given", "ended"),
    [
        (GONE, "Crashed"),
        (TimedOut(message="Flow run exceeded timeout of 1 seconds"), "Crashed"),
        (Cancelled(), "Cancelled"),
    ],
    ids=str,
)
async def test_what_is_unfinished_under_it_ends_first(desk: Desk, given: State, ended: str) -> None:
    await desk.limit("db", 5)
    run = await deployed(desk)
    at_work = await desk.begin(run, 0, tags=frozenset({"db"}))
    mirror = await desk.begin(run, 1)
    child = await desk.create(
        state=Running(),
        parent_task_run_id=mirror.run.id,
        root_id=run.id,
        epoch=run.epoch,
        deployment_id=None,
    )
    below = await desk.begin(child.run, 0, epoch=run.epoch)
    done = await desk.end(await desk.begin(run, 2), epoch=run.epoch)

    await desk.close(run, given)

    ends = {
        name: (await desk.names(each.run.id))[-1]
        for name, each in {
            "task": at_work,
            "mirror": mirror,
            "subflow": child,
            "below": below,
            "done": done,
        }.items()
    }
    assert ends == {"task": ended, "mirror": ended, "subflow": ended, "below": ended, "done": "Completed"}
    numbers = await desk.rows("SELECT run_id FROM states ORDER BY number DESC LIMIT 1")
    assert numbers == [(run.id.bytes,)]
    assert await desk.rows("SELECT * FROM slots") == []


async def test_a_run_that_its_policy_tries_again_can_be_claimed_by_anybody(desk: Desk) -> None:
    run = await deployed(desk, retry=RetryPolicy(retries=1, on_crash=True))
    task = await desk.begin(run)
    answer = await desk.close(run, GONE)

    assert isinstance(answer.verdict, Reject)
    assert answer.run.state.name == "AwaitingRetry"
    assert await leases(desk) == 0
    claimed = await desk.claim(run.id, ELSEWHERE)
    assert isinstance(claimed.verdict, Accept)
    assert claimed.run.epoch == run.epoch + 2
    assert await desk.names(task.run.id) == ["Pending", "Running", "Crashed"]


@pytest.mark.parametrize("state", [Pending(), Running()], ids=str)
async def test_a_run_may_be_given_back(desk: Desk, world: World, state: State) -> None:
    """The runner shuts down, and the deployment's policy is to reschedule."""
    run = (
        await deployed(desk)
        if state == Running()
        else (await desk.create(ELSEWHERE, deployment_id=clock.new_id())).run
    )
    answer = await desk.close(run, Scheduled(world.at))

    assert (answer.verdict, answer.run.state.name) == (Accept(answer.run.state), "Scheduled")
    assert await leases(desk) == 0
    assert isinstance((await desk.claim(run.id, ELSEWHERE)).verdict, Accept)


@pytest.mark.parametrize("given", [GONE, Completed(), Scheduled(clock.now()), Cancelled()], ids=str)
async def test_a_run_that_was_being_cancelled_is_cancelled(desk: Desk, given: State) -> None:
    run = await deployed(desk)
    task = await desk.begin(run)
    await desk.propose(run.id, Cancelling())
    answer = await desk.close(run, given)

    assert isinstance(answer.verdict, Accept)
    assert answer.run.state.type is StateType.CANCELLED
    assert (await desk.names(task.run.id))[-1] == "Cancelled"


@pytest.mark.promise("P13")
async def test_a_run_that_is_over_stays_as_it_is(desk: Desk) -> None:
    run = await deployed(desk)
    over = (await desk.propose(run.id, Completed(), epoch=run.epoch)).run
    answer = await desk.close(run, GONE)

    assert isinstance(answer.verdict, Abort)
    assert answer.run == over == await desk.flow_run(run.id)


@pytest.mark.promise("P13")
async def test_an_owner_of_the_past_closes_nothing(desk: Desk) -> None:
    run = await deployed(desk, retry=RetryPolicy(retries=1, on_crash=True))
    await desk.close(run, GONE)
    claimed = (await desk.claim(run.id)).run
    now = (await desk.propose(run.id, Running(), epoch=claimed.epoch)).run
    task = await desk.begin(now)
    answer = await desk.close(run, GONE)

    assert isinstance(answer.verdict, Abort)
    assert answer.run == now == await desk.flow_run(run.id)
    assert (await desk.names(task.run.id))[-1] == "Running"
    assert await leases(desk) == 1


@pytest.mark.promise("P13")
async def test_a_close_whose_answer_was_lost_is_answered_again_and_does_no_more(desk: Desk) -> None:
    run = await deployed(desk, retry=RetryPolicy(retries=1, on_crash=True))
    closing = clock.new_id()
    first = await desk.close(run, GONE, transition_id=closing)
    claimed = (await desk.claim(run.id)).run
    again = await desk.close(run, GONE, transition_id=closing)

    assert again.verdict == first.verdict
    assert again.run == claimed == await desk.flow_run(run.id)
    assert await leases(desk) == 1


async def test_a_run_that_does_not_exist_cannot_be_closed(desk: Desk) -> None:
    run = await deployed(desk)
    with pytest.raises(RunNotFound):
        await desk.close(evolve(run, id=clock.new_id()), GONE)


async def test_a_run_that_a_custom_rule_keeps_unfinished_keeps_its_owner(store: Store) -> None:
    @rule()
    def never_crash(proposal: Proposal) -> Abort:
        """Nothing crashes here."""
        return Abort("Nothing crashes here.", proposal.run.state)

    table = FLOW_RUNS.with_rule(never_crash, from_=StateType.RUNNING, to=StateType.CRASHED)
    desk = Desk(Orchestrator(store, table))
    run = await deployed(desk)
    answer = await desk.close(run, GONE)

    assert answer.verdict == Abort("Nothing crashes here.", run.state)
    assert await leases(desk) == 1
    assert isinstance((await desk.close(run, Failed())).verdict, Accept)
    assert await leases(desk) == 0


# --- the reaper


@pytest.mark.promise("P1")
@pytest.mark.parametrize(
    ("begin", "retry", "ended"),
    [
        ([], RetryPolicy(), "Scheduled"),
        ([Running()], RetryPolicy(), "Crashed"),
        ([Running()], RetryPolicy(retries=1), "Crashed"),
        ([Running()], RetryPolicy(retries=1, on_crash=True), "AwaitingRetry"),
        ([Running(), Cancelling()], RetryPolicy(retries=1, on_crash=True), "Cancelled"),
        ([Running(), Suspended()], RetryPolicy(), "Suspended"),
    ],
    ids=["pending", "running", "retries-failures", "retries-crashes", "cancelling", "suspended"],
)
async def test_of_a_dead_runners_runs_each_ends_or_is_given_back(
    desk: Desk, begin: list[State], retry: RetryPolicy, ended: str
) -> None:
    run = (await desk.create(DEAD, deployment_id=clock.new_id(), retry=retry)).run
    for state in begin:
        await desk.propose(run.id, state, epoch=run.epoch)
    await desk.orchestrator.store.transact(desk.orchestrator._reap_the_dead)

    assert (await desk.flow_run(run.id)).state.name == ended
    assert await leases(desk) == 0
    is_claimable = isinstance((await desk.claim(run.id)).verdict, Accept)
    assert is_claimable == (ended in {"Scheduled", "AwaitingRetry"})

"""A run whose process is gone is closed by its runner, or reaped: with all that is under it, and no more than that."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.orchestrator.conftest import DEAD, ELSEWHERE, Desk, World, evolve
from trioflow import clock
from trioflow.core.decisions import Proposal, rule
from trioflow.core.leases import LEASE_SECONDS
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
from trioflow.wire import endpoints, requests

GONE = Crashed(message="Flow run process exited with non-zero status code -9.")


async def deployed(desk: Desk, **fields: object) -> FlowRun:
    """A RUNNING run of some deployment."""
    return await desk.start(deployment_id=clock.new_id(), **fields)


async def leases(desk: Desk) -> int:
    ((count,),) = await desk.rows("SELECT count(*) FROM leases")
    return count


async def last(desk: Desk, run_id: UUID) -> State:
    """The last state of a run, as whoever proposed it put it."""
    request = requests.ReadHistory(run_id=run_id)
    states = (await desk.ask(endpoints.READ_HISTORY, request)).states
    return evolve(states[-1], id=None, timestamp=None)


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


async def test_it_is_told_why_each_of_them_ended(desk: Desk) -> None:
    run = await deployed(desk)
    asked_to_end = await desk.begin(run, 0)
    at_work = await desk.begin(run, 1)
    await desk.end(asked_to_end, Cancelling(), epoch=run.epoch)
    await desk.close(run, GONE)

    assert await last(desk, asked_to_end.run.id) == Cancelled(message="Its owner is gone.")
    assert await last(desk, at_work.run.id) == Crashed(message="The process that ran it is gone.")

    cancelled = await deployed(desk)
    task = await desk.begin(cancelled)
    await desk.propose(cancelled.id, Cancelling())
    await desk.close(cancelled, GONE)
    reason = Cancelled(message="Its process is gone.", cause="cancel_requested")
    assert await last(desk, cancelled.id) == reason
    assert await last(desk, task.run.id) == Cancelled(message="Its owner is gone.")


async def test_who_says_how_a_cancelled_run_ended_is_believed(desk: Desk) -> None:
    run = await deployed(desk)
    await desk.propose(run.id, Cancelling())
    await desk.close(run, Cancelled(message="It ended by itself."))

    assert await last(desk, run.id) == Cancelled(message="It ended by itself.")


async def test_what_runs_beside_it_goes_on(desk: Desk) -> None:
    run, other = await deployed(desk), await deployed(desk)
    beside = await desk.begin(other)
    await desk.close(run, GONE)

    assert await desk.names(beside.run.id) == ["Pending", "Running"]
    assert (await desk.flow_run(other.id)).state.name == "Running"
    assert await leases(desk) == 1


async def test_a_closed_run_waits_for_its_retry_as_long_as_it_drew(desk: Desk, world: World) -> None:
    jittered = RetryPolicy(retries=1, delays=(100.0,), jitter=0.5, on_crash=True)
    delays = []
    for draw in (0.0, 0.999999):
        run = await deployed(desk, retry=jittered)
        closed = (await desk.close(run, GONE, draw=draw)).run
        delays.append((closed.state.details.scheduled_time - world.at).total_seconds())
    assert delays == pytest.approx([50, 150], abs=0.01)


async def test_a_suspended_run_has_no_owner_when_it_is_closed(desk: Desk) -> None:
    run = await deployed(desk)
    await desk.close(run, Suspended())

    assert (await desk.flow_run(run.id)).state.name == "Suspended"
    assert await leases(desk) == 0


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

CAUSES = {"Crashed": "lease_expired", "Cancelled": "lease_expired"}


@pytest.mark.promise("P1")
async def test_what_was_under_a_dead_owner_is_told_so(desk: Desk) -> None:
    run = await desk.start(DEAD)
    ending, task = await desk.begin(run, 0), await desk.begin(run, 1)
    await desk.end(ending, Cancelling(), epoch=run.epoch)
    over = await desk.end(await desk.begin(run, 2), epoch=run.epoch)
    await desk.orchestrator.store.transact(desk.orchestrator._reap_the_dead)

    assert await last(desk, ending.run.id) == Cancelled(message="Its owner is gone.", cause="lease_expired")
    gone = Crashed(message="The process that ran it is gone.", cause="lease_expired")
    assert await last(desk, task.run.id) == await last(desk, run.id) == gone
    assert await desk.names(over.run.id) == ["Pending", "Running", "Completed"]


@pytest.mark.promise("P1")
async def test_of_several_dead_owners_each_one_s_tasks_end_as_its_own_run_does(
    desk: Desk, world: World
) -> None:
    runs = [await desk.start(ELSEWHERE) for _ in range(3)]
    tasks = [(await desk.begin(run)).run.id for run in runs]
    await desk.propose(runs[1].id, Cancelling())
    world.forward(seconds=LEASE_SECONDS)
    await desk.orchestrator.store.transact(desk.orchestrator._reap_the_dead)

    assert [(await desk.names(task))[-1] for task in tasks] == ["Crashed", "Cancelled", "Crashed"]


@pytest.mark.promise("P1")
async def test_the_mirror_of_a_dead_owner_s_subflow_shows_its_end_once(desk: Desk) -> None:
    run = await desk.start(DEAD)
    mirror = await desk.begin(run)
    child = await desk.create(
        state=Running(), parent_task_run_id=mirror.run.id, root_id=run.id, epoch=run.epoch
    )
    await desk.orchestrator.store.transact(desk.orchestrator._reap_the_dead)

    assert await desk.names(child.run.id) == ["Running", "Crashed"]
    assert (await desk.names(mirror.run.id)).count("Crashed") == 1
    shown = (await last(desk, mirror.run.id)).details
    assert (shown.child_flow_run_id, shown.cause) == (child.run.id, "lease_expired")


@pytest.mark.promise("P1")
async def test_a_task_of_a_dead_owner_that_stood_alone_has_crashed(desk: Desk) -> None:
    id_ = clock.new_id()
    alone = await desk.ask(
        endpoints.BEGIN_TASK_RUN,
        requests.BeginTaskRun(
            id=id_,
            task_key="check",
            dynamic_key=id_.hex,
            name="check",
            state=Running(),
            transition_id=clock.new_id(),
            root_id=id_,
            epoch=1,
            owner=DEAD,
        ),
    )
    await desk.orchestrator.store.transact(desk.orchestrator._reap_the_dead)

    gone = Crashed(message="The process that ran it is gone.", cause="lease_expired")
    assert await last(desk, alone.run.id) == gone


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
    assert (await last(desk, run.id)).details.cause == CAUSES.get(ended)
    assert await leases(desk) == 0
    is_claimable = isinstance((await desk.claim(run.id)).verdict, Accept)
    assert is_claimable == (ended in {"Scheduled", "AwaitingRetry"})

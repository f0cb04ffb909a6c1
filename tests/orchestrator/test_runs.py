"""What is asked of the orchestrator is decided, written and answered, once."""

from __future__ import annotations

import pytest
import trio

from tests.orchestrator.conftest import DEAD, ELSEWHERE, Desk
from trioflow import clock
from trioflow.core.recorded import RecordedResult
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
    StateType,
)
from trioflow.core.verdicts import Abort, Accept, Reject, Wait
from trioflow.errors import InvalidFilter, RunNotFound
from trioflow.processes import this_process
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import FlowRunFilter


async def test_a_created_run_is_owned_from_its_first_moment(desk: Desk) -> None:
    answer = await desk.create(this_process())
    assert isinstance(answer.verdict, Accept)
    assert (answer.run.state.type, answer.run.epoch, answer.run.version) == (StateType.PENDING, 1, 1)
    assert await desk.rows("SELECT epoch, pid FROM leases") == [(1, this_process().pid)]


async def test_creating_a_run_twice_creates_it_once(desk: Desk) -> None:
    first = await desk.create(this_process())
    again = await desk.create(this_process(), id=first.run.id)
    assert again.run == first.run
    assert await desk.names(first.run.id) == ["Pending"]


async def test_a_flow_run_goes_from_pending_to_completed_and_gives_up_its_lease(desk: Desk) -> None:
    run = await desk.start()
    answer = await desk.propose(run.id, Completed(), epoch=run.epoch)
    assert isinstance(answer.verdict, Accept)
    assert await desk.names(run.id) == ["Pending", "Running", "Completed"]
    assert answer.run.version == 3
    assert answer.run.attempt == 1
    assert answer.run.times.ended == answer.run.state.timestamp
    assert await desk.rows("SELECT * FROM leases") == []
    assert await desk.flow_run(run.id) == answer.run


async def test_a_task_that_goes_well_takes_two_requests_and_three_states(desk: Desk) -> None:
    run = await desk.start()
    began = await desk.begin(run)
    ended = await desk.end(began, epoch=run.epoch)
    assert (began.run.state.name, ended.run.state.name) == ("Running", "Completed")
    assert await desk.names(began.run.id) == ["Pending", "Running", "Completed"]
    assert await desk.ask(endpoints.READ_TASK_RUN, requests.ReadTaskRun(run_id=began.run.id)) == ended.run


@pytest.mark.promise("P12")
async def test_a_recorded_result_is_the_answer_to_the_same_call(desk: Desk) -> None:
    run = await desk.start()
    ended = await desk.end(await desk.begin(run), epoch=run.epoch)
    again = await desk.begin(run)
    assert again.verdict == Reject(ended.run.state, again.verdict.reason)
    assert again.run == ended.run
    assert again.run.state.data == RecordedResult(serializer="json", inline="1", size=1)


@pytest.mark.promise("P13")
@pytest.mark.behaviour("OR-01")
async def test_a_transition_that_is_asked_twice_gets_its_first_answer(desk: Desk) -> None:
    run = await desk.start()
    begin = desk.begin_request(run, retry=RetryPolicy(retries=1))
    first = await desk.ask(endpoints.BEGIN_TASK_RUN, begin)
    failing = clock.new_id()
    failed = await desk.end(first, Failed(), transition_id=failing, epoch=run.epoch)
    assert isinstance(failed.verdict, Reject)
    assert failed.run.state.name == "AwaitingRetry"
    again = await desk.ask(endpoints.BEGIN_TASK_RUN, begin)
    assert again.verdict == first.verdict
    failed_again = await desk.end(first, Failed(), transition_id=failing, epoch=run.epoch)
    assert failed_again.verdict == failed.verdict
    assert await desk.names(first.run.id) == ["Pending", "Running", "AwaitingRetry"]


@pytest.mark.promise("P13")
async def test_a_stale_owner_is_not_heard(desk: Desk) -> None:
    run = await desk.start()
    task = await desk.begin(run)
    answer = await desk.end(task, epoch=run.epoch - 1)
    assert isinstance(answer.verdict, Abort)
    assert answer.run == task.run


@pytest.mark.promise("P13")
async def test_a_final_state_absorbs_every_later_report(desk: Desk) -> None:
    run = await desk.start()
    ended = (await desk.propose(run.id, Failed(), epoch=run.epoch)).run
    for late in (Completed(), Crashed(), Running(), Cancelling(), Pending(), Scheduled(clock.now())):
        answer = await desk.propose(run.id, late, epoch=run.epoch)
        assert not isinstance(answer.verdict, Accept | Wait), late
        assert answer.run == ended


@pytest.mark.behaviour("CR-04")
async def test_the_crash_of_a_flow_and_of_a_task_is_judged_like_any_other_proposal(desk: Desk) -> None:
    run = await desk.start()
    task = await desk.begin(run)
    ended, ending = await desk.end(await desk.begin(run, 1), epoch=run.epoch), await desk.start()
    await desk.propose(ending.id, Cancelling())

    answers = [
        await desk.end(ended, Crashed(), epoch=run.epoch),
        await desk.end(task, Crashed(), epoch=run.epoch - 1),
        await desk.end(task, Crashed(), epoch=run.epoch),
        await desk.propose(run.id, Crashed(), epoch=run.epoch),
        await desk.propose(run.id, Crashed(), epoch=run.epoch),
        await desk.propose(ending.id, Crashed(), epoch=ending.epoch),
    ]

    assert [type(answer.verdict) for answer in answers] == [Abort, Abort, Accept, Accept, Abort, Reject]
    assert [await desk.names(each) for each in (run.id, task.run.id)] == [
        ["Pending", "Running", "Crashed"]
    ] * 2


async def test_a_run_that_is_owned_cannot_be_claimed(desk: Desk) -> None:
    run = await desk.start(ELSEWHERE)
    answer = await desk.claim(run.id)
    assert isinstance(answer.verdict, Abort)
    assert "owned by process 1" in answer.verdict.reason
    assert answer.run == run


async def test_a_scheduled_run_is_claimed_once(desk: Desk) -> None:
    run = (await desk.create(state=Scheduled(clock.now()))).run
    first, second = await desk.claim(run.id), await desk.claim(run.id, ELSEWHERE)
    assert isinstance(first.verdict, Accept)
    assert isinstance(second.verdict, Abort)
    assert first.run.epoch == second.run.epoch == 1


@pytest.mark.promise("P1")
async def test_a_dead_owner_of_this_host_is_known_at_once(desk: Desk) -> None:
    run = await desk.start(DEAD)
    task = await desk.begin(run)
    claimed = await desk.claim(run.id, rerun=True)
    assert isinstance(claimed.verdict, Accept)
    assert claimed.run.epoch > run.epoch
    assert await desk.names(run.id) == ["Pending", "Running", "Crashed", "Scheduled", "Pending"]
    assert await desk.names(task.run.id) == ["Pending", "Running", "Crashed"]


async def test_a_run_that_is_over_is_claimed_only_as_a_declared_rerun(desk: Desk) -> None:
    run = await desk.start()
    over = (await desk.propose(run.id, Completed(), epoch=run.epoch)).run
    refused = await desk.claim(run.id)
    assert not isinstance(refused.verdict, Accept)
    assert refused.run == over
    assert isinstance((await desk.claim(run.id, rerun=True)).verdict, Accept)


@pytest.mark.promise("P12")
async def test_a_rerun_takes_up_what_is_recorded_and_runs_the_rest(desk: Desk) -> None:
    run = await desk.start(DEAD)
    recorded = await desk.end(await desk.begin(run, 0), epoch=run.epoch)
    orphan = await desk.begin(run, 1)
    claimed = (await desk.claim(run.id, rerun=True)).run
    second = (await desk.propose(run.id, Running(), epoch=claimed.epoch)).run
    assert second.attempt == 2
    assert isinstance((await desk.begin(second, 0)).verdict, Reject)
    again = await desk.begin(second, 1)
    assert isinstance(again.verdict, Accept)
    assert again.run.id == orphan.run.id
    assert (await desk.begin(second, 0)).run == recorded.run


async def test_opening_reaps_whoever_died_before(desk: Desk) -> None:
    run = await desk.start(DEAD)
    await desk.orchestrator.open()
    assert (await desk.flow_run(run.id)).state.details.cause == "lease_expired"
    assert await desk.rows("SELECT * FROM leases") == []


async def test_the_reaper_leaves_a_living_owner_and_another_host_alone(desk: Desk) -> None:
    mine, theirs = await desk.start(), await desk.start(ELSEWHERE)
    await desk.orchestrator.open()
    assert [await desk.flow_run(run.id) for run in (mine, theirs)] == [mine, theirs]


@pytest.mark.promise("P1")
async def test_a_reaped_owner_is_fenced_off(desk: Desk) -> None:
    run = await desk.start(DEAD)
    await desk.orchestrator.open()
    answer = await desk.propose(run.id, Completed(), epoch=run.epoch)
    assert isinstance(answer.verdict, Abort)


async def test_a_dead_run_that_was_being_cancelled_is_cancelled_with_its_tasks(desk: Desk) -> None:
    run = await desk.start(DEAD)
    task = await desk.begin(run)
    await desk.propose(run.id, Cancelling(), epoch=run.epoch)
    await desk.orchestrator.open()
    assert (await desk.names(run.id))[-1] == "Cancelled"
    assert (await desk.names(task.run.id))[-1] == "Cancelled"


async def test_cancelling_a_run_that_nobody_owns_cancels_it(desk: Desk) -> None:
    run = (await desk.create(state=Scheduled(clock.now()))).run
    answer = await desk.propose(run.id, Cancelling())
    assert answer.run.state.type is StateType.CANCELLED


async def test_cancelling_an_owned_run_asks_its_owner(desk: Desk) -> None:
    run = await desk.start()
    answer = await desk.propose(run.id, Cancelling())
    assert answer.run.state.type is StateType.CANCELLING
    done = await desk.propose(run.id, Completed(), epoch=run.epoch)
    assert isinstance(done.verdict, Reject)
    cancelled = await desk.propose(run.id, Cancelled(), epoch=run.epoch)
    assert cancelled.run.state.type is StateType.CANCELLED


async def test_one_who_names_an_unknown_run_gets_the_error_and_nobody_else_does(desk: Desk) -> None:
    run = await desk.start()
    outcomes: list[object] = []

    async def begin(flow_run: object) -> None:
        try:
            outcomes.append((await desk.begin(flow_run)).verdict)  # type: ignore[arg-type]
        except RunNotFound as error:
            outcomes.append(error)

    async def end_nothing() -> None:
        with pytest.raises(RunNotFound, match="there is no flow run"):
            await desk.propose(clock.new_id(), Running(), epoch=1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(begin, run)
        nursery.start_soon(end_nothing)
    assert [type(outcome) for outcome in outcomes] == [Accept]


async def test_a_rename_changes_the_name_alone(desk: Desk) -> None:
    run = await desk.start()
    await desk.ask(endpoints.RENAME_RUN, requests.RenameRun(run_id=run.id, name="calm-crane"))
    renamed = await desk.flow_run(run.id)
    assert renamed.name == "calm-crane"
    assert (renamed.version, renamed.state) == (run.version, run.state)


async def test_a_subflow_shows_on_the_task_run_that_stands_for_it(desk: Desk) -> None:
    parent = await desk.start()
    stand_in = await desk.begin(parent, state=Pending(), name="child-0")
    created = await desk.create(root_id=parent.id, parent_task_run_id=stand_in.run.id, epoch=parent.epoch)
    child = created.run
    await desk.propose(child.id, Running(), epoch=parent.epoch)
    await desk.propose(child.id, Completed(), epoch=parent.epoch)
    shown = await desk.ask(endpoints.READ_TASK_RUN, requests.ReadTaskRun(run_id=stand_in.run.id))
    assert (shown.state.name, shown.state.details.child_flow_run_id) == ("Completed", child.id)
    assert await desk.names(stand_in.run.id) == ["Pending", "Pending", "Running", "Completed"]
    assert await desk.rows("SELECT count(*) FROM leases") == [(1,)]


async def test_a_run_is_found_by_the_beginning_and_by_the_end_of_its_id(desk: Desk) -> None:
    runs = [await desk.start() for _ in range(3)]

    async def find(**which: str) -> list[FlowRun]:
        request = requests.FindFlowRuns(filter=FlowRunFilter(**which))
        return list((await desk.ask(endpoints.FIND_FLOW_RUNS, request)).runs)

    wanted = runs[1]
    assert await find(id_prefix=str(wanted.id)) == [wanted]
    assert await find(id_suffix=wanted.id.hex[-12:]) == [wanted]
    assert await find(id_suffix=wanted.id.hex[-12:].upper()) == [wanted]
    assert await find() == runs[::-1]
    with pytest.raises(InvalidFilter, match="give hex digits"):
        await find(id_prefix="brave-otter")

"""The link: the child's client answers as the runner's does, many calls at once, each cancelled by itself."""

from __future__ import annotations

import pytest
import trio

from tests.client.conftest import Held, call, create_request
from trioflow import clock
from trioflow.client.link import AT_ONCE
from trioflow.client.link_frames import LONGEST_FRAME
from trioflow.core.states import Running, StateType
from trioflow.errors import MessageTooLarge, RunNotFound, StoreFull, TrioflowBug
from trioflow.wire import endpoints
from trioflow.wire.filters import ChangeFilter, FlowRunFilter
from trioflow.wire.replies import Done, FlowRuns
from trioflow.wire.requests import FindFlowRuns, ProposeFlowRunState, ReadFlowRun

LEFT = "the other side closed it"


def raises_when_answered(error):
    def answer(request):
        raise error

    return answer


async def settled(linked):
    """Everything that was said so far has been heard at both ends."""
    await linked.client.now()
    await trio.testing.wait_all_tasks_blocked()


# --- calls


async def test_a_run_that_is_created_over_the_link_is_the_one_that_the_runners_client_reads(link, local):
    linked = await link(local)
    request = create_request(parameters={"depth": 3})

    answer = await linked.client.call(endpoints.CREATE_FLOW_RUN, request)

    assert answer.run == await local.call(endpoints.READ_FLOW_RUN, ReadFlowRun(run_id=request.id))
    assert answer.run.state.type is StateType.PENDING


async def test_the_error_of_a_call_is_raised_as_itself_and_the_link_goes_on(link, local):
    linked = await link(local)
    unknown = clock.new_id()

    with pytest.raises(RunNotFound, match=str(unknown)):
        await linked.client.call(endpoints.READ_FLOW_RUN, ReadFlowRun(run_id=unknown))
    assert await linked.client.now() == await local.now()


@pytest.mark.parametrize(
    ("raised", "heard"),
    [
        (StoreFull("No space."), StoreFull("No space.")),
        (KeyError("epoch"), TrioflowBug("KeyError: 'epoch'")),
    ],
    ids=repr,
)
async def test_what_the_runners_client_raises_reaches_the_one_who_asked(link, raised, heard):
    held = Held(raises_when_answered(raised))
    held.let_go.set()
    linked = await link(held)

    with pytest.raises(type(heard)) as caught:
        await call(linked)

    assert (type(caught.value), str(caught.value)) == (type(heard), str(heard))
    assert await linked.client.now() == 1


async def test_each_of_many_callers_gets_the_answer_to_its_own_question(link, local):
    linked = await link(local)
    created = [
        await local.call(endpoints.CREATE_FLOW_RUN, create_request(name=f"run-{i}")) for i in range(100)
    ]
    read = {}

    async def ask(run_id):
        read[run_id] = await linked.client.call(endpoints.READ_FLOW_RUN, ReadFlowRun(run_id=run_id))

    async with trio.open_nursery() as nursery:
        for answer in created:
            nursery.start_soon(ask, answer.run.id)

    assert read == {answer.run.id: answer.run for answer in created}


async def test_what_waits_goes_out_in_one_write(link):
    held = Held()
    linked = await link(held)
    sent = []
    pump = linked.child.stream.send_stream.send_all_hook

    async def note_and_pump():
        sent.append(1)
        await pump()

    linked.child.stream.send_stream.send_all_hook = note_and_pump

    async with trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(call, linked)
        await trio.testing.wait_all_tasks_blocked()
        assert (len(sent), len(held.asked)) == (1, 200)
        held.let_go.set()


async def test_requests_are_taken_up_in_the_order_in_which_they_were_made(link):
    """Trio starts tasks of one turn in either order, so ten rounds would show a mix-up 1,023 times in 1,024."""
    held = Held()
    linked = await link(held)
    made = []

    async def ask(name):
        made.append(name)
        await call(linked, name)

    async with trio.open_nursery() as nursery:
        for round_ in range(10):
            for i in range(20):
                nursery.start_soon(ask, f"{round_}-{i}")
            await trio.testing.wait_all_tasks_blocked()
        held.let_go.set()

    assert [request.name for request in held.asked] == made


async def test_the_runner_works_on_so_many_requests_at_once_and_on_the_rest_after_them(link):
    held = Held()
    linked = await link(held)

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE + 50):
            nursery.start_soon(call, linked)
        await trio.testing.wait_all_tasks_blocked()
        assert len(held.asked) == AT_ONCE
        held.let_go.set()

    assert len(held.done) == AT_ONCE + 50


async def test_a_request_that_fits_into_no_frame_is_refused_where_it_is_made(link):
    held = Held()
    held.let_go.set()
    linked = await link(held)

    with pytest.raises(MessageTooLarge):
        await call(linked, "x" * LONGEST_FRAME)
    assert await call(linked) == Done()


async def test_a_reply_that_fits_into_no_frame_is_an_error_of_its_call(link):
    held = Held(lambda request: FlowRuns((), ("x" * LONGEST_FRAME,)))
    held.let_go.set()
    linked = await link(held)

    with pytest.raises(MessageTooLarge):
        await linked.client.call(endpoints.FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter()))
    assert await linked.client.now() == 1


# --- cancelling a call


async def test_a_call_that_is_cancelled_before_it_is_begun_is_not_done(link):
    held = Held()
    linked = await link(held)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call, linked)
        await held.arrived.wait()
        nursery.cancel_scope.cancel()
    held.let_go.set()
    await settled(linked)

    assert nursery.cancel_scope.cancelled_caught
    assert held.done == []


async def test_a_call_that_is_cancelled_when_it_is_begun_is_done_and_answered(link):
    held = Held(committed=True)
    linked = await link(held)
    answers = []

    async def ask():
        answers.append(await call(linked))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await held.arrived.wait()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
        held.let_go.set()

    assert answers == [Done()]
    assert not nursery.cancel_scope.cancelled_caught


async def test_a_cancelled_call_leaves_the_others_alone(link):
    held = Held()
    linked = await link(held)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call, linked, "kept")
        with trio.move_on_after(0):
            await call(linked, "never made")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as other:
                other.start_soon(call, linked, "cancelled")
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        held.let_go.set()

    assert [request.name for request in held.asked] == ["kept", "cancelled"]
    assert [request.name for request in held.done] == ["kept"]


# --- changes, and the runner's wish


async def test_changes_are_heard_over_the_link(link, local):
    linked = await link(local)
    created = await local.call(endpoints.CREATE_FLOW_RUN, create_request())
    mine = ChangeFilter(root_ids=frozenset({created.run.id}))
    heard = []

    async def listen(after):
        heard.append(await linked.client.changes(after, mine))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, await linked.client.now())
        await trio.testing.wait_all_tasks_blocked()
        await local.call(endpoints.CREATE_FLOW_RUN, create_request())
        proposal = ProposeFlowRunState(run_id=created.run.id, state=Running(), transition_id=clock.new_id())
        await local.call(endpoints.PROPOSE_FLOW_RUN_STATE, proposal)

    ((change,),) = [changes.items for changes in heard]
    assert (change.run_id, change.type, change.number) == (created.run.id, StateType.RUNNING, heard[0].last)


async def test_who_has_heard_of_a_change_listens_no_more(link, local):
    linked = await link(local)
    await linked.client.call(endpoints.CREATE_FLOW_RUN, create_request())
    await linked.client.changes(0, ChangeFilter())

    linked.child.scope.cancel()

    await linked.runner.over.wait()
    assert linked.runner.reason == LEFT


async def test_the_runner_can_ask_the_child_to_end(link):
    linked = await link(Held())

    linked.served.cancel("The runner is stopping.")

    assert await linked.client.wait_cancel_request() == "The runner is stopping."

"""The link: the child's client answers as the runner's does, and its end is heard at the other end."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import pytest
import trio

from tests.client.conftest import Held, create_request, rename
from trioflow import clock
from trioflow.client.link import AT_ONCE, inherited_link
from trioflow.client.link_frames import LONGEST_FRAME, Frame, Kind, encode
from trioflow.core.states import Running, StateType
from trioflow.errors import LinkClosed, MessageTooLarge, RunNotFound, StoreFull, TrioflowBug
from trioflow.wire import endpoints
from trioflow.wire.converter import to_json
from trioflow.wire.filters import ChangeFilter, FlowRunFilter
from trioflow.wire.replies import Done, FlowRuns
from trioflow.wire.requests import FindFlowRuns, ProposeFlowRunState, ReadFlowRun

LEFT = "the other side closed it"
CLOSED = "The link to the runner is closed: "


@pytest.fixture(autouse=True)
async def watchdog(nursery, autojump_clock):
    """Time passes only when nobody has anything to do: who waits for ever fails at once."""
    nursery.start_soon(_bark)


async def _bark():
    await trio.sleep(3600)
    pytest.fail("somebody waits for ever")


async def call(linked, name="x"):
    return await linked.client.call(endpoints.RENAME_RUN, rename(name))


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


# --- the end of the link


async def test_a_runner_that_is_gone_ends_all_calls_under_way_and_all_later_ones(link):
    held = Held()
    linked = await link(held)
    ended = []

    async def ask():
        try:
            await call(linked)
        except LinkClosed as error:
            ended.append(str(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
        await held.arrived.wait()
        linked.runner.scope.cancel()

    assert ended == [f"{CLOSED}{LEFT}."] * 2
    assert await linked.client.wait_closed() == LEFT
    with pytest.raises(LinkClosed, match=LEFT):
        await call(linked)
    await linked.child.over.wait()
    assert linked.child.reason == LEFT


async def test_when_a_child_is_gone_what_it_had_asked_for_is_done_and_nobody_listens_for_it(link):
    held = Held()
    linked = await link(held)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call_until_closed, linked)
        nursery.start_soon(listen_until_closed, linked)
        await trio.testing.wait_all_tasks_blocked()
        linked.child.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert not linked.runner.over.is_set()
        held.let_go.set()

    await linked.runner.over.wait()
    assert (len(held.done), linked.runner.reason) == (1, LEFT)


async def call_until_closed(linked):
    with suppress(LinkClosed):
        await call(linked)


async def listen_until_closed(linked):
    with suppress(LinkClosed):
        await linked.client.changes(0, ChangeFilter())


async def test_a_child_that_closes_its_end_tells_those_of_its_tasks_that_wait(link):
    held = Held()
    linked = await link(held)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call_until_closed, linked)
        await held.arrived.wait()
        linked.child.scope.cancel()

    assert await linked.client.wait_closed() == "this process closed it"


async def test_who_was_cancelled_when_the_link_closed_is_cancelled(link):
    held = Held(committed=True)
    linked = await link(held)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call, linked)
        await held.arrived.wait()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
            linked.runner.scope.cancel()
            held.let_go.set()

    assert nursery.cancel_scope.cancelled_caught


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\xff\xff\xff\xff", "a frame of 4294967295 bytes was announced"),
        (b"\0\0\0\x04null", "a frame cannot be read"),
        (encode(Frame(Kind.REPLY, 1)), "the child sent reply 1, which means nothing here"),
        (encode(Frame(Kind.REQUEST, 1, "format_disk")), "there is no endpoint 'format_disk'"),
        (encode(Frame(Kind.REQUEST, 1, "rename_run", b"[]")), "rename_run: b'[]' does not spell a RenameRun"),
        (encode(Frame(Kind.REQUEST, 1, "rename_run", b"{")), "rename_run: b'{' does not spell a RenameRun"),
    ],
)
async def test_a_child_that_breaks_the_rules_is_told_how_and_left(link, said, reason):
    linked = await link(Held())

    await linked.child.stream.send_all(said)

    assert (await linked.client.wait_closed()).startswith(reason)
    await linked.runner.over.wait()
    assert linked.runner.reason is not None
    assert linked.runner.reason.startswith(reason)


async def test_a_number_cannot_be_used_twice_at_once(link):
    held = Held()
    linked = await link(held)

    await linked.child.stream.send_all(encode(Frame(Kind.REQUEST, 9, "rename_run", to_json(rename("x")))) * 2)
    await held.arrived.wait()
    held.let_go.set()

    await linked.runner.over.wait()
    assert (linked.runner.reason, len(held.done)) == ("the child sent request 9, which means nothing here", 1)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\xff\xff\xff\xff", "a frame of 4294967295 bytes was announced"),
        (encode(Frame(Kind.REPLY, 77)), "the runner sent a reply 77 that nobody waits for"),
        (encode(Frame(Kind.REQUEST, 1, "now")), "the runner sent a request 1 that nobody waits for"),
    ],
)
async def test_a_runner_that_breaks_the_rules_is_told_how_and_left(link, said, reason):
    linked = await link(Held())

    await linked.runner.stream.send_all(said)

    assert (await linked.client.wait_closed()).startswith(reason)
    await linked.runner.over.wait()
    assert linked.runner.reason is not None
    assert linked.runner.reason.startswith(reason)


async def test_a_link_that_breaks_amid_a_frame_says_so(link):
    linked = await link(Held())

    await linked.runner.stream.send_all(encode(Frame(Kind.REPLY, 1))[:-1])
    await linked.runner.stream.send_eof()

    assert await linked.client.wait_closed() == f"{LEFT} amid a frame"


async def test_a_withdrawal_that_nobody_asked_for_is_a_bug_at_its_caller(link):
    held = Held()
    linked = await link(held)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_withdraw, linked, held)
        with pytest.raises(TrioflowBug, match="withdrew what nobody had cancelled"):
            await call(linked)


async def _withdraw(linked, held):
    await held.arrived.wait()
    await linked.runner.stream.send_all(encode(Frame(Kind.WITHDRAWN, 1)))


# --- inheriting it


async def test_an_inherited_link_is_not_inherited_further():
    ours, theirs = socket.socketpair()
    os.set_inheritable(theirs.fileno(), True)

    async with (
        inherited_link(theirs.detach()) as inherited,
        trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as other,
    ):
        assert not os.get_inheritable(inherited.socket.fileno())
        await inherited.send_all(b"here")
        assert await other.receive_some() == b"here"


async def test_a_descriptor_that_is_no_socket_is_no_link():
    readable, writable = os.pipe()

    with pytest.raises(LinkClosed, match=f"descriptor {readable} is no link"):
        inherited_link(readable)

    os.close(readable)
    os.close(writable)

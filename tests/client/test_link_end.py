"""How a link ends, at either end, and how a process comes by its own."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import pytest
import trio
from trio.testing import memory_stream_pair

from tests.client.conftest import Held, call, rename
from trioflow.client.link import inherited_link, serve_link
from trioflow.client.link_frames import Frame, Kind, encode
from trioflow.errors import LinkClosed, TrioflowBug
from trioflow.wire.converter import to_json
from trioflow.wire.filters import ChangeFilter

LEFT = "the other side closed it"
CLOSED = "The link to the runner is closed: "


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


async def test_a_child_that_is_gone_as_soon_as_it_has_asked_for_changes_holds_nothing_up(autojump_clock):
    child, runner = memory_stream_pair()
    await child.send_all(encode(Frame(Kind.REQUEST, 1, "changes", b'{"after":0,"which":{}}')))
    await child.send_eof()

    with trio.fail_after(60):
        assert await serve_link(runner, Held()) == LEFT


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
        (encode(Frame(Kind.CLOSE, body=b"no \xff JSON")), "no � JSON"),
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

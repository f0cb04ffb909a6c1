"""Both ends of a link in one process, over memory streams, and a client that answers when it is told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import memory_stream_pair

from trioflow import clock
from trioflow.client.client import Client
from trioflow.client.connect import serve_store
from trioflow.client.link import LinkClient, ServedLink, open_link, serve_link
from trioflow.core.states import Pending
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests
from trioflow.wire.endpoints import Endpoint
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.replies import Changes, Done


@define(eq=False)
class End:
    """One end of a link at work, in a scope of its own. ``reason`` is there when it is over."""

    stream: trio.StapledStream
    at: Any = None
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    reason: str | None = None
    over: trio.Event = field(factory=trio.Event)

    async def run(self, end: Callable[..., Awaitable[str]], *given: Any, task_status: Any) -> None:
        with self.scope:
            async with trio.open_nursery() as nursery:
                self.at = await nursery.start(self._run, end, *given)
                task_status.started(self)
        self.over.set()

    async def _run(self, end: Callable[..., Awaitable[str]], *given: Any, task_status: Any) -> None:
        self.reason = await end(self.stream, *given, task_status=task_status)


@define(eq=False)
class Linked:
    """A link with both of its ends."""

    child: End
    runner: End

    @property
    def client(self) -> LinkClient:
        return self.child.at

    @property
    def served(self) -> ServedLink:
        return self.runner.at


@define(eq=False)
class Held:
    """A client that notes what it is asked, and answers when it is let go."""

    answer: Callable[[Any], Any] = lambda request: Done()
    committed: bool = False
    """What is asked counts as begun: it cannot be cancelled any more."""
    asked: list[Any] = field(factory=list)
    done: list[Any] = field(factory=list)
    arrived: trio.Event = field(factory=trio.Event)
    let_go: trio.Event = field(factory=trio.Event)

    async def call(self, endpoint: Endpoint[Any, Any], request: Any) -> Any:
        self.asked.append(request)
        self.arrived.set()
        with trio.CancelScope(shield=self.committed):
            await self.let_go.wait()
        self.done.append(request)
        return self.answer(request)

    async def changes(self, after: int, which: ChangeFilter) -> Changes:
        self.arrived.set()
        await trio.sleep_forever()
        raise AssertionError

    async def now(self) -> int:
        return len(self.asked)


@pytest.fixture
async def link(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> Callable[[Client], Awaitable[Linked]]:
    """Links a child to a client. Time passes only when nobody has anything to do: who waits for ever fails at once."""
    nursery.start_soon(_bark)

    async def make(client: Client) -> Linked:
        child, runner = map(End, memory_stream_pair())
        await nursery.start(runner.run, serve_link, client)
        await nursery.start(child.run, open_link)
        return Linked(child, runner)

    return make


async def _bark() -> None:
    await trio.sleep(3600)
    pytest.fail("somebody waits for ever")


@pytest.fixture
async def local(nursery: trio.Nursery) -> Client:
    """A client on a store in memory."""
    return await nursery.start(serve_store, open_memory())


def create_request(**fields: Any) -> requests.CreateFlowRun:
    id_ = clock.new_id()
    given = {"id": id_, "flow_name": "audit", "name": "brave-otter", "state": Pending(), "transition_id": id_}
    return requests.CreateFlowRun(**{**given, **fields})


async def call(linked: Linked, name: str = "x") -> Done:
    """One request of the child's."""
    return await linked.client.call(endpoints.RENAME_RUN, rename(name))


def rename(name: str) -> requests.RenameRun:
    return requests.RenameRun(run_id=clock.new_id(), name=name)

"""The link between a run's process and its runner: a `Client` at the child's end, and who answers it at the other.

One socket pair a child. Calls of all the child's tasks share it, each under a number of its own: what waits goes out
in one write, and the runner takes requests up in the order in which they came, so that they share its transactions.
The runner may ask the child to end. The link's own end says that the other process is gone.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NoReturn, TypeVar, final

import trio
from attrs import define, field, frozen

from trioflow.client.client import Client
from trioflow.client.link_channel import Channel
from trioflow.client.link_frames import Frame, Kind, error_from, refusal
from trioflow.errors import LinkClosed, MessageTooLarge, TrioflowBug, TrioflowError
from trioflow.wire.converter import from_json, to_json
from trioflow.wire.endpoints import ENDPOINTS, Endpoint
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.replies import Changes

T = TypeVar("T")
Request = TypeVar("Request")
Reply = TypeVar("Reply")

AT_ONCE = 1_000
"""How many requests of one child the runner works on; the rest waits in the socket, and then in the child."""

logger = logging.getLogger("trioflow.client.link")


@frozen
class _ChangesAfter:
    after: int
    which: ChangeFilter


@frozen
class _NewestChange:
    pass


_CHANGES = Endpoint("changes", "GET", "/changes", _ChangesAfter, Changes)
_NOW = Endpoint("now", "GET", "/changes/now", _NewestChange, int)
_ENDPOINTS: dict[str, Endpoint[Any, Any]] = {each.name: each for each in (*ENDPOINTS, _CHANGES, _NOW)}


def inherited_link(fd: int) -> trio.SocketStream:
    """The end of a link that this process inherited. The processes that it starts will not inherit it.

    Raises:
        LinkClosed: the descriptor is no socket.
    """
    try:
        os.set_inheritable(fd, False)  # noqa: FBT003 - as os has it
        return trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=fd)))
    except OSError as error:
        raise LinkClosed(f"descriptor {fd} is no link: {error}") from error


# --- the child's end


async def open_link(
    stream: trio.abc.Stream, *, task_status: trio.TaskStatus[LinkClient] = trio.TASK_STATUS_IGNORED
) -> str:
    """Speak to the runner over ``stream`` until the link is closed. Returns why it was; starts with a `LinkClient`."""
    channel = Channel(stream)
    client = LinkClient(channel)
    task_status.started(client)
    try:
        return await channel.run(client.listen)
    finally:
        client.close("this process closed it")


@final
@define(eq=False)
class _Question:
    """A request under way. ``answer`` is there when its task runs again."""

    task: trio.lowlevel.Task
    answer: Frame | LinkClosed | None = None
    cancel: Callable[[], NoReturn] | None = None
    """Raises Cancelled in the task, which was cancelled meanwhile."""


@final
@define(eq=False)
class LinkClient:
    """The runner's client, from its child; see `trioflow.client.client.Client`.

    Once the link is closed, whoever waits for an answer, and whoever asks later, gets `LinkClosed`.
    """

    _channel: Channel
    _numbers: Iterator[int] = field(factory=lambda: count(1), init=False)
    _questions: dict[int, _Question] = field(factory=dict[int, _Question], init=False)
    _cancel: str = field(default="", init=False)
    _cancel_requested: trio.Event = field(factory=trio.Event, init=False)
    _reason: str = field(default="", init=False)
    _closed: trio.Event = field(factory=trio.Event, init=False)

    async def call(self, endpoint: Endpoint[Request, Reply], request: Request) -> Reply:
        """The reply to one request.

        Raises:
            LinkClosed: the runner is gone; whether it was done, nobody can tell here.
            MessageTooLarge: the request does not fit into a frame.
        """
        return _read(await self._ask(endpoint.name, to_json(request)), endpoint.reply)

    async def changes(self, after: int, which: ChangeFilter) -> Changes:
        """Waits until something that fits the filter has happened after number ``after``, and tells what."""
        return await self.call(_CHANGES, _ChangesAfter(after, which))

    async def now(self) -> int:
        """The number of the newest change."""
        return await self.call(_NOW, _NewestChange())

    async def wait_cancel_request(self) -> str:
        """Waits until the runner asks this process to end, and gives its reason."""
        await self._cancel_requested.wait()
        return self._cancel

    async def wait_closed(self) -> str:
        """Waits until the link is closed, and says why."""
        await self._closed.wait()
        return self._reason

    # --- for open_link

    async def listen(self) -> None:
        """Hand each frame to whom it is for; never returns.

        Raises:
            LinkClosed: no more will come; says why.
        """
        try:
            while True:
                for frame in await self._channel.receive():
                    self._hear(frame)
        except LinkClosed as error:
            self.close(str(error))
            raise

    def close(self, reason: str) -> None:
        """Tell all who wait that nothing will come. Only the first reason counts."""
        if self._closed.is_set():
            return
        self._reason = reason
        self._closed.set()
        for number in list(self._questions):
            self._answer(number, self._error())

    @trio.lowlevel.enable_ki_protection  # an interrupt must not part a question from the task that waits for it
    async def _ask(self, name: str, body: bytes) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed.is_set():
            raise self._error()
        number = next(self._numbers)
        self._channel.put(Frame(Kind.REQUEST, number, name, body))
        question = self._questions[number] = _Question(trio.lowlevel.current_task())

        def withdraw(cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
            # Only the runner knows whether it has begun: its answer says.
            question.cancel = cancel
            self._channel.put(Frame(Kind.WITHDRAW, number))
            return trio.lowlevel.Abort.FAILED

        await trio.lowlevel.wait_task_rescheduled(withdraw)
        return _body(question)

    def _hear(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.REPLY | Kind.REFUSAL | Kind.WITHDRAWN if frame.id in self._questions:
                self._answer(frame.id, frame)
            case Kind.CANCEL:
                self._cancel = frame.text
                self._cancel_requested.set()
            case Kind.CLOSE:
                raise LinkClosed(frame.text)
            case _:
                raise LinkClosed(f"the runner sent a {frame.kind} {frame.id} that nobody waits for")

    def _answer(self, number: int, answer: Frame | LinkClosed) -> None:
        question = self._questions.pop(number)
        question.answer = answer
        trio.lowlevel.reschedule(question.task)

    def _error(self) -> LinkClosed:
        return LinkClosed(f"The link to the runner is closed: {self._reason}.")


def _nobody_cancelled() -> NoReturn:
    raise TrioflowBug("the runner withdrew what nobody had cancelled")


def _body(question: _Question) -> bytes:
    match question.answer:
        case Frame(kind=Kind.REPLY, body=body):
            return body
        case Frame(kind=Kind.REFUSAL) as frame:
            raise error_from(frame)
        case LinkClosed() as error if question.cancel is None:
            raise error
        case _:
            return (question.cancel or _nobody_cancelled)()


# --- the runner's end


async def serve_link(
    stream: trio.abc.Stream,
    client: Client,
    *,
    task_status: trio.TaskStatus[ServedLink] = trio.TASK_STATUS_IGNORED,
) -> str:
    """Answer a child's requests through ``client`` until the link is closed. Returns why; starts with a `ServedLink`.

    When it returns, what the child had asked for is done, and nobody waits for changes in its name any more.
    """
    channel = Channel(stream)
    link = ServedLink(channel, client)
    task_status.started(link)
    return await channel.run(link.listen)


@final
@define(eq=False)
class ServedLink:
    """The runner's end of one link."""

    _channel: Channel
    _client: Client
    _room: trio.Semaphore = field(factory=lambda: trio.Semaphore(AT_ONCE), init=False)
    _inbox: deque[tuple[int, Endpoint[Any, Any], Any]] = field(factory=deque[Any], init=False)
    """As many as there are tasks that will take one; in the order of arrival."""
    _doing: dict[int, trio.CancelScope] = field(factory=dict[int, trio.CancelScope], init=False)
    _listening: set[int] = field(factory=set[int], init=False)
    """Those of them that only wait for changes."""

    def cancel(self, reason: str) -> None:
        """Ask the child to end. It may take its time, so the process's own end is seen to elsewhere."""
        self._channel.put(Frame.saying(Kind.CANCEL, reason))

    # --- for serve_link

    async def listen(self) -> None:
        """Take up each request as it comes; never returns.

        Raises:
            LinkClosed: no more will come, and what came is done; says why.
        """
        async with trio.open_nursery() as nursery:
            closed = await self._take_up_all(nursery)
            for number in self._listening:
                self._doing[number].cancel()
        raise closed

    async def _take_up_all(self, nursery: trio.Nursery) -> LinkClosed:
        try:
            while True:
                for frame in await self._channel.receive():
                    await self._hear(frame, nursery)
        except LinkClosed as error:
            return error

    async def _hear(self, frame: Frame, nursery: trio.Nursery) -> None:
        match frame.kind:
            case Kind.REQUEST if frame.id not in self._doing:
                await self._take_up(frame, nursery)
            case Kind.WITHDRAW:
                if (scope := self._doing.get(frame.id)) is not None:
                    scope.cancel()
            case Kind.CLOSE:
                raise LinkClosed(frame.text)
            case _:
                raise LinkClosed(f"the child sent {frame.kind} {frame.id}, which means nothing here")

    async def _take_up(self, frame: Frame, nursery: trio.Nursery) -> None:
        endpoint = _ENDPOINTS.get(frame.name)
        if endpoint is None:
            raise LinkClosed(f"there is no endpoint {frame.name!r}")
        try:
            request = _read(frame.body, endpoint.request)
        except TrioflowBug as error:
            raise LinkClosed(f"{frame.name}: {error}") from error
        try:
            self._room.acquire_nowait()
        except trio.WouldBlock:
            await self._room.acquire()
        self._doing[frame.id] = trio.CancelScope()
        if endpoint is _CHANGES:
            self._listening.add(frame.id)
        self._inbox.append((frame.id, endpoint, request))
        nursery.start_soon(self._do_next)

    async def _do_next(self) -> None:
        # Trio may run tasks that were started together in any order. So whichever comes first takes what came first,
        # and hands it to the client before it waits for anything: requests keep their order, a turn of the loop for
        # each of them is not needed.
        number, endpoint, request = self._inbox.popleft()
        answer = Frame(Kind.WITHDRAWN, number)
        with self._doing[number]:
            answer = await self._answer(number, endpoint, request)
        del self._doing[number]
        self._listening.discard(number)
        self._room.release()
        try:
            self._channel.put(answer)
        except MessageTooLarge as error:
            self._channel.put(refusal(number, error))

    async def _answer(self, id: int, endpoint: Endpoint[Any, Any], request: Any) -> Frame:
        try:
            return Frame(Kind.REPLY, id, body=to_json(await self._reply(endpoint, request)))
        except TrioflowError as error:
            return refusal(id, error)
        except Exception as error:
            logger.exception("answering %s of a child failed", endpoint.name)
            return refusal(id, TrioflowBug(f"{type(error).__name__}: {error}"))

    async def _reply(self, endpoint: Endpoint[Any, Any], request: Any) -> object:
        match request:
            case _ChangesAfter(after, which):
                return await self._client.changes(after, which)
            case _NewestChange():
                return await self._client.now()
            case _:
                return await self._client.call(endpoint, request)


def _read(body: bytes, type_: type[T]) -> T:
    try:
        return from_json(body, type_)
    except Exception as error:
        raise TrioflowBug(f"{body[:80]!r} does not spell a {type_.__name__}: {error!r}") from error

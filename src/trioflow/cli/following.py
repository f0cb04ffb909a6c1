"""Runs a flow in this process and watches it: the screen while it goes on, then its last line and its result.

The first Ctrl-C asks the store to cancel the run, as `flow-run cancel` does: user code can clean up, and the state is
stored before this process ends. The second one interrupts async code that is at work; where none is, a thread or a
clean-up may hold on to the run, so its end is stored and the process exits. A third one does not wait for that. SIGTERM
cancels the scope that the run lives in.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from math import inf
from types import FrameType
from typing import TYPE_CHECKING, final
from uuid import UUID

import trio
from attrs import define, field, frozen

from trioflow.cli.cancelling import request_cancel
from trioflow.cli.progress import Progress
from trioflow.cli.render import tell
from trioflow.cli.screens import Screen, View
from trioflow.client.connect import current_client
from trioflow.core.runs import FlowRun
from trioflow.core.states import State, StateType
from trioflow.engine.context import innermost
from trioflow.engine.crashes import TERMINATED
from trioflow.engine.scripts import crash_at_once
from trioflow.errors import TrioflowBug
from trioflow.wire.endpoints import FIND_TASK_RUNS, READ_FLOW_RUN
from trioflow.wire.filters import ChangeFilter, TaskRunFilter
from trioflow.wire.requests import FindTaskRuns, ReadFlowRun

if TYPE_CHECKING:
    from trioflow.client.client import Client

_REDRAW_SECONDS = 0.1
_IDLE_SECONDS = 0.5
_NAMED = 4
_COMPLETED = frozenset({StateType.COMPLETED})
_RUNNING = frozenset({StateType.RUNNING})


@frozen
class Outcome:
    """How a followed run ended."""

    run: FlowRun
    state: State
    """As the engine gave it, with live data; as the store has it, when the run was cut off."""
    progress: Progress
    seconds: float
    signal: signal.Signals | None
    """What asked for the end, if anything did."""


async def follow(
    run_id: UUID, flow_name: str, drive: Callable[[], Awaitable[State]], screen: Screen
) -> Outcome:
    """Await ``drive``, which runs the root flow run of this id and gives its final state, and show how it goes on.

    Raises:
        StoreError: the home's database cannot be opened.
    """
    client = await current_client()
    follower = _Follower(client, flow_name, Progress(run_id), screen)
    await follower.remember()
    after = await client.now()
    state: State | None = None
    with (
        screen,
        _interrupts() as interrupts,
        trio.open_signal_receiver(signal.SIGTERM) as terminated,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follower.listen, after)
            nursery.start_soon(follower.draw)
            nursery.start_soon(follower.end_when_interrupted, interrupts)
            nursery.start_soon(follower.end_when_terminated, terminated, nursery.cancel_scope)
            try:
                state = await drive()
            except KeyboardInterrupt:  # A second one. The engine has reported it by now.
                follower.cut_off_by(signal.SIGINT)
            nursery.cancel_scope.cancel()
    return await follower.outcome(state)


@contextmanager
def _interrupts() -> Generator[AsyncIterator[None]]:
    """Within the block, each SIGINT; all but the first are raised in a run's async code, if it is at work.

    Such code may never come to a checkpoint, and then nobody here would hear of them.
    """
    token = trio.lowlevel.current_trio_token()
    send, receive = trio.open_memory_channel[None](inf)

    def first(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, later)
        token.run_sync_soon(send.send_nowait, None)

    def later(_number: int, _frame: FrameType | None) -> None:
        if innermost() is not None and not trio.lowlevel.currently_ki_protected():
            raise KeyboardInterrupt
        token.run_sync_soon(send.send_nowait, None)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # So it is in a shell's background.
        signal.signal(signal.SIGINT, first)
    try:
        yield receive
    finally:
        signal.signal(signal.SIGINT, before)


@final
@define(eq=False)
class _Follower:
    client: Client
    flow_name: str
    progress: Progress
    screen: Screen
    _drawing: trio.CancelScope = field(factory=trio.CancelScope)
    _signal: signal.Signals | None = None
    _run_name: str = ""
    _running: tuple[str, ...] = ()
    _changed: bool = False
    _began: float = field(factory=trio.current_time)

    @property
    def _elapsed(self) -> float:
        return trio.current_time() - self._began

    async def outcome(self, state: State | None) -> Outcome:
        """What is to be told at the end; ``state`` is None when the run was cut off."""
        run = await self.client.call(READ_FLOW_RUN, ReadFlowRun(run_id=self.progress.run_id))
        ended = state or run.state
        if ended is None:
            raise TrioflowBug(f"flow run {run.id} was driven and is in no state")
        return Outcome(run, ended, self.progress, self._elapsed, self._signal)

    # --- what is known

    async def remember(self) -> None:
        """Counts what earlier attempts have recorded: it is answered without a transition."""
        which = TaskRunFilter(flow_run_id=self.progress.run_id, state_types=_COMPLETED, limit=1)
        page = await self.client.call(FIND_TASK_RUNS, FindTaskRuns(filter=which))
        self.progress.recorded = page.total

    async def listen(self, after: int) -> None:
        """Hears every change under the root run."""
        which = ChangeFilter(root_ids=frozenset({self.progress.run_id}))
        while True:
            changes = await self.client.changes(after, which)
            for change in changes.items:
                self.progress.hear(change)
            self._changed = True
            after = changes.last

    async def _look(self) -> None:
        """Asks for what changes do not tell: names."""
        run = await self.client.call(READ_FLOW_RUN, ReadFlowRun(run_id=self.progress.run_id))
        self._run_name = run.name
        which = TaskRunFilter(flow_run_id=run.id, state_types=_RUNNING, limit=_NAMED)
        page = await self.client.call(FIND_TASK_RUNS, FindTaskRuns(filter=which))
        self._running = tuple(run.name for run in page.runs)

    # --- what is shown

    async def draw(self) -> None:
        """Shows what has changed, at most ten times a second, and twice a second that time goes by."""
        with self._drawing:
            await self._draw()

    async def _draw(self) -> None:
        looked_at = shown_at = -inf
        while True:
            now = trio.current_time()
            if self.progress.heard and now - looked_at >= _IDLE_SECONDS:
                await self._look()
                looked_at = now
            if self._run_name and (self._changed or now - shown_at >= _IDLE_SECONDS):
                self._changed = False
                shown_at = now
                self.screen.show(self._view())
            await trio.sleep(_REDRAW_SECONDS)

    def _view(self) -> View:
        return View(self.flow_name, self._run_name, self.progress, self._running, self._elapsed)

    # --- what asks for the end

    def cut_off_by(self, cause: signal.Signals) -> None:
        """This ended the run."""
        self._signal = cause

    async def end_when_interrupted(self, interrupts: AsyncIterator[None]) -> None:
        """Turns the first Ctrl-C into the request that anybody can make; has the next one end what holds on."""
        await anext(interrupts)
        if self._signal is None:
            self.cut_off_by(signal.SIGINT)
            tell("Cancelling the run; Ctrl-C again ends it at once.")
            await request_cancel(self.client, self.progress.run_id, "Ctrl-C at its terminal.")
            await anext(interrupts)
        self._drawing.cancel()
        self.screen.__exit__(None, None, None)  # Nobody will be here to leave it.
        await crash_at_once(interrupts)

    async def end_when_terminated(self, terminated: AsyncIterator[int], scope: trio.CancelScope) -> None:
        """Cancels the scope at the first SIGTERM."""
        await anext(terminated)
        self.cut_off_by(signal.SIGTERM)
        scope.cancel(TERMINATED)

"""Watches a run that another process executes: what it says, how far it is, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, final
from uuid import UUID

import trio
from attrs import define, field

from trioflow.cli import reading
from trioflow.cli.following import Outcome
from trioflow.cli.progress import Progress
from trioflow.cli.render import log_line, tell
from trioflow.cli.screens import Screen, View
from trioflow.core.runs import FlowRun
from trioflow.wire.endpoints import READ_FLOW_RUN, READ_TASK_RUN
from trioflow.wire.filters import ChangeFilter, LogFilter
from trioflow.wire.requests import ReadFlowRun, ReadTaskRun

if TYPE_CHECKING:
    from trioflow.client.client import Client

_REDRAW_SECONDS = 0.5
_LAST_WORDS_SECONDS = 0.5
"""What a run says of its end is stored after the end."""


async def follow_elsewhere(
    client: Client, run: FlowRun, flow_name: str, screen: Screen, *, quiet: bool = False
) -> Outcome:
    """Show how a root run goes on until it is over, and unless ``quiet`` what it says; then how it ended."""
    progress = Progress(run.id)
    if run.state is not None:
        progress.state, progress.type = run.state.name, run.state.type
    watcher = _Watcher(client, progress)
    state = run.state
    with screen:
        while state is None or not state.is_final:
            screen.show(View(flow_name, run.name, progress, (), watcher.elapsed))
            with trio.move_on_after(_REDRAW_SECONDS):
                await watcher.hear()
            run = await client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run.id))
            state = run.state
            if not quiet:
                await watcher.tell_news()
        outcome = Outcome(run, state, progress, watcher.elapsed, None)
        if not quiet:
            await trio.sleep(_LAST_WORDS_SECONDS)
            await watcher.tell_news()
    return outcome


@final
@define(eq=False)
class _Watcher:
    client: Client
    progress: Progress
    _heard: int = 0
    """The change that was heard last,"""
    _told: int = 0
    """and the log record that was told last."""
    _tasks: dict[UUID, str] = field(factory=dict[UUID, str])
    _began: float = field(factory=trio.current_time)

    @property
    def elapsed(self) -> float:
        """Seconds since it is being watched."""
        return trio.current_time() - self._began

    async def hear(self) -> None:
        """Waits for what happens next under the run."""
        which = ChangeFilter(root_ids=frozenset({self.progress.run_id}))
        changes = await self.client.changes(self._heard, which)
        for change in changes.items:
            self.progress.hear(change)
        self._heard = changes.last

    async def tell_news(self) -> None:
        """Tells what the run has said since."""
        which = LogFilter(flow_run_id=self.progress.run_id, after=self._told)
        for record, number in await reading.numbered_logs(self.client, which):
            if record.task_run_id is not None and record.task_run_id not in self._tasks:
                task = await self.client.call(READ_TASK_RUN, ReadTaskRun(run_id=record.task_run_id))
                self._tasks[task.id] = task.name
            tell(log_line(record, self._tasks))
            self._told = number

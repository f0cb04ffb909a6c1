"""Listening: what happens in the store wakes the loop whose business it is, so that polling is only the fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from attrs import define

from trioflow.core.states import StateType
from trioflow.loops import Bell
from trioflow.wire.filters import ChangeFilter

if TYPE_CHECKING:
    from trioflow.client.client import Client
    from trioflow.runner.cancelling import Cancelling
    from trioflow.wire.replies import Change

_FLOW_RUNS = ChangeFilter(flow_runs_only=True)


@final
@define(eq=False)
class Listening:
    """Hears of every flow run of the home."""

    _client: Client
    _after: int
    """The number of the last change that was heard."""
    _cancelling: Cancelling
    work: Bell
    """Rung when a run may have become ready: it was scheduled, or one that it had to wait for is over."""
    hooks: Bell
    """Rung when hooks may be owed."""

    async def turn(self) -> None:
        """Wait for news, and pass it on."""
        news = await self._client.changes(self._after, _FLOW_RUNS)
        self._after = news.last
        for change in news.items:
            self._hear(change)

    def _hear(self, change: Change) -> None:
        self._cancelling.hear(change)
        if change.type.is_final or change.type is StateType.SCHEDULED:
            self.work.ring()
        if change.type in {StateType.CRASHED, StateType.CANCELLED}:
            self.hooks.ring()

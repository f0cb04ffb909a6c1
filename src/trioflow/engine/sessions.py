"""Sessions: what all runs under one root share, and the nursery that watches over them while they go on.

The root is a flow run that no other run called, or a task that was called outside of any flow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, final
from uuid import UUID
from weakref import WeakValueDictionary

import trio
from attrs import define, field

from trioflow.client.client import Client
from trioflow.core.states import StateType
from trioflow.engine.crashes import last_words
from trioflow.engine.edges import own_nursery
from trioflow.engine.log_shipping import LogShipper
from trioflow.engine.results import Recorder
from trioflow.settings import Settings, current_settings
from trioflow.wire.filters import ChangeFilter

T = TypeVar("T")

CANCEL_REQUESTED = "cancel_requested"
"""The reason that a cancellation carries when somebody asked for a run's end, or ended it."""


@final
@define(eq=False, kw_only=True)
class Session:
    """One root run in this process, and everything under it."""

    client: Client
    settings: Settings
    root_id: UUID
    epoch: int
    """The root run's, when this process became its owner: each proposal under it carries it."""
    recorder: Recorder
    shipper: LogShipper
    _scopes: WeakValueDictionary[UUID, trio.CancelScope] = field(
        factory=WeakValueDictionary[UUID, trio.CancelScope]
    )
    """By flow run: what a request to cancel it cancels, for as long as it is driven here."""

    _lines: dict[frozenset[str], trio.StrictFIFOLock] = field(
        factory=dict[frozenset[str], trio.StrictFIFOLock]
    )
    """By tags: the line of those who wait for their concurrency slots."""

    @classmethod
    def under(cls, client: Client, root_id: UUID, epoch: int) -> Session:
        """The session of this root run, with the settings that hold here."""
        settings = current_settings()
        return cls(
            client=client,
            settings=settings,
            root_id=root_id,
            epoch=epoch,
            recorder=Recorder.at(settings.home),
            shipper=LogShipper(client, root_id),
        )

    async def run(self, after: int, body: Callable[[], Awaitable[T]]) -> T:
        """Await ``body`` while logs are shipped and requests to cancel are heard, from change ``after`` on."""
        async with own_nursery() as nursery:
            nursery.start_soon(self.shipper.run)
            nursery.start_soon(self._watch, after)
            try:
                return await body()
            finally:
                with last_words(self.settings.grace_seconds):
                    await self.shipper.flush()
                nursery.cancel_scope.cancel()

    def line(self, tags: frozenset[str]) -> trio.StrictFIFOLock | None:
        """The line for the slots of these tags; none where there are no tags to limit."""
        return self._lines.setdefault(tags, trio.StrictFIFOLock()) if tags else None

    def cancellable(self, run_id: UUID) -> trio.CancelScope:
        """The scope to drive this flow run in: cancelled when somebody asks for its end, or ends it."""
        scope = self._scopes[run_id] = trio.CancelScope()
        return scope

    def cancel(self, run_id: UUID) -> None:
        """Cancel the flow run's code, if it is driven here."""
        if (scope := self._scopes.get(run_id)) is not None:
            scope.cancel(CANCEL_REQUESTED)

    async def _watch(self, after: int) -> None:
        which = ChangeFilter(root_ids=frozenset({self.root_id}), flow_runs_only=True)
        while True:
            changes = await self.client.changes(after, which)
            for change in changes.items:
                if change.type is StateType.CANCELLING or change.type.is_final:
                    self.cancel(change.run_id)
            after = changes.last

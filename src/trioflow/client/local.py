"""The client of a process that has the database: calls go straight to the orchestrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast, final

import trio
from attrs import frozen

if TYPE_CHECKING:
    from trioflow.orchestrator.orchestrator import Orchestrator
    from trioflow.wire.endpoints import Endpoint
    from trioflow.wire.filters import ChangeFilter
    from trioflow.wire.replies import Changes

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@final
@frozen(eq=False)
class LocalClient:
    """See `trioflow.client.client.Client`."""

    orchestrator: Orchestrator

    async def call(self, endpoint: Endpoint[Request, Reply], request: Request) -> Reply:
        """The reply to one request."""
        return cast("Reply", await self.orchestrator.handle(endpoint, request))

    async def changes(self, after: int, which: ChangeFilter) -> Changes:
        """Waits until something that fits the filter has happened after number ``after``, and tells what."""
        return await self.orchestrator.changes.wait(after, which)

    async def now(self) -> int:
        """The number of the newest change."""
        await trio.lowlevel.checkpoint()
        return self.orchestrator.store.last_change()

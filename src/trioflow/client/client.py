"""The Client: two methods. Whoever holds one does not know whether the answer comes from this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from trioflow.wire.endpoints import Endpoint
    from trioflow.wire.filters import ChangeFilter
    from trioflow.wire.replies import Changes

Request = TypeVar("Request")
Reply = TypeVar("Reply")


class Client(Protocol):
    """Answers calls, and tells of changes."""

    async def call(self, endpoint: Endpoint[Request, Reply], request: Request) -> Reply:
        """The reply to one request.

        What is asked is done once, whole, before this returns. Cancelled before it was taken up, it is not done.

        Raises:
            RunNotFound: the request names a run that does not exist.
            StoreError: the database cannot do it; nothing has changed.
        """
        ...

    async def changes(self, after: int, which: ChangeFilter) -> Changes:
        """Waits until something that fits the filter has happened after number ``after``, and tells what."""
        ...

    async def now(self) -> int:
        """The number of the newest change: where to start listening."""
        ...

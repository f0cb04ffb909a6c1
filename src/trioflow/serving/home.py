"""A home that is served: its store is open, calls are answered, what is due is planned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar, Unpack

import trio

from trioflow.client.connect import serve_store
from trioflow.engine.edges import own_nursery
from trioflow.scheduler import run_scheduler
from trioflow.store.sqlite import open_sqlite

if TYPE_CHECKING:
    from trioflow.client.local import LocalClient
    from trioflow.core.tables import Tables
    from trioflow.settings import Settings

T = TypeVar("T")


async def serve_home(
    settings: Settings,
    *,
    task_status: trio.TaskStatus[LocalClient] = trio.TASK_STATUS_IGNORED,
    **tables: Unpack[Tables],
) -> None:
    """Open the home's store, answer calls and plan runs until cancelled. Starts with a client.

    Raises:
        StoreError: the database cannot be opened.
    """
    store = await open_sqlite(settings.database_path)

    async def planned(client: LocalClient) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_scheduler, client.orchestrator)
            task_status.started(client)

    await _outlived(partial(serve_store, store, **tables), planned)


async def in_home(
    settings: Settings, body: Callable[[LocalClient], Awaitable[T]], **tables: Unpack[Tables]
) -> T:
    """What ``body`` returns, called with a client of the home, which is open until it has.

    Cancelled, the home waits for the body: its last words still find the store. The tables judge what is asked through
    that client.

    Raises:
        StoreError: the database cannot be opened.
    """
    return await _outlived(partial(serve_home, settings, **tables), body)


async def _outlived(
    service: Callable[..., Awaitable[object]], body: Callable[[LocalClient], Awaitable[T]]
) -> T:
    """What ``body`` returns, called with what the service starts with; the service is cancelled once it has."""
    scope = trio.CancelScope()

    async def within(task_status: trio.TaskStatus[LocalClient]) -> None:
        with scope:
            await service(task_status=task_status)

    async with own_nursery() as nursery:
        client = await nursery.start(within)
        scope.shield = True
        try:
            return await body(client)
        finally:
            scope.cancel()

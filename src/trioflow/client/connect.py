"""Which client a run's words go through: one for each ``trio.run``, opened at its first use, closed at its end.

It lives in a system task, so that several flows of one program share it, and so that it outlives them: those who
speak last words on cancellation still find it open.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack, final

import trio
from attrs import define, field

from trioflow.client.local import LocalClient
from trioflow.settings import current_settings

if TYPE_CHECKING:
    from pathlib import Path

    from trioflow.client.client import Client
    from trioflow.core.tables import Tables
    from trioflow.store.store import Store

_CLOSING_SECONDS = 10.0


async def current_client(**tables: Unpack[Tables]) -> Client:
    """The client of this ``trio.run``. The first call opens the home's database, and says which tables judge there.

    Raises:
        StoreError: the database cannot be opened; the next call tries again.
    """
    connection = _connection.get(None)
    if connection is None or connection.error is not None:
        connection = _Connection()
        _connection.set(connection)
        # A system task does not see the caller's context, where the settings may be.
        home = current_settings().database_path
        serve = partial(connection.serve_home, home, **tables)
        trio.lowlevel.spawn_system_task(serve, name="trioflow store")
    await connection.opened.wait()
    if connection.client is None:
        raise connection.error or trio.RunFinishedError
    return connection.client


def use_client(client: Client) -> None:
    """From now on, and until this ``trio.run`` ends, everybody speaks through ``client``. Its owner closes it."""
    connection = _Connection()
    connection.opened_with(client)
    _connection.set(connection)


async def serve_store(
    store: Store, task_status: trio.TaskStatus[LocalClient], **tables: Unpack[Tables]
) -> None:
    """Answer calls from this store until cancelled. Starts with a client, and closes the store at the end."""
    # Who speaks over a wire needs no orchestrator, and a flow file is loaded faster without one.
    from trioflow.orchestrator.orchestrator import Orchestrator

    try:
        orchestrator = Orchestrator(store, **tables)
        await orchestrator.open()
        task_status.started(LocalClient(orchestrator))
        await orchestrator.changes.pump()
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSING_SECONDS):
            await store.aclose()


@final
@define(eq=False)
class _Connection:
    """One of ``client`` and ``error`` is there once it is opened; an error later says that the client is dead."""

    client: Client | None = None
    error: Exception | None = None
    opened: trio.Event = field(factory=trio.Event)

    def opened_with(self, client: Client) -> None:
        """From now on, this is the client."""
        self.client = client
        self.opened.set()

    async def serve_home(self, database: Path, **tables: Unpack[Tables]) -> None:
        """Never raises: an exception in a system task would end the whole ``trio.run``."""
        try:
            store = await _open(database)
            async with trio.open_nursery() as nursery:
                self.opened_with(await nursery.start(partial(serve_store, store, **tables)))
        except Exception as error:  # noqa: BLE001 - raised at whoever asks next, see current_client
            self.error = _only(error)
        finally:
            self.opened.set()


_connection: trio.lowlevel.RunVar[_Connection | None] = trio.lowlevel.RunVar("trioflow connection")


def _only(error: Exception) -> Exception:
    """The one exception in the groups that nurseries put around it."""
    match error:
        case ExceptionGroup(exceptions=(Exception() as inner,)):
            return _only(inner)
        case _:
            return error


async def _open(database: Path) -> Store:
    from trioflow.store.sqlite import open_sqlite

    return await open_sqlite(database)

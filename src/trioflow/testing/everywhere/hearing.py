"""Hearing: what a process was told, and what its runs said; so that it can be compared with what is stored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar, cast, final
from uuid import UUID

from attrs import define, field

from trioflow.core.states import State
from trioflow.engine.console import TOP
from trioflow.wire.replies import FlowRunAnswer, TaskRunAnswer

if TYPE_CHECKING:
    from trioflow.client.client import Client
    from trioflow.store.store import Store, Tx
    from trioflow.wire.endpoints import Endpoint
    from trioflow.wire.filters import ChangeFilter
    from trioflow.wire.replies import Changes

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@final
@define(eq=False)
class Hearing:
    """A client that remembers what it was answered; as a context manager, it keeps runs off the console."""

    inner: Client
    told: dict[tuple[UUID, int], tuple[str, State]] = field(
        factory=dict[tuple[UUID, int], tuple[str, State]], init=False
    )
    """(run, version) -> its name and state, as it was answered."""
    _said: _Ear = field(init=False)
    _propagates: bool = field(default=True, init=False)

    def __attrs_post_init__(self) -> None:
        self._said = _Ear()

    async def call(self, endpoint: Endpoint[Request, Reply], request: Request) -> Reply:
        """See `Client.call`."""
        reply = await self.inner.call(endpoint, request)
        match cast("object", reply):
            case FlowRunAnswer(run=run) | TaskRunAnswer(run=run) if run.state is not None:
                self.told[run.id, run.version] = run.name, run.state
            case _:
                pass
        return reply

    async def changes(self, after: int, which: ChangeFilter) -> Changes:
        """See `Client.changes`."""
        return await self.inner.changes(after, which)

    async def now(self) -> int:
        """See `Client.now`."""
        return await self.inner.now()

    def __enter__(self) -> None:
        self._propagates, TOP.propagate = TOP.propagate, False
        TOP.addHandler(self._said)

    def __exit__(self, *_: object) -> None:
        TOP.removeHandler(self._said)
        TOP.propagate = self._propagates

    async def undone(self, store: Store) -> list[str]:
        """What was answered, and is not in the history."""

        def history(tx: Tx) -> dict[tuple[UUID, int], tuple[str, str]]:
            rows = tx.execute("SELECT run_id, version, type, name FROM states")
            return {(UUID(bytes=id_), version): (type_, name) for id_, version, type_, name in rows}

        kept = await store.read(history)
        return [
            f"run {name!r} was said to be {state.name}, and that is not in its history"
            for key, (name, state) in self.told.items()
            if kept.get(key) != (state.type, state.name)
        ]

    async def unheard(self, store: Store) -> list[str]:
        """How many of the words of runs were not stored."""
        ((stored,),) = await store.read(lambda tx: tx.execute("SELECT count(*) FROM logs"))
        lost = self._said.count - int(stored)
        return [f"{lost} of {self._said.count} log records were not stored"] if lost else []


@final
class _Ear(logging.Handler):
    """Counts what runs say, where it is to be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Counts one record, if it is of a run."""
        self.count += hasattr(record, "root_id") and getattr(record, "send_to_api", True)

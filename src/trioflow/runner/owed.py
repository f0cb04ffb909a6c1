"""Owed hooks: those of final states that the run's own process did not call, and nobody else will."""

from __future__ import annotations

from typing import TYPE_CHECKING, final
from uuid import UUID

import trio
from attrs import define, field

from trioflow.processes import this_process
from trioflow.runner.hooks import call_owed
from trioflow.wire.endpoints import TAKE_OWED_HOOKS
from trioflow.wire.requests import TakeOwedHooks

if TYPE_CHECKING:
    from trioflow.runner.claim import Claims
    from trioflow.wire.replies import OwedHooks

AT_ONCE = 4
"""How many processes call hooks at a time: they stand beside the runs, and have no slots."""


@final
@define(eq=False)
class Owed:
    """Has hooks called that are owed, each final state's in a process of its own."""

    _claims: Claims
    _nursery: trio.Nursery
    """Of the tasks that have them called."""
    _room: trio.Semaphore = field(factory=lambda: trio.Semaphore(AT_ONCE), init=False)
    _calling: set[UUID] = field(factory=set[UUID], init=False)
    """Runs whose hooks are being called, or wait for room."""
    _idle: trio.Event = field(factory=trio.Event, init=False)
    """Set while there are none; replaced when there are."""

    async def turn(self) -> None:
        """Take what is owed, and have it called.

        Raises:
            StoreError: the database cannot do it.
        """
        request = TakeOwedHooks(
            owner=this_process(),
            deployment_ids=self._claims.served.hook_ids,
            entrypoints=self._claims.served.hook_entrypoints,
            busy=frozenset({*self._claims.in_hand, *self._calling}),
        )
        taken = await self._claims.place.client.call(TAKE_OWED_HOOKS, request)
        for owed in taken.items:
            self._calling.add(owed.run.id)
            self._nursery.start_soon(self._call, owed)

    async def wait_called(self) -> None:
        """Returns when no hooks are being called."""
        while self._calling:
            self._idle = trio.Event()
            await self._idle.wait()

    async def _call(self, owed: OwedHooks) -> None:
        try:
            async with self._room:
                await call_owed(
                    owed, self._claims.place, entrypoint=self._claims.served.entrypoint_of(owed.run)
                )
        finally:
            self._calling.discard(owed.run.id)
            if not self._calling:
                self._idle.set()

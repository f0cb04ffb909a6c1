"""Carries what runs say to the store: in order, in batches, and without making user code wait.

A record is put into its root run's backlog by whoever speaks, in any thread; the root run's shipper takes it from
there a moment later, together with what was said in the meantime.
"""

from __future__ import annotations

import logging
from typing import Any, final
from uuid import UUID
from weakref import WeakValueDictionary

import trio
from attrs import define, field

from trioflow import clock
from trioflow.client.client import Client
from trioflow.engine.console import show_on_console
from trioflow.engine.log_backlog import Backlog
from trioflow.engine.logs import FLOW_RUNS, TASK_RUNS
from trioflow.settings import current_settings
from trioflow.wire.endpoints import APPEND_LOGS
from trioflow.wire.requests import AppendLogs, LogRecord

LINGER_SECONDS = 0.1
"""How long a record waits for company."""
BATCH_RECORDS = 500
BATCH_CHARACTERS = 2 * 1024 * 1024
"""Of messages; a character takes six bytes of JSON at most, so that a batch fits into a frame of the link."""
LONGEST_MESSAGE = 64 * 1024
"""Characters; the rest of a longer message is not stored."""
_FIRST_BACKOFF_SECONDS = 1.0
_LAST_BACKOFF_SECONDS = 30.0

_LOGGER = logging.getLogger("trioflow.logs")


@final
@define(eq=False)
class LogShipper:
    """Ships the records of one root run and of all that runs under it.

    `run` goes on until it is cancelled, and belongs in the run's outer nursery; then `flush` says the last words.
    """

    client: Client
    root_id: UUID
    _backlog: Backlog = field(factory=Backlog, init=False)
    _said: trio.Event = field(factory=trio.Event, init=False)
    """Set when something was put into an empty backlog."""
    _token: trio.lowlevel.TrioToken | None = field(default=None, init=False)
    """Of the loop that `run` runs in; None before that, when nobody needs to be woken."""
    _turn: trio.Lock = field(factory=trio.Lock, init=False)
    """Held while a batch is under way, so that batches keep their order."""

    def __attrs_post_init__(self) -> None:
        _shippers[self.root_id] = self
        set_up_logging(current_settings().log_level)

    def put(self, record: LogRecord) -> None:
        """Takes a record, from any thread; never waits."""
        if self._backlog.put(record) and self._token is not None:
            try:
                self._token.run_sync_soon(self._wake)
            except trio.RunFinishedError:
                self._token = None

    def _wake(self) -> None:
        self._said.set()

    async def run(self) -> None:
        """Ships what is said, a moment later; what the store does not take is tried again, ever more rarely."""
        self._token = trio.lowlevel.current_trio_token()
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            if not self._backlog.waiting:
                await self._said.wait()
            self._said = trio.Event()
            await trio.sleep(LINGER_SECONDS)
            try:
                await self._ship(self._backlog.taken)
                backoff = _FIRST_BACKOFF_SECONDS
            except Exception as error:  # noqa: BLE001 - whatever the store says, a run does not end for its log
                _LOGGER.warning("Logs cannot be stored, trying again in %g s: %s", backoff, error)
                await trio.sleep(backoff)
                backoff = min(backoff * 2, _LAST_BACKOFF_SECONDS)

    async def ship(self) -> None:
        """Ships all that was said before this call.

        Raises:
            StoreError: it cannot be stored now. It goes on waiting.
        """
        await self._ship(self._backlog.taken)

    async def flush(self) -> None:
        """The last `ship`. What cannot be stored now is lost, and counted aloud."""
        until = self._backlog.taken
        why: object = "there was no time left"
        try:
            await self._ship(until)
        except Exception as error:  # noqa: BLE001 - as in `run`
            why = error
        finally:
            if (lost := until - self._backlog.given) > 0:
                _LOGGER.warning("%d log records could not be stored: %s", lost, why)

    async def _ship(self, until: int) -> None:
        """Ships, until so many records were stored since the beginning."""
        async with self._turn:
            while self._backlog.given < until:
                batch = self._backlog.first(BATCH_RECORDS, BATCH_CHARACTERS)
                await self.client.call(APPEND_LOGS, AppendLogs(records=batch))
                # Not before: cancelled, the call has stored nothing, and the next one asks again.
                self._backlog.forget(len(batch))


_shippers: WeakValueDictionary[UUID | None, LogShipper] = WeakValueDictionary()
"""By root run: a record finds its shipper as long as there is one."""


@final
class ShippingHandler(logging.Handler):
    """Hands each record of a run to the shipper of its root run."""

    def emit(self, record: Any) -> None:
        """Hands one record on, unless it says that it is not for the store."""
        shipper = _shippers.get(getattr(record, "root_id", None))
        if shipper is None or not getattr(record, "send_to_api", True):
            return
        try:
            shipper.put(
                LogRecord(
                    flow_run_id=record.flow_run_id,
                    task_run_id=getattr(record, "task_run_id", None),
                    logger=record.name,
                    level=record.levelno,
                    message=_storable(self.format(record)),
                    at=clock.now(),
                )
            )
        except Exception:  # noqa: BLE001 - arguments that do not fit their message; logging's own rule
            self.handleError(record)


_handler = ShippingHandler()


def set_up_logging(level: int) -> None:
    """Have runs heard from ``level`` on: once for all of them, and again after somebody has set up logging anew."""
    show_on_console(level)
    for logger in (FLOW_RUNS, TASK_RUNS, _LOGGER):
        logger.disabled = False  # `dictConfig` disables what it does not name.
    for logger in (FLOW_RUNS, TASK_RUNS):
        logger.addHandler(_handler)


def _storable(message: str) -> str:
    """The message as any database takes it."""
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]}… ({len(message) - LONGEST_MESSAGE} more characters)"
    if not message.isascii():
        message = message.encode("utf-8", "backslashreplace").decode()
    return message.replace("\0", "\\x00")

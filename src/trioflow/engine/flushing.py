"""Flushing: whoever wants to know what a run has said stored, now, says so."""

from __future__ import annotations

import trio

from trioflow.engine.context import innermost
from trioflow.engine.scripts import waited
from trioflow.errors import OutsideFlow, WrongColour


async def aflush_logs() -> None:
    """Waits until all that the run around this code has said so far is stored.

    Raises:
        OutsideFlow: there is no run around it.
        StoreError: it cannot be stored now. It is tried again later.
    """
    around = innermost()
    if around is None:
        raise OutsideFlow("flushing logs needs a flow run or a task run around it")
    await around.session.shipper.ship()


def flush_logs() -> None:
    """The same from sync code.

    Raises:
        OutsideFlow: as `aflush_logs`.
        StoreError: as `aflush_logs`.
        WrongColour: this is async code; it names the right call.
    """
    if trio.lowlevel.in_trio_run():
        raise WrongColour("flush_logs() blocks: from async code, call `await trioflow.aflush_logs()`")
    waited(aflush_logs)

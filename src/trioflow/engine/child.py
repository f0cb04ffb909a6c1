"""The process of a flow run: what its environment says, whom it listens to, and how it exits.

Started by a runner, with one end of a link. The exit status is 0 when what became of the run is stored or is somebody
else's business, 1 when it is not, 128 and the signal's number after a signal; what is nobody's outcome, `SystemExit`
or an interrupt, exits as it does in any Python program.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import trio
from attrs import frozen

from trioflow.client.client import Client
from trioflow.client.connect import use_client
from trioflow.client.link import inherited_link, open_link
from trioflow.engine.console import keep_runs_off_console
from trioflow.engine.edges import own_nursery
from trioflow.engine.ends import Ends
from trioflow.engine.log_shipping import set_up_logging
from trioflow.engine.served import Claimed, Loader, serve_hooks, serve_run
from trioflow.engine.timed_loading import loader
from trioflow.errors import InvalidSetting, LinkClosed, RunAborted, RunIsOwned, RunNotFound
from trioflow.processes import ENTRYPOINT, EPOCH, FLOW_RUN_ID, HOME, HOOKS, LINK_FD
from trioflow.settings import current_settings, variable

T = TypeVar("T")

_LOGGER = logging.getLogger("trioflow.engine")


@frozen(kw_only=True)
class Orders:
    """What the runner says to the process that it starts."""

    claimed: Claimed
    link_fd: int
    hooks: int | None
    """Which of the run's states its hooks are to be called for; None when the run is to be run."""

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str]) -> Orders:
        """What these variables say. They are taken out: what this process starts is given no orders.

        The run's id and epoch stay, with its home: they are the mark by which the run's tree is found again.

        Raises:
            InvalidSetting: one is missing, or says nothing that can be understood.
        """
        home = environment.get(HOME)
        if home:
            environment.setdefault(variable("home"), home)
        run_id = _read(environment, FLOW_RUN_ID, UUID, "the id of a flow run, as 32 hex digits")
        epoch = _read(environment, EPOCH, int, "a number")
        link_fd = _read(environment, LINK_FD, int, "the number of an open descriptor")
        hooks = _read(environment, HOOKS, int, "a number") if HOOKS in environment else None
        claimed = Claimed(run_id=run_id, epoch=epoch, entrypoint=environment.get(ENTRYPOINT) or None)
        for name in (LINK_FD, HOOKS, ENTRYPOINT):
            environment.pop(name, None)
        return cls(claimed=claimed, link_fd=link_fd, hooks=hooks)


def _read(environment: MutableMapping[str, str], name: str, read: Callable[[str], T], may_be: str) -> T:
    text = environment.get(name, "")
    try:
        return read(text)
    except ValueError:
        raise InvalidSetting(f"{name} cannot be {text!r}: a runner gives {may_be}") from None


def main() -> int:
    """Do what the runner wants done with its run; the exit status.

    Raises:
        BaseException: what is nobody's outcome: an exit that the run's code asked for, an interrupt.
    """
    _show_each_line_at_once()
    keep_runs_off_console()
    try:
        orders = Orders.taken_from(os.environ)
        settings = current_settings()
        stream = inherited_link(orders.link_fd)
    except (InvalidSetting, LinkClosed) as error:
        sys.stderr.write(f"trioflow.engine: {error}\n")
        return 1
    set_up_logging(settings.log_level)
    load_flow = loader(orders.claimed.entrypoint, settings.start_seconds)
    return trio.run(_linked, orders, stream, load_flow)


def _show_each_line_at_once() -> None:
    """The runner reads what is printed as a log: a line is not to wait for others, nor to be lost with them."""
    stdout: Any = sys.stdout
    stdout.reconfigure(line_buffering=True)


async def _linked(orders: Orders, stream: trio.SocketStream, load_flow: Loader) -> int:
    async with own_nursery() as nursery:
        client = await nursery.start(open_link, stream)
        use_client(client)
        ends = Ends(client)
        nursery.start_soon(ends.heed_requests)
        nursery.start_soon(ends.heed_link)
        with ends.hearing_signals():
            status = await ends.heeded(partial(carry_out, client, orders, load_flow))
        nursery.cancel_scope.cancel()
    return status


async def carry_out(client: Client, orders: Orders, load_flow: Loader) -> int:
    """Do what the orders say, until it is done or cancelled; the exit status."""
    try:
        if orders.hooks is None:
            await serve_run(client, orders.claimed, load_flow)
        else:
            await serve_hooks(client, orders.claimed, orders.hooks, load_flow)
    except (RunAborted, RunIsOwned) as error:
        _LOGGER.info(
            "Engine execution of flow run %s aborted by orchestrator: %s", orders.claimed.run_id, error
        )
        return 0
    except RunNotFound as error:
        _LOGGER.error("%s", error)  # noqa: TRY400 - where it was asked for is no news
        return 1
    except Exception:
        _LOGGER.exception(
            "Engine execution of flow run %s exited with unexpected exception", orders.claimed.run_id
        )
        return 1
    return 0

"""A program that does nothing but serve: its screen, its signals, and how it ends.

The first SIGINT or SIGTERM stops claiming and lets runs finish for the drain time; the second ends them now, with
their grace period; the third ends this process at once, and the shims end what is left of its runs. One that comes
before there is anything to finish takes back what has begun, such as a process that looks into a file, and exits as
a process does that the signal ends.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio
from attrs import evolve

from trioflow import clock
from trioflow.core.deployments import PausedBy
from trioflow.deployments.apply import apply
from trioflow.engine.console import show_on_console
from trioflow.engine.edges import own_nursery
from trioflow.engine.naming import drawn_name
from trioflow.errors import RunnerError
from trioflow.infrastructure.adoption import FAMILY
from trioflow.runner.runner import Runner
from trioflow.serving.home import in_home
from trioflow.serving.screen import Screen, announce, choose_screen, served_now
from trioflow.settings import current_settings
from trioflow.wire.endpoints import CREATE_DEPLOYMENT_RUN
from trioflow.wire.requests import CreateDeploymentRun

if TYPE_CHECKING:
    from uuid import UUID

    from trioflow.client.client import Client
    from trioflow.core.deployments import Deployment
    from trioflow.core.states import State
    from trioflow.core.tables import Tables
    from trioflow.deployments.deployment import FlowDeployment
    from trioflow.serving.assembly import RunnerOptions

T = TypeVar("T")

_SWITCH_SECONDS = 0.001
"""How long a thread may keep the others waiting: one of them renews the leases."""
_ECHO_SECONDS = 0.1
"""Signals that come so soon after another one are the same."""
_EXIT_CODE = 128

logger = logging.getLogger("trioflow.serving")


def run_program(main: Callable[[], Awaitable[T]]) -> T:
    """What ``main`` returns, in a `trio.run` of its own, as befits a process that serves.

    Raises:
        SystemExit: a signal came that ``main`` did not mind itself.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    _open_streams()
    show_on_console(current_settings().log_level)
    FAMILY.adopt()
    answers: list[T] = []
    signalled = trio.run(_ended_by_signals, main, answers)
    if signalled is not None:
        raise SystemExit(_EXIT_CODE + signalled)
    return answers[0]


def _open_streams() -> None:
    """A program that was started with closed streams writes to nobody, and not into a file that took their place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - as long as the process


async def until_signalled(
    deployments: Sequence[FlowDeployment], options: RunnerOptions, tables: Tables, *, announced: bool
) -> None:
    """Serve the deployments until a signal says otherwise; see `trioflow.serving.assembly.serve`."""

    async def body(client: Client) -> None:
        screen = choose_screen()
        runner = Runner(client=client, witness=screen, **options)
        serving = partial(_serve, runner, client, deployments, screen, announced=announced)
        await _minding_signals(serving, runner.stop)

    await in_home(current_settings(), body, **tables)


async def _serve(
    runner: Runner,
    client: Client,
    deployments: Sequence[FlowDeployment],
    screen: Screen,
    *,
    announced: bool,
) -> None:
    ids = [await runner.add_deployment(deployment) for deployment in deployments]
    if announced:
        announce(await served_now(client, ids))
    with screen:
        async with own_nursery() as nursery:
            nursery.start_soon(screen.follow, client, ids)
            await runner.start()
            nursery.cancel_scope.cancel()


async def once(
    deployments: Sequence[FlowDeployment], options: RunnerOptions, tables: Tables
) -> list[State | None]:
    """Run each deployment once, now: the states that the runs ended in, in the same order.

    The first signal ends them; None stands for a run that it kept from being started. A schedule that is new is left
    paused, as by a runner that has ended: whoever serves it resumes it.
    """
    ended: list[State | None] = [None] * len(deployments)

    async def body(client: Client) -> None:
        screen = choose_screen()
        leaving_schedules: RunnerOptions = {**options, "pause_on_shutdown": False}
        runner = Runner(client=client, witness=screen, **leaving_schedules)
        slots = trio.CapacityLimiter(options.get("limit") or current_settings().runner_process_limit)

        async def run(deployment: Deployment, place: int) -> None:
            async with slots:
                ended[place] = await runner.execute_flow_run(await _asked_for(client, deployment))

        await _minding_signals(partial(_run_each, runner, client, deployments, screen, run))

    await in_home(current_settings(), body, **tables)
    return ended


async def _run_each(
    runner: Runner,
    client: Client,
    deployments: Sequence[FlowDeployment],
    screen: Screen,
    run: Callable[[Deployment, int], Awaitable[None]],
) -> None:
    known = [await apply(client, _not_yet_due(deployment)) for deployment in deployments]
    with screen:
        async with runner, own_nursery() as watching:
            watching.start_soon(screen.follow, client, [each.id for each in known])
            await _all(run, known)
            watching.cancel_scope.cancel()


async def _all(run: Callable[[Deployment, int], Awaitable[None]], known: Sequence[Deployment]) -> None:
    async with own_nursery() as nursery:
        for place, deployment in enumerate(known):
            nursery.start_soon(run, deployment, place)


def _not_yet_due(deployment: FlowDeployment) -> FlowDeployment:
    paused = (evolve(schedule, paused_by=PausedBy.RUNNER) for schedule in deployment.schedules)
    return evolve(deployment, schedules=tuple(paused))


async def _asked_for(client: Client, deployment: Deployment) -> UUID:
    request = CreateDeploymentRun(
        id=clock.new_id(), deployment_id=deployment.id, transition_id=clock.new_id(), name=drawn_name()
    )
    return (await client.call(CREATE_DEPLOYMENT_RUN, request)).run.id


# --- signals


async def _ended_by_signals(main: Callable[[], Awaitable[T]], answers: list[T]) -> int | None:
    """Await ``main``, and keep its answer; a signal that it does not mind itself cancels it, and is returned."""
    ending: list[int] = []

    async def heed(signals: AsyncIterator[int]) -> None:
        ending.append(await anext(signals))
        nursery.cancel_scope.cancel()

    with trio.open_signal_receiver(*_heeded_signals()) as signals:
        async with own_nursery() as nursery:
            nursery.start_soon(heed, signals)
            answers.append(await main())
            nursery.cancel_scope.cancel()
    return None if answers else ending[0]


async def _minding_signals(
    main: Callable[[], Awaitable[object]], stop: Callable[[], object] | None = None
) -> None:
    """Await ``main``: the first signal calls ``stop``, where there is one, the next cancels, one more ends it all."""
    scope = trio.CancelScope()
    with trio.open_signal_receiver(*_heeded_signals()) as signals:
        async with own_nursery() as nursery:
            nursery.start_soon(_end_at, signals, scope, stop)
            with scope:
                await main()
            nursery.cancel_scope.cancel()


def _heeded_signals() -> list[signal.Signals]:
    """Those that end it; not Ctrl-C where that was ignored when it was started, as in the background of a script."""
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return [signal.SIGTERM] if is_ignored else [signal.SIGTERM, signal.SIGINT]


async def _end_at(
    signals: AsyncIterator[int], scope: trio.CancelScope, stop: Callable[[], object] | None
) -> None:
    await _next_of(signals)
    if stop is not None and _has_begun(stop):
        drain = current_settings().drain_seconds
        logger.warning("Stopping: runs have up to %g s to finish; one more signal ends them now.", drain)
        await _next_of(signals)
    logger.warning("Ending every run now; one more signal ends this process at once.")
    scope.cancel()
    os._exit(_EXIT_CODE + await _next_of(signals))


def _has_begun(stop: Callable[[], object]) -> bool:
    """Stops it, if there is anything to stop."""
    try:
        stop()
    except RunnerError:
        return False
    return True


async def _next_of(signals: AsyncIterator[int]) -> int:
    """The next signal. Who sends it to the process and to its group as well (``timeout``, wrappers) means it once."""
    number = await anext(signals)
    with trio.move_on_after(_ECHO_SECONDS):
        while True:
            await anext(signals)
    return number

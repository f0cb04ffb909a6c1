"""Served runs: what becomes of a run that a runner has claimed for us: its flow is loaded, prepared and driven.

Knows no process: no environment, no signals, no exit. Whoever serves a run ends it by cancelling the scope around the
call, and says why with the scope's reason, as `trioflow.engine.crashes` and `trioflow.engine.sessions` have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, final
from uuid import UUID

import trio
from attrs import define, frozen

from trioflow.client.client import Client
from trioflow.core.lifecycle import Propose, Sleep, Step
from trioflow.core.runs import FlowRun
from trioflow.core.states import Failed, State
from trioflow.engine.drive import taken_down
from trioflow.engine.endings import recorded
from trioflow.engine.entrypoints import load_flow
from trioflow.engine.flow_runs import OwnedFlowRun
from trioflow.engine.flows import Flow
from trioflow.engine.hooks import run_hooks
from trioflow.engine.logs import flow_run_logger
from trioflow.engine.parameters import restored
from trioflow.engine.results import Raised, load
from trioflow.engine.roots import drive_of, first_step
from trioflow.engine.sessions import Session
from trioflow.errors import DeploymentNotFound, EntrypointError, TrioflowBug, UnreadableResult
from trioflow.wire.endpoints import (
    PREPARE_FLOW_RUN,
    READ_DEPLOYMENT,
    READ_FLOW_RUN,
    READ_HISTORY,
    SETTLE_HOOKS,
)
from trioflow.wire.requests import PrepareFlowRun, ReadDeployment, ReadFlowRun, ReadHistory, SettleHooks

Loader = Callable[[str], Flow[..., Any]]
"""Gives the flow at an entry point. Raises EntrypointError."""


@frozen(kw_only=True)
class Claimed:
    """A run that a runner has claimed, for whoever calls its code."""

    run_id: UUID
    epoch: int
    """The claim's: each proposal carries it."""
    entrypoint: str | None = None
    """Where its flow is loaded from; without it, its deployment says so, or else the run itself."""


async def serve_run(client: Client, claimed: Claimed, load_flow: Loader = load_flow) -> State:
    """Load the run's flow and drive the run: the state that it ended in, or that it waits in to be taken up again.

    Raises:
        RunNotFound: there is no such flow run.
        RunAborted: the orchestrator refused to go on with the run here.
        BaseException: what is nobody's outcome: a cancellation, an exit. It has been reported.
    """
    heard_until, unloaded = await _begun(client, claimed)
    return await unloaded.session.run(heard_until, partial(_to_its_end, unloaded, load_flow))


async def serve_hooks(client: Client, claimed: Claimed, version: int, load_flow: Loader = load_flow) -> None:
    """Call the hooks that are owed for the run's ``version``-th state, and settle them once all were called.

    Raises:
        EntrypointError: its flow cannot be loaded.
        RunNotFound: there is no such flow run.
    """
    heard_until, unloaded = await _begun(client, claimed)
    await unloaded.session.run(heard_until, partial(_call_hooks, unloaded, version, load_flow))


async def _begun(client: Client, claimed: Claimed) -> tuple[int, _Unloaded]:
    # Shielded: who is told to end before it has begun says so of its run, and has to know it for that.
    with trio.CancelScope(shield=True):
        return await client.now(), await _Unloaded.of(client, claimed)
    raise TrioflowBug("nobody knows this scope, and somebody cancelled it")


async def _to_its_end(unloaded: _Unloaded, load_flow: Loader) -> State:
    try:
        flow = load_flow(unloaded.entrypoint)
        run = await _prepared(unloaded, flow)
    except EntrypointError as error:
        return await unloaded.fail(error)
    except BaseException as error:
        await taken_down(unloaded, error)
        raise
    found = restored(flow, run.parameters)
    return await drive_of(unloaded.session, flow, run, found).to_its_end(_when_due(run, first_step(found)))


def _when_due(run: FlowRun, first: Propose) -> Step:
    """A runner starts the process a little early. The orchestrator lets it wait for whole seconds only."""
    due = run.state.details.scheduled_time if run.state else None
    return Sleep(then=first, until=due) if due is not None else first


async def _prepared(unloaded: _Unloaded, flow: Flow[..., Any]) -> FlowRun:
    """The run, with what the flow says of it."""
    request = PrepareFlowRun(
        run_id=unloaded.run.id,
        epoch=unloaded.session.epoch,
        retry=flow.options.retry,
        flow_version=flow.version,
        hooked=flow.options.hooks.hooked,
        timeout=flow.options.timeout,
    )
    return await unloaded.session.client.call(PREPARE_FLOW_RUN, request)


@final
@define(eq=False, kw_only=True)
class _Unloaded(OwnedFlowRun):
    """A run without its flow: it can only end. Its hooks are owed; the runner has somebody call them."""

    source: str
    """What names the flow: ``deployment``, ``entrypoint``."""
    entrypoint: str

    @classmethod
    async def of(cls, client: Client, claimed: Claimed) -> _Unloaded:
        """The run that was claimed."""
        run = await client.call(READ_FLOW_RUN, ReadFlowRun(run_id=claimed.run_id))
        source, entrypoint = "entrypoint", claimed.entrypoint or run.entrypoint
        if claimed.entrypoint is None and run.deployment_id is not None:
            source, entrypoint = "deployment", await _deployed(client, run.deployment_id) or run.entrypoint
        session = Session.under(client, run.root_id, claimed.epoch)
        return cls(
            source=source,
            entrypoint=entrypoint or "",
            run=run,
            session=session,
            recorder=session.recorder,
            logger=flow_run_logger(run, entrypoint or ""),
        )

    async def fail(self, error: EntrypointError) -> State:
        """Its end, when its flow cannot be loaded."""
        told = f"Flow could not be retrieved from {self.source}."
        self.logger.error(told, exc_info=error.__cause__ or error)
        failed = Failed(message=f"{told} {error}", data=Raised(error))
        return await self.to_its_end(Propose(await recorded(failed, self.recorder, persist=True)))

    async def entered(self, state: State) -> None:
        """Nobody here knows whom to tell."""

    async def call(self, state: State) -> State:
        """Never: nobody proposes that a run without its flow be RUNNING."""
        raise TrioflowBug(f"flow run {self.run.name!r} is {state} and its flow is not loaded")


async def _deployed(client: Client, deployment_id: UUID) -> str | None:
    try:
        deployment = await client.call(READ_DEPLOYMENT, ReadDeployment(deployment_id=deployment_id))
    except DeploymentNotFound:
        return None
    return deployment.entrypoint


# --- hooks


async def _call_hooks(unloaded: _Unloaded, version: int, load_flow: Loader) -> None:
    flow = load_flow(unloaded.entrypoint)
    run, session = unloaded.run, unloaded.session
    state = await _state(unloaded, version)
    for hook in flow.options.hooks.owed(state):
        # By this word the runner counts the hook's time: one that blocks this loop can say nothing any more.
        await _history(unloaded)
        subject = {"flow": flow, "flow_run": run, "state": state}
        await run_hooks([hook], subject, logger=unloaded.logger, seconds=session.settings.hook_seconds)
    await session.client.call(SETTLE_HOOKS, SettleHooks(run_id=run.id, version=version))


async def _state(unloaded: _Unloaded, version: int) -> State:
    """The run's ``version``-th state; with live data, where the run is still in it and they can be read."""
    run = unloaded.run
    if run.version == version and run.state is not None:
        with suppress(UnreadableResult):
            return await load(run.state, unloaded.recorder, f"flow run {run.name!r}")
    return (await _history(unloaded))[version - 1]


async def _history(unloaded: _Unloaded) -> Sequence[State]:
    request = ReadHistory(run_id=unloaded.run.id)
    return (await unloaded.session.client.call(READ_HISTORY, request)).states

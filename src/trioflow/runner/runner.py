"""The Runner: serves deployments from this process, each run in a process of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack, final

import trio

from trioflow import clock
from trioflow.client.connect import current_client
from trioflow.deployments.apply import apply
from trioflow.errors import InvalidSetting, RunnerError
from trioflow.infrastructure.orphans import sweep_orphans
from trioflow.infrastructure.process import ProcessInfrastructure
from trioflow.runner.limiter import Limiter
from trioflow.runner.opened import Opened, Terms, opened
from trioflow.runner.pausing import resume_schedules
from trioflow.runner.poll import MOST_LEAD_SECONDS
from trioflow.runner.witness import StreamWitness, Witness
from trioflow.settings import current_settings

if TYPE_CHECKING:
    from uuid import UUID

    from trioflow.client.client import Client
    from trioflow.core.states import State
    from trioflow.core.tables import Tables
    from trioflow.deployments.deployment import FlowDeployment
    from trioflow.deployments.options import DeploymentKeywords
    from trioflow.engine.flows import Flow
    from trioflow.infrastructure.infrastructure import Infrastructure
    from trioflow.loops import Health

NOT_STARTED = "Runner has not yet started. Please start the runner by calling .start()"
NOT_OPEN = "Runner is not set up. Please make sure you are running this runner as an async context manager."


@final
class Runner:
    """Runs what is due of its deployments, and ends what is cancelled.

    Example:
        ```python
        runner = trioflow.Runner(limit=4)
        await runner.add_flow(audit, interval=30)
        await runner.start()
        ```
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        query_seconds: float | None = None,
        prefetch_seconds: float = 10,
        limit: int | None = None,
        pause_on_shutdown: bool = True,
        client: Client | None = None,
        infrastructure: Infrastructure | None = None,
        witness: Witness | None = None,
        **tables: Unpack[Tables],
    ) -> None:
        """Make a runner for the current settings; nothing is opened before it starts.

        Args:
            name: what it is called in the log; of a path to a file, the file's name without its suffix. Drawn unless
                given.
            query_seconds: how often it asks for work when nothing wakes it; ``TRIOFLOW_RUNNER_QUERY_SECONDS``
                unless given.
            prefetch_seconds: how long before it is due a run is claimed at most, so that its process has started by
                then. Never more than a second before: a run that waits would hold a slot.
            limit: how many runs it has in hand at once; ``TRIOFLOW_RUNNER_PROCESS_LIMIT`` unless given.
            pause_on_shutdown: whether the schedules of its deployments are paused when it ends. What a runner has
                paused is resumed by the next one that starts, and by one that goes on serving it.
            client: what it speaks through; without one it opens the home, and plans what its schedules owe.
            infrastructure: where the processes of its runs are placed; on this machine unless given.
            witness: who is told what its runs do and say; standard output and error unless given.
            tables: ``flow_table`` and ``task_table``, with rules of yours, which judge in the home that it opens.

        Raises:
            InvalidSetting: it cannot be called that, a number is too small, or there are tables beside a client.
        """
        settings = current_settings()
        if tables and client is not None:
            raise InvalidSetting(
                "a runner with a client of its own judges nothing: give the tables to whoever does"
            )
        seconds = settings.runner_query_seconds if query_seconds is None else query_seconds
        if not seconds > 0:
            raise InvalidSetting(f"a runner's query_seconds must be above 0, not {seconds}")
        if not prefetch_seconds >= 0:
            raise InvalidSetting(f"a runner's prefetch_seconds must be 0 or more, not {prefetch_seconds}")
        self._sweeps = infrastructure is None
        self._terms = Terms(
            name=_named(name),
            settings=settings,
            query_seconds=seconds,
            lead_seconds=min(prefetch_seconds, MOST_LEAD_SECONDS),
            limiter=Limiter(settings.runner_process_limit if limit is None else limit),
            infrastructure=infrastructure or ProcessInfrastructure(grace_seconds=settings.grace_seconds),
            witness=witness or StreamWitness(),
            client=client,
            tables=tables,
        )
        self._pauses = pause_on_shutdown
        self._opened: Opened | None = None
        self._entered: AbstractAsyncContextManager[Opened] | None = None
        self._loops: trio.CancelScope | None = None
        """Around the loops of the latest start; None before the first."""
        self._running = False

    def __repr__(self) -> str:
        return f"Runner(name={self.name!r})"

    @property
    def name(self) -> str:
        """What it is called."""
        return self._terms.name

    @property
    def started(self) -> bool:
        """Whether it is open, and not ending yet."""
        return self._opened is not None and self._opened.open

    @property
    def health(self) -> Mapping[str, Health]:
        """How its loops are, by what they do; empty while it is not open."""
        return {loop.name: loop.health for loop in self._opened.loops} if self._opened else {}

    # --- what it serves

    async def add_deployment(self, deployment: FlowDeployment) -> UUID:
        """Register the deployment, serve it from now on, and give its id (DP-01).

        Raises:
            DeploymentApplyError: it was refused.
            StoreError: the database cannot do it.
        """
        known = await apply(await self._client(), deployment)
        self._terms.served.deployments[known.id] = deployment
        if self._opened is not None:
            await self._resume(self._opened, known.id)
            self._opened.wake()
        return known.id

    async def add_flow(
        self, flow: Flow[..., Any], name: str | None = None, **keywords: Unpack[DeploymentKeywords]
    ) -> UUID:
        """Deploy the flow, as `Flow.to_deployment` does, and add that deployment.

        Raises:
            DeploymentError: it cannot be deployed like that.
            DeploymentApplyError: it was refused.
            InvalidSchedule: it cannot be scheduled like that.
            StoreError: the database cannot do it.
        """
        return await self.add_deployment(flow.to_deployment(name, **keywords))

    # --- its life

    async def start(
        self, *, run_once: bool = False, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until stopped or cancelled.

        Stopped, it claims nothing more, gives its runs ``TRIOFLOW_DRAIN_SECONDS`` to end by themselves, and ends
        those that do not as their deployments say. Cancelled, it ends them at once. In either case every run that it
        had is over, or scheduled again, and nothing of their processes lives, when this returns.

        Args:
            run_once: only run what is due now, and leave the schedules as they are.
            task_status: told when the runner is ready.

        Raises:
            RunnerError: it is running already.
            StoreError: the home's database cannot be opened.
        """
        if self._running:
            raise RunnerError("The runner is running already.")
        self._running, self._loops = True, trio.CancelScope()
        try:
            async with nullcontext(self._opened) if self._opened else self._open() as session:
                session.pauses = self._pauses and not run_once
                session.resumes = not run_once
                await self._get_ready(session)
                task_status.started()
                with self._loops:
                    await (session.work_once() if run_once else session.work())
        finally:
            self._running = False

    def stop(self) -> None:
        """Claim nothing more. The runs go on; `start` returns when they are over, or have been ended.

        Raises:
            RunnerError: it has not been started.
        """
        if self._loops is None:
            raise RunnerError(NOT_STARTED)
        self._loops.cancel()

    async def __aenter__(self) -> Self:
        if self._opened is not None:
            raise RunnerError("The runner is open already.")
        self._entered = self._open()
        session = await self._entered.__aenter__()
        session.pauses = self._pauses
        return self

    async def __aexit__(self, *raised: object) -> bool | None:
        return await self._entered.__aexit__(*raised) if self._entered else None  # type: ignore[arg-type]

    # --- single runs

    async def execute_flow_run(self, run_id: UUID) -> State:
        """Claim this run, run it in a process of its own, and return the state that it is in then.

        Raises:
            RunAborted: it cannot be claimed; says why.
            RunnerIsFull: as many runs are in hand as the limit allows.
            StoreError: the database cannot do it.
        """
        async with nullcontext(self._opened) if self._opened else self._open() as session:
            return await session.execute(run_id)

    async def check_cancelled_runs(self, on_nothing_to_watch: Callable[[], object] = lambda: None) -> None:
        """Look at once whether a run in hand is to be cancelled, rather than when the store tells of it.

        Args:
            on_nothing_to_watch: called when no run is in hand, and no deployment served that could bring one (RL-16).

        Raises:
            RunnerError: the runner is not open.
            StoreError: the database cannot do it.
        """
        if self._opened is None:
            raise RunnerError(NOT_OPEN)
        if not self._opened.claims.in_hand and not self._terms.served.ids:
            on_nothing_to_watch()
        await self._opened.cancelling.turn()

    # --- inside

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Opened]:
        try:
            async with opened(self._terms) as session:
                self._opened = session
                yield session
        finally:
            self._opened = None

    async def _get_ready(self, session: Opened) -> None:
        if self._sweeps:
            await sweep_orphans(self._terms.settings.home)
        for deployment_id in self._terms.served.deployments:
            await self._resume(session, deployment_id)

    async def _resume(self, session: Opened, deployment_id: UUID) -> None:
        if session.resumes:
            await resume_schedules(session.client, deployment_id)

    async def _client(self) -> Client:
        if self._opened is not None:
            return self._opened.client
        return self._terms.client or await current_client(**self._terms.tables)


def _named(name: str | None) -> str:
    """What a runner is called (RN-06, RN-07)."""
    if name is None:
        return f"runner-{clock.new_id()}"
    if os.path.isfile(name):  # noqa: PTH113 - a Path raises for what is too long to be one
        return Path(name).stem
    if "/" in name or "%" in name:
        raise InvalidSetting("Runner name cannot contain '/' or '%'")
    return name

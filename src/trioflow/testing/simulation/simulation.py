"""What a script, and whoever makes trouble, has in hand while a simulation goes on."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, final
from uuid import UUID

from attrs import define

from trioflow import clock
from trioflow.client.client import Client
from trioflow.core.runs import FlowRun
from trioflow.core.states import Cancelling, State, StateType
from trioflow.errors import DeploymentNotFound
from trioflow.testing.simulation.database import Database
from trioflow.testing.simulation.journal import Journal
from trioflow.testing.simulation.machine import Machine
from trioflow.testing.simulation.sometimes import CLOCK_SET
from trioflow.testing.simulation.virtual import VirtualWorld
from trioflow.wire.endpoints import (
    CREATE_DEPLOYMENT_RUN,
    FIND_DEPLOYMENTS,
    FIND_FLOW_RUNS,
    PROPOSE_FLOW_RUN_STATE,
    READ_FLOW_RUN,
)
from trioflow.wire.filters import ChangeFilter, DeploymentFilter, FlowRunFilter
from trioflow.wire.requests import (
    CreateDeploymentRun,
    FindDeployments,
    FindFlowRuns,
    ProposeFlowRunState,
    ReadFlowRun,
)


@final
@define(eq=False, kw_only=True)
class Simulation:
    """A simulation that goes on, for its script."""

    client: Client
    """Speaks to the database from outside, and meets no faults."""
    machine: Machine
    database: Database
    journal: Journal
    world: VirtualWorld
    chance: random.Random
    """For the script's own draws."""

    async def submit(self, deployment: str, parameters: Mapping[str, Any] | None = None) -> UUID:
        """Ask for a run of a deployment, ``flow/name``, now; its id.

        Raises:
            DeploymentNotFound: there is none of that name.
        """
        request = CreateDeploymentRun(
            id=clock.new_id(),
            deployment_id=await self.deployment(deployment),
            transition_id=clock.new_id(),
            name=f"asked-{self.chance.getrandbits(32):08x}",
            parameters=parameters or {},
        )
        return (await self.client.call(CREATE_DEPLOYMENT_RUN, request)).run.id

    async def deployment(self, name: str) -> UUID:
        """The id of a deployment, ``flow/name``.

        Raises:
            DeploymentNotFound: there is none of that name.
        """
        found = await self.client.call(FIND_DEPLOYMENTS, FindDeployments(filter=DeploymentFilter()))
        for deployment in found.deployments:
            if deployment.full_name == name:
                return deployment.id
        raise DeploymentNotFound(f"there is no deployment {name!r} in this simulation")

    async def cancel(self, run_id: UUID) -> None:
        """Ask for the end of a run; one that is over already stays as it is."""
        request = ProposeFlowRunState(run_id=run_id, state=Cancelling(), transition_id=clock.new_id())
        await self.client.call(PROPOSE_FLOW_RUN_STATE, request)

    async def run(self, run_id: UUID) -> FlowRun:
        """A flow run, as it is now."""
        return await self.client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run_id))

    async def wait_final(self, run_id: UUID) -> State:
        """The state that the run ends in, when it has."""
        after = await self.client.now()
        while not ((run := await self.run(run_id)).state and run.state.is_final):
            which = ChangeFilter(root_ids=frozenset({run.root_id}), flow_runs_only=True)
            after = (await self.client.changes(after, which)).last
        return run.state

    async def active_runs(self) -> list[FlowRun]:
        """The flow runs that have begun and are not over, the newest first."""
        types = frozenset({StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING})
        found = await self.client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter(state_types=types)))
        return list(found.runs)

    def jump(self, seconds: float) -> None:
        """Set the wall clock."""
        self.journal.fault(f"the clock is set by {seconds:+.3f} s")
        if any(process.parent for process in self.machine.alive):
            self.journal.note(CLOCK_SET)
        self.world.jump(seconds)

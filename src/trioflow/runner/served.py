"""What a runner serves: the deployments that it was given, by their ids; and which runs besides it has taken on."""

from __future__ import annotations

from typing import TYPE_CHECKING, final
from uuid import UUID

from attrs import define, field

from trioflow.core.deployments import OnShutdown

if TYPE_CHECKING:
    from trioflow.core.runs import FlowRun
    from trioflow.deployments.deployment import FlowDeployment


@final
@define(eq=False)
class Served:
    """Knows them in the order in which they were given."""

    deployments: dict[UUID, FlowDeployment] = field(factory=dict[UUID, "FlowDeployment"], init=False)
    _taken_on: set[UUID | str] = field(factory=set["UUID | str"], init=False)
    """The deployments of the runs that were claimed, or where their flows are, of those that have none."""

    @property
    def ids(self) -> frozenset[UUID]:
        """Of all of them."""
        return frozenset(self.deployments)

    @property
    def entrypoints(self) -> frozenset[str]:
        """Where their flows are loaded from."""
        return frozenset(deployment.entrypoint for deployment in self.deployments.values())

    def take_on(self, run: FlowRun) -> None:
        """This run was claimed, be it of a deployment that is served or not: hooks that it may owe are called here."""
        if (origin := run.deployment_id or run.entrypoint) is not None:
            self._taken_on.add(origin)

    @property
    def hook_ids(self) -> frozenset[UUID]:
        """Of the deployments for whose runs owed hooks are called here."""
        return self.ids.union(origin for origin in self._taken_on if isinstance(origin, UUID))

    @property
    def hook_entrypoints(self) -> frozenset[str]:
        """Where the flows are for whose runs owed hooks are called here, deployed or not."""
        return self.entrypoints.union(origin for origin in self._taken_on if isinstance(origin, str))

    def entrypoint_of(self, run: FlowRun) -> str | None:
        """Where this runner loads the run's flow from; None when it is of no deployment that is served."""
        deployment = self._of(run)
        return deployment.entrypoint if deployment else None

    def on_shutdown_of(self, run: FlowRun) -> OnShutdown:
        """What becomes of the run when the runner ends before it."""
        deployment = self._of(run)
        return deployment.on_shutdown if deployment else OnShutdown.CANCEL

    def _of(self, run: FlowRun) -> FlowDeployment | None:
        return self.deployments.get(run.deployment_id) if run.deployment_id else None

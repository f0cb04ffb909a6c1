"""Making a deployment known to a home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioflow import clock
from trioflow.core.deployments import Deployment
from trioflow.errors import DeploymentApplyError, DeploymentError, InvalidSchedule, ParameterError
from trioflow.wire.endpoints import APPLY_DEPLOYMENT

if TYPE_CHECKING:
    from trioflow.client.client import Client
    from trioflow.deployments.deployment import FlowDeployment


async def apply(client: Client, deployment: FlowDeployment) -> Deployment:
    """The deployment as it is known from now on; one of that name of that flow keeps its id and its schedules' state.

    Raises:
        DeploymentApplyError: it was refused.
        StoreError: the database cannot do it; nothing has changed.
    """
    try:
        return await client.call(APPLY_DEPLOYMENT, deployment.request(clock.new_id()))
    except (DeploymentError, InvalidSchedule, ParameterError) as refusal:
        raise DeploymentApplyError(
            f"the deployment {deployment.full_name!r} was refused: {refusal}"
        ) from refusal

"""Pausing: a runner that ends pauses the schedules that it served; coming back, it resumes just those (QK-12).

Where several serve a deployment, the first that ends pauses what the others still run: they resume it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from trioflow.core.deployments import PausedBy
from trioflow.errors import DeploymentNotFound
from trioflow.wire.endpoints import PAUSE_SCHEDULES, READ_DEPLOYMENT, RESUME_SCHEDULES
from trioflow.wire.requests import PauseSchedules, ReadDeployment, ResumeSchedules

if TYPE_CHECKING:
    from trioflow.client.client import Client
    from trioflow.runner.served import Served

logger = logging.getLogger("trioflow.runner")


async def pause_schedules(client: Client, deployment_ids: Iterable[UUID]) -> None:
    """Pause what fires of these deployments (LC-03). It is logged, not raised, that it cannot be done."""
    logger.info("Pausing schedules for all deployments...")
    if all([await _pause(client, deployment_id) for deployment_id in deployment_ids]):
        logger.info("All deployment schedules have been paused!")


async def _pause(client: Client, deployment_id: UUID) -> bool:
    try:
        await client.call(PAUSE_SCHEDULES, PauseSchedules(deployment_id=deployment_id, by=PausedBy.RUNNER))
    except Exception as error:  # noqa: BLE001 - whatever the store says, the runner ends in order
        logger.error("The schedules of deployment '%s' could not be paused: %s", deployment_id, error)  # noqa: TRY400 - one line
        return False
    return True


async def keep_schedules(client: Client, served: Served) -> None:
    """Resume what another runner has paused of what is served here, as if it had never been paused.

    Raises:
        StoreError: the database cannot do it.
    """
    for deployment_id in served.ids:
        try:
            known = await client.call(READ_DEPLOYMENT, ReadDeployment(deployment_id=deployment_id))
        except DeploymentNotFound:
            continue
        if any(schedule.paused_by is PausedBy.RUNNER for schedule in known.schedules):
            await resume_schedules(client, deployment_id, makes_up=True)
            logger.info("Resumed the schedules of '%s', which another runner had paused.", known.full_name)


async def resume_schedules(client: Client, deployment_id: UUID, *, makes_up: bool = False) -> None:
    """Resume what a runner has paused of this deployment; what an operator paused stays so.

    Raises:
        StoreError: the database cannot do it.
    """
    request = ResumeSchedules(deployment_id=deployment_id, by=PausedBy.RUNNER, makes_up=makes_up)
    try:
        await client.call(RESUME_SCHEDULES, request)
    except DeploymentNotFound:
        logger.warning("Deployment '%s' is gone, and so are its schedules.", deployment_id)

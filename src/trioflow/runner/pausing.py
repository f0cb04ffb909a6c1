"""Pausing: a runner that ends pauses the schedules that it served; coming back, it resumes just those (QK-12)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from trioflow.core.deployments import PausedBy
from trioflow.errors import DeploymentNotFound
from trioflow.wire.endpoints import PAUSE_SCHEDULES, RESUME_SCHEDULES
from trioflow.wire.requests import PauseSchedules, ResumeSchedules

if TYPE_CHECKING:
    from trioflow.client.client import Client

logger = logging.getLogger("trioflow.runner")


async def pause_schedules(client: Client, deployment_ids: Iterable[UUID]) -> None:
    """Pause what fires of these deployments (LC-03). It is logged, not raised, that it cannot be done."""
    logger.info("Pausing schedules for all deployments...")
    for deployment_id in deployment_ids:
        try:
            await client.call(
                PAUSE_SCHEDULES, PauseSchedules(deployment_id=deployment_id, by=PausedBy.RUNNER)
            )
        except Exception:
            logger.exception("The schedules of deployment '%s' could not be paused.", deployment_id)
    logger.info("All deployment schedules have been paused!")


async def resume_schedules(client: Client, deployment_id: UUID) -> None:
    """Resume what a runner has paused of this deployment; what an operator paused stays so.

    Raises:
        StoreError: the database cannot do it.
    """
    request = ResumeSchedules(deployment_id=deployment_id, by=PausedBy.RUNNER)
    try:
        await client.call(RESUME_SCHEDULES, request)
    except DeploymentNotFound:
        logger.warning("Deployment '%s' is gone, and so are its schedules.", deployment_id)

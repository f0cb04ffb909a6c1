"""Which deployment is meant by what somebody typed."""

from __future__ import annotations

import trio

from trioflow.cli.reading import home_exists
from trioflow.client.connect import current_client
from trioflow.core.deployments import Deployment
from trioflow.deployments.finding import find_deployment
from trioflow.errors import DeploymentNotFound
from trioflow.settings import current_settings


async def the_deployment(asked: str) -> Deployment:
    """The deployment of that name or id; who only looks for one makes no home.

    Raises:
        AmbiguousDeployment: several have this name.
        DeploymentNotFound: none has.
    """
    await trio.lowlevel.checkpoint()
    if not home_exists():
        raise DeploymentNotFound(
            f"there is no deployment {asked!r} in {current_settings().home}: `trioflow serve flows.py` makes them"
        )
    return await find_deployment(await current_client(), asked)

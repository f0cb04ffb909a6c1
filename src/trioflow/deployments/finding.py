"""Which deployment is meant: by its id, by ``flow/deployment``, or by its name alone where only one has it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from attrs import evolve

from trioflow.core.deployments import Deployment
from trioflow.errors import AmbiguousDeployment, DeploymentNotFound
from trioflow.nearest import nearest, there_is
from trioflow.wire.endpoints import FIND_DEPLOYMENTS, READ_DEPLOYMENT
from trioflow.wire.filters import DeploymentFilter
from trioflow.wire.replies import Deployments
from trioflow.wire.requests import FindDeployments, ReadDeployment

if TYPE_CHECKING:
    from trioflow.client.client import Client

EVERY = DeploymentFilter()


async def find_deployment(client: Client, asked: str | UUID) -> Deployment:
    """The deployment that is meant.

    Raises:
        AmbiguousDeployment: several have this name.
        DeploymentNotFound: none has; it names the nearest.
    """
    try:
        deployment_id = asked if isinstance(asked, UUID) else UUID(asked)
    except ValueError:
        return await _named(client, str(asked))
    return await client.call(READ_DEPLOYMENT, ReadDeployment(deployment_id=deployment_id))


async def find_deployments(client: Client, which: DeploymentFilter = EVERY) -> Deployments:
    """Deployments by flow and name, over all pages."""
    found = Deployments((), ())
    while True:
        request = FindDeployments(filter=evolve(which, offset=len(found.deployments)))
        page = await client.call(FIND_DEPLOYMENTS, request)
        found = Deployments(found.deployments + page.deployments, found.next_due + page.next_due)
        if len(page.deployments) < which.limit:
            return found


async def _named(client: Client, asked: str) -> Deployment:
    flow_name, slash, name = asked.rpartition("/")
    which = DeploymentFilter(flow_name=flow_name if slash else None, name=name)
    match (await find_deployments(client, which)).deployments:
        case ():
            raise DeploymentNotFound(await _nearest(client, asked))
        case (one,):
            return one
        case several:
            names = " or ".join(each.full_name for each in several)
            raise AmbiguousDeployment(f"several deployments are called {asked!r}: say {names}")


async def _nearest(client: Client, asked: str) -> str:
    every = (await find_deployments(client)).deployments
    by_name = {name: each.full_name for each in every for name in (each.name, each.full_name)}
    if (near := nearest(asked, by_name)) is not None:
        mend = f"did you mean {by_name[near]}?"
    elif every:
        mend = there_is([each.full_name for each in every])
    else:
        mend = "there is none; `trioflow serve flows.py` makes them"
    return f"there is no deployment {asked!r}: {mend}"

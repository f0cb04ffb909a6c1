"""A client in between, whose answers to claims a test changes; and a look into an open runner."""

from __future__ import annotations

from attrs import define

from trioflow.core.leases import Owner
from trioflow.runner.opened import Opened
from trioflow.wire import endpoints
from trioflow.wire.requests import ClaimFlowRun

ELSEWHERE = Owner(host="another host", pid=7, started=1)


def opened(runner) -> Opened:
    assert runner._opened is not None
    return runner._opened


@define(eq=False)
class Meddler:
    """A client whose answers to claims a test changes; ``meddle`` gets the request and the client."""

    inner: object
    meddle: object

    async def call(self, endpoint, request):
        if endpoint is endpoints.CLAIM_FLOW_RUN:
            return await self.meddle(request, self.inner)
        return await self.inner.call(endpoint, request)

    async def changes(self, after, which):
        return await self.inner.changes(after, which)

    async def now(self):
        return await self.inner.now()


async def owned_by_another(request: ClaimFlowRun, inner):
    """Somebody was faster."""
    await inner.call(
        endpoints.CLAIM_FLOW_RUN,
        ClaimFlowRun(run_id=request.run_id, owner=ELSEWHERE, transition_id=request.run_id),
    )
    return await inner.call(endpoints.CLAIM_FLOW_RUN, request)

"""Who has lost his lease has lost the run, however he asks; and a run whose lease ends is not left halfway.

Found by `tests/property/test_protocol.py`, as the shortest ways to an unsafe or a wedged state.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests.orchestrator.conftest import ELSEWHERE, Desk
from trioflow import clock
from trioflow.core.runs import RetryPolicy
from trioflow.core.states import Cancelling, Failed, Running, Scheduled
from trioflow.core.verdicts import Abort, Accept
from trioflow.store import rows
from trioflow.wire import endpoints, requests

RETRY = RetryPolicy(retries=1, delays=(0.0,))


async def let_lapse(desk: Desk) -> None:
    past = rows.instant_text(clock.now() - timedelta(seconds=1))
    await desk.orchestrator.store.transact(lambda tx: tx.execute("UPDATE leases SET expires = ?", (past,)))


async def leases(desk: Desk) -> int:
    ((count,),) = await desk.rows("SELECT count(*) FROM leases")
    return count


@pytest.fixture
async def claimed(desk: Desk) -> tuple[UUID, UUID]:
    """A run that was claimed from elsewhere, and the transition id of the claim."""
    run = (await desk.create(state=Scheduled(clock.now()), retry=RETRY, deployment_id=UUID(int=7))).run
    transition = clock.new_id()
    first = await desk.claim(run.id, ELSEWHERE, transition_id=transition)
    assert isinstance(first.verdict, Accept)
    return run.id, transition


@pytest.mark.promise("P13")
async def test_a_claim_that_is_repeated_gets_its_first_answer_while_the_run_is_its_own(desk, claimed):
    run_id, transition = claimed
    again = await desk.claim(run_id, ELSEWHERE, transition_id=transition)

    assert isinstance(again.verdict, Accept)
    assert (again.run.epoch, await desk.names(run_id)) == (1, ["Scheduled", "Pending"])


@pytest.mark.promise("P5", "P13")
async def test_a_claim_that_is_repeated_does_not_bring_back_a_run_that_was_reaped(desk, claimed):
    run_id, transition = claimed
    await desk.propose(run_id, Cancelling())
    await let_lapse(desk)

    again = await desk.claim(run_id, ELSEWHERE, transition_id=transition)

    assert again.verdict == Abort(
        "This claim was accepted, and the run has been lost since.", again.run.state
    )
    assert (again.run.state.name, await leases(desk)) == ("Cancelled", 0)


@pytest.mark.promise("P5")
async def test_a_claim_that_is_repeated_does_not_take_the_run_from_its_next_owner(desk, claimed):
    run_id, transition = claimed
    await let_lapse(desk)
    taken = await desk.claim(run_id)

    again = await desk.claim(run_id, ELSEWHERE, transition_id=transition)

    assert isinstance(taken.verdict, Accept)
    assert isinstance(again.verdict, Abort)


@pytest.mark.promise("P1", "P13")
async def test_an_owner_that_was_reaped_while_its_run_awaited_a_retry_is_not_heard_any_more(desk, claimed):
    run_id, _ = claimed
    for state in (Running(), Failed()):
        answer = await desk.propose(run_id, state, epoch=1)
    assert answer.run.state.name == "AwaitingRetry"
    await let_lapse(desk)
    await desk.orchestrator.open()

    late = await desk.propose(run_id, Running(), epoch=1)

    assert isinstance(late.verdict, Abort)
    assert (late.run.state.name, late.run.epoch, await leases(desk)) == ("AwaitingRetry", 2, 0)


@pytest.mark.promise("P2")
async def test_a_run_that_is_cancelled_while_its_owner_lets_go_of_it_is_over(desk, claimed):
    run_id, _ = claimed
    for state in (Running(), Failed()):
        await desk.propose(run_id, state, epoch=1)
    await desk.propose(run_id, Cancelling())

    await desk.ask(endpoints.END_LEASE, requests.EndLease(run_id=run_id, epoch=1))

    assert (await desk.flow_run(run_id)).state.name == "Cancelled"
    assert await leases(desk) == 0

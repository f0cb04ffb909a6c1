"""Every slot comes back, whatever becomes of claims and processes (LM-03), as a property."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runner.house import Child, House, audit, deaf, in_house, lasting, succeed, virtually
from tests.runner.meddling import Meddler, opened, owned_by_another
from trioflow.core.states import Running
from trioflow.errors import ProcessNotStarted, RuleError, StoreError
from trioflow.wire import endpoints


@define(eq=False)
class Fates:
    """What becomes of each claim and of each process, as a test draws it."""

    claims: list[str]
    programs: list[str]
    unheard: set[object] = field(factory=set)
    """The transition ids of claims that were granted, or refused, and whose answer was lost."""
    taken: int = 0
    """How many runs another process has claimed; it never gives them back."""

    async def claim(self, request, inner):
        is_repeated = request.transition_id in self.unheard  # which gets its first answer: no rule is asked
        match self.claims.pop(0) if self.claims and not is_repeated else "granted":
            case "store error before":
                raise StoreError("before")
            case "store error after":
                self.unheard.add(request.transition_id)
                await inner.call(endpoints.CLAIM_FLOW_RUN, request)
                raise StoreError("after")
            case "rule error":
                raise RuleError("a custom rule raised")
            case "taken by another":
                self.taken += 1
                return await owned_by_another(request, inner)
            case "slow":
                await trio.sleep(3)
        return await inner.call(endpoints.CLAIM_FLOW_RUN, request)

    async def program(self, child: Child) -> int:
        match self.programs.pop(0) if self.programs else "succeeds":
            case "does not start":
                raise ProcessNotStarted("no")
            case "breaks the infrastructure":
                raise ZeroDivisionError("a defect")
            case "dies at once":
                return -9
            case "dies running":
                await child.say(Running())
                return 1
            case "lasts":
                return await lasting(20)(child)
            case "is deaf":
                return await deaf(child)
            case _:
                return await succeed(child)


FATES = st.builds(
    Fates,
    st.lists(
        st.sampled_from(
            ["granted", "store error before", "store error after", "rule error", "taken by another", "slow"]
        ),
        max_size=8,
    ),
    st.lists(
        st.sampled_from(
            [
                "succeeds",
                "does not start",
                "breaks the infrastructure",
                "dies at once",
                "dies running",
                "lasts",
                "is deaf",
            ]
        ),
        max_size=8,
    ),
)


@pytest.mark.behaviour("LM-03", "QK-01", "RL-11", "RL-12", "PR-10")
@pytest.mark.promise("P3")
@given(fates=FATES, limit=st.integers(1, 3), runs=st.integers(1, 6), data=st.data())
@settings(max_examples=60)
def test_every_slot_comes_back_whatever_becomes_of_claims_and_processes(fates, limit, runs, data):
    cancelled = data.draw(st.sets(st.integers(0, runs - 1)), label="cancelled runs")
    at = data.draw(st.floats(0, 30), label="cancelled at")
    stopped = data.draw(st.sampled_from(["stopped", "cancelled", "neither"]), label="the runner")

    async def live(house: House) -> None:
        runner = house.runner(client=Meddler(house.client, fates.claim), limit=limit)
        await runner.add_deployment(audit())
        made = [await house.run_of(audit()) for _ in range(runs)]
        limiter = runner._terms.limiter

        async def watch() -> None:
            while True:
                in_hand = opened(runner).claims.in_hand if runner._opened else {}
                assert limiter.in_use == len(in_hand) <= limit
                assert len(house.stage.alive) <= limit
                await trio.sleep(0.5)

        async with trio.open_nursery() as nursery:
            await nursery.start(runner.start)
            nursery.start_soon(watch)
            await trio.sleep(at)
            for number in cancelled:
                await house.cancel(made[number])
            await trio.sleep(2)
            if stopped == "stopped":
                runner.stop()
                await trio.sleep(60)
            elif stopped == "neither":
                await trio.sleep(200)
            nursery.cancel_scope.cancel()

        assert limiter.in_use == 0
        assert house.stage.alive == {}
        found = await house.states()
        assert found["Running"] == 0
        assert await house.leases() == found["Pending"] + found["Cancelling"] <= fates.taken

    async def test() -> None:
        async with in_house(fates.program) as house:
            await live(house)

    virtually(test, seconds=600)

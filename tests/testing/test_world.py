"""The small world in which rules are tried does as an orchestrator would."""

from __future__ import annotations

import pytest

from trioflow.core.leases import LEASE_EXPIRED
from trioflow.core.states import Cancelling, Completed, Pending, Running, Scheduled, State, Suspended
from trioflow.core.verdicts import Abort, Accept
from trioflow.testing.checking.birth import Birth, Role
from trioflow.testing.checking.world import AS_OPERATOR, FLOW, Asker, How, World
from trioflow.testing.pools import NOW, RESULT


@pytest.mark.promise("P13")
@pytest.mark.parametrize(
    ("states", "end"),
    [
        ((Pending(),), "Scheduled"),
        ((Scheduled(NOW),), "Scheduled"),
        ((Running(),), "Crashed"),
        ((Running(), Suspended()), "Suspended"),
        ((Running(), Cancelling()), "Cancelled"),
    ],
)
def test_who_was_taken_for_dead_is_not_heard_whatever_became_of_the_run(states: tuple[State, ...], end: str):
    world = World(Birth(role=Role.DEPLOYED))
    for state in states:
        assert isinstance(world.propose(FLOW, state).verdict, Accept)
    before = world.flow.epoch

    world.reap()

    assert (world.flow.state.name, world.flow.epoch) == (end, before + 1)
    assert not world.is_leased(FLOW)
    late = world.propose(FLOW, Completed(data=RESULT), How(by=Asker.FORMER_OWNER))
    assert late.verdict == Abort(
        f"This comes from epoch {before} of the run, which is in epoch {before + 1}: it has another owner now.",
        world.flow.state,
    )


def test_the_tasks_of_a_process_that_is_gone_end_with_it_and_give_back_their_slots():
    world = World(Birth(tasks=(frozenset({"a"}),), limits={"a": 1}))
    for number in (FLOW, 1):
        world.propose(number, Running())
    assert world.holders == {"a": {world.runs[1].id}}

    world.reap()

    ended = [world.runs[number].state for number in (1, FLOW)]
    assert [(state.name, state.details.cause) for state in ended] == [("Crashed", LEASE_EXPIRED)] * 2
    assert world.holders == {"a": set()}


def test_slots_go_with_the_lease_of_a_suspended_run_which_can_be_resumed():
    world = World(Birth(role=Role.DEPLOYED, tasks=(frozenset({"a"}),), limits={"a": 1}))
    for number, state in ((FLOW, Running()), (1, Running()), (FLOW, Suspended())):
        world.propose(number, state)

    world.reap()

    assert world.holders == {"a": set()}
    assert isinstance(world.propose(FLOW, Scheduled(NOW), AS_OPERATOR).verdict, Accept)

"""The limiter: never more than its limit, one slot a run, every slot given back."""

from __future__ import annotations

import logging
from inspect import signature
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trioflow.errors import InvalidSetting
from trioflow.runner.limiter import Limiter

RUNS = [UUID(int=number) for number in range(6)]


@pytest.mark.behaviour("LM-01")
def test_a_slot_is_taken_for_a_run_without_waiting_and_given_back() -> None:
    limiter = Limiter(1)
    assert limiter.take_nowait(RUNS[0])
    assert not limiter.take_nowait(RUNS[1])
    limiter.give_back(RUNS[0])
    assert limiter.take_nowait(RUNS[1])
    assert limiter.in_use == 1


@pytest.mark.behaviour("LM-02")
def test_a_full_limiter_says_once_how_many_runs_are_in_progress(caplog: pytest.LogCaptureFixture) -> None:
    limiter = Limiter(2)
    with caplog.at_level(logging.INFO, logger="trioflow.runner"):
        assert [limiter.take_nowait(run) for run in RUNS[:4]] == [True, True, False, False]
    assert [record.getMessage() for record in caplog.records] == [
        (
            "Flow run limit reached; 2 flow runs in progress. You can control this limit by adjusting the "
            "TRIOFLOW_RUNNER_PROCESS_LIMIT setting."
        )
    ]


@pytest.mark.behaviour("LM-02")
def test_it_says_so_again_in_the_log_only_after_a_slot_came_back(caplog: pytest.LogCaptureFixture) -> None:
    limiter = Limiter(1)
    with caplog.at_level(logging.DEBUG, logger="trioflow.runner"):
        taken = [limiter.take_nowait(run) for run in RUNS[:4]]
        limiter.give_back(RUNS[0])
        taken += [limiter.take_nowait(run) for run in RUNS[1:3]]
    assert taken == [True, False, False, False, True, False]
    assert [record.levelname for record in caplog.records] == ["INFO", "DEBUG", "DEBUG", "INFO"]


def test_it_begins_with_every_slot_free() -> None:
    assert list(signature(Limiter).parameters) == ["limit"]
    assert Limiter(3).in_use == 0


@pytest.mark.behaviour("QK-09")
@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nothing_run_is_refused(limit: int) -> None:
    with pytest.raises(InvalidSetting, match=f"^a runner's limit must be at least 1, not {limit}$"):
        Limiter(limit)


class LimiterMachine(RuleBasedStateMachine):
    """Beside the limiter, a list of who should hold a slot."""

    @initialize(limit=st.integers(1, 4))
    def make(self, limit: int) -> None:
        self.limiter = Limiter(limit)
        self.holders: set[UUID] = set()

    @rule(run=st.sampled_from(RUNS))
    def take(self, run: UUID) -> None:
        room = run in self.holders or len(self.holders) < self.limiter.limit
        assert self.limiter.take_nowait(run) is room
        if room:
            self.holders.add(run)

    @rule(run=st.sampled_from(RUNS))
    def give_back(self, run: UUID) -> None:
        self.limiter.give_back(run)
        self.holders.discard(run)

    @invariant()
    def as_many_slots_are_taken_as_runs_hold_one(self) -> None:
        assert self.limiter.in_use == len(self.holders) <= self.limiter.limit


TestLimiter = pytest.mark.behaviour("LM-03")(LimiterMachine.TestCase)

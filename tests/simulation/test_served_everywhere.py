"""Cancelled, killed or denied the store at any step of theirs, runners and the runs that they serve come to an end.

By default each so-manieth step is tried; ``-m nightly`` tries all of them.
"""

from __future__ import annotations

from functools import partial

import pytest
from attrs import evolve

from tests.simulation import flows
from trioflow.errors import ScenarioBroken, ScenarioUnfit, SimulationError
from trioflow.runner.child import ChildClient
from trioflow.runner.claim import Claims
from trioflow.runner.supervise import Supervised
from trioflow.testing.everywhere import Served, cancel_everywhere, crash_everywhere, fail_store_at_every_call

SERVED = {
    "tasks": Served(deployment=flows.hourly.to_deployment("d"), every=9),
    "limited tasks and retries": Served(deployment=flows.etl.to_deployment("d"), limits={"db": 2}, every=13),
    "subflows": Served(deployment=flows.whole.to_deployment("d"), every=29),
    "sync": Served(deployment=flows.sync_report.to_deployment("d"), every=13),
    "hooks": Served(deployment=flows.hooked.to_deployment("d"), every=9),
    "deaf": Served(deployment=flows.deaf.to_deployment("d"), every=13),
}
INTERRUPTED = {
    "host ends": cancel_everywhere,
    "asked to cancel": partial(cancel_everywhere, by="request"),
    "killed": crash_everywhere,
}
SIMPLE = SERVED["tasks"]

each_scenario = pytest.mark.parametrize("served", SERVED.values(), ids=list(SERVED))
each_interruption = pytest.mark.parametrize("interrupt", INTERRUPTED.values(), ids=list(INTERRUPTED))


@pytest.mark.promise("P1", "P2", "P3", "P4", "P8")
@each_interruption
@each_scenario
def test_wherever_a_served_run_is_interrupted_it_ends_as_it_must(served, interrupt):
    assert interrupt(served).points >= 7


@pytest.mark.promise("P3", "P4", "P8")
@each_scenario
def test_whichever_call_of_the_store_fails_a_served_run_ends_as_usual(served):
    calls = evolve(served, every=max(1, served.every // 8))
    assert fail_store_at_every_call(calls).points >= 30


@pytest.mark.nightly
@pytest.mark.promise("P1", "P2", "P3", "P4", "P8")
@each_interruption
@each_scenario
def test_at_each_step_of_a_served_run_it_ends_as_it_must(served, interrupt):
    assert interrupt(evolve(served, every=1)).points >= 100


@pytest.mark.nightly
@pytest.mark.promise("P3", "P4", "P8")
def test_whichever_call_of_the_store_fails_a_run_with_subflows_ends_as_usual():
    assert fail_store_at_every_call(evolve(SERVED["subflows"], every=1)).points >= 100


# --- planted faults


def broken(sweep, **changes) -> str:
    with pytest.raises(ScenarioBroken) as caught:
        sweep(evolve(SIMPLE, **changes))
    return str(caught.value)


def test_a_run_that_an_outage_of_one_read_ends_is_found(monkeypatch):
    async def at_once(self, after, which):
        return await self._client.changes(after, which)

    monkeypatch.setattr(ChildClient, "changes", at_once)
    told = broken(fail_store_at_every_call, deployment=flows.whole.to_deployment("d"))
    assert "the run is Crashed" in told
    assert "fail_store_at_every_call(served_whole, only=" in told


def test_a_claim_whose_answer_nobody_keeps_is_found(monkeypatch):
    real = Claims._ask

    async def forgetful(self, hand):
        try:
            return await real(self, hand)
        finally:
            self._unanswered.clear()

    monkeypatch.setattr(Claims, "_ask", forgetful)
    told = broken(fail_store_at_every_call, every=1)
    assert "not over" in told or "the run is" in told


def test_a_request_to_end_that_nobody_backs_with_a_signal_is_found(monkeypatch):
    monkeypatch.setattr(Supervised, "_end", lambda *_: None)
    told = broken(
        partial(cancel_everywhere, by="request"), deployment=flows.deaf.to_deployment("d"), every=20
    )
    assert "to be cancelled" in told


def test_a_close_that_leaves_its_lease_is_found(monkeypatch):
    monkeypatch.setattr("trioflow.core.bookkeeping._is_outermost", lambda _: False)
    assert "is over and has a lease" in broken(crash_everywhere, every=40)


# --- what cannot be tried


def test_one_step_alone_can_be_tried():
    assert crash_everywhere(SIMPLE, only="after 120").points == 1


def test_a_step_that_there_is_not_is_refused():
    with pytest.raises(ScenarioUnfit, match="there is no point 'before 3'"):
        crash_everywhere(SIMPLE, only="before 3")


def test_a_run_that_does_not_end_in_time_is_told():
    with pytest.raises(SimulationError, match="the script had not ended"):
        crash_everywhere(Served(deployment=flows.patient.to_deployment("d"), parameters={"parts": 100}))

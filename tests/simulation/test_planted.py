"""Races and slips that are planted into the production code are found, by one of a few seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

import pytest
import trio
from attrs import evolve

from tests.simulation import flows
from trioflow.core import bookkeeping
from trioflow.core.rules import flow_runs as flow_rules
from trioflow.core.rules import task_runs as task_rules
from trioflow.core.schedules.window import Plan
from trioflow.core.states import NO_DETAILS
from trioflow.core.tables import walk
from trioflow.deployments.deployment import FlowDeployment
from trioflow.errors import SimulationFailed
from trioflow.orchestrator import judging, orchestrator, planning, ready
from trioflow.orchestrator.desk import Desk
from trioflow.runner import claim
from trioflow.runner.cancelling import Cancelling
from trioflow.runner.limiter import Limiter
from trioflow.runner.listen import Listening
from trioflow.testing.simulation import NO_FAULTS, Faults, Simulation, simulate

STOPS = Faults(child_stops=30.0, runner_stops=30.0, link_latency=0.2)
KILLS = Faults(runner_kills=8.0, child_kills=20.0)
LATENCY = Faults(latency=0.5)
CANCELS = Faults(cancels=60.0)
REPEATS = Faults(repeated_requests=0.2)


def usual() -> Sequence[FlowDeployment]:
    return flows.etl.to_deployment("e", interval=180), flows.hooked.to_deployment("h", interval=90)


def stubborn() -> Sequence[FlowDeployment]:
    return (flows.stubborn.to_deployment("s", interval=300),)


def hourly() -> Sequence[FlowDeployment]:
    return (flows.hourly.to_deployment("h", interval=120),)


def found(
    faults: Faults = NO_FAULTS,
    deployments: Sequence[FlowDeployment] = (),
    *,
    seeds: int = 3,
    **keywords,
) -> str:
    """What the first of the seeds that fails tells."""
    terms = {"flows_may_fail": True, "flows_may_wait": True, "limits": {"db": 2}, **keywords}
    for seed in range(seeds):
        try:
            simulate(
                *(deployments or usual()),
                seed=seed,
                duration=timedelta(minutes=40),
                runners=2,
                query_seconds=30.0,
                faults=faults,
                **terms,
            )
        except SimulationFailed as failure:
            return str(failure)
    return "nothing"


@pytest.mark.parametrize("faults", [NO_FAULTS, STOPS, KILLS, LATENCY, CANCELS, REPEATS], ids=str)
def test_where_nothing_is_planted_nothing_is_found(faults):
    assert found(faults, seeds=2) == "nothing"
    assert found(faults, stubborn(), seeds=1) == "nothing"


# --- owners


def test_proposals_that_no_epoch_fences_off_are_found(monkeypatch):
    monkeypatch.setattr(walk, "_outlived", lambda *_: None)
    assert "Broken: run" in found(STOPS, stubborn(), seeds=12)


def test_claims_that_ask_for_no_lease_are_found(monkeypatch):
    """Two safeguards are gone: what is ready is told without a look at leases, too."""
    real = judging.claim_flow_run

    def careless(tx, desk, request):
        if request.transition_id not in desk.answered:
            desk.leases.pop(request.run_id, None)
        return real(tx, desk, request)

    monkeypatch.setattr(judging, "claim_flow_run", careless)
    without = [name for name, value in vars(ready).items() if isinstance(value, str) and _NO_LEASE in value]
    for name in without:
        monkeypatch.setattr(ready, name, getattr(ready, name).replace(_NO_LEASE, ""))
    assert "has claimed it" in found(LATENCY, stubborn())


_NO_LEASE = " AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.run_id = flow_runs.root_id)"


def test_epochs_that_do_not_rise_are_found(monkeypatch):
    real = bookkeeping._flow_run

    def flat(run, state, **given):
        return {**real(run, state, **given), "epoch": max(run.epoch, 1)}

    monkeypatch.setattr(bookkeeping, "_flow_run", flat)
    assert "its epoch is 1" in found(KILLS, seeds=6)


def test_leases_that_nobody_renews_are_found(monkeypatch):
    monkeypatch.setattr(orchestrator, "_renew_own_leases", lambda _: None)
    with pytest.raises(SimulationFailed, match="Crashed, though nothing went wrong"):
        simulate(flows.sync_report.to_deployment("s", interval=600, parameters={"seconds": 100.0}))


def test_runs_of_the_dead_that_nobody_reaps_are_found(monkeypatch):
    monkeypatch.setattr(orchestrator.Orchestrator, "_reap_the_dead", lambda *_: None)
    assert "not over" in found(KILLS)


def test_more_runs_in_hand_than_the_limit_allows_are_found(monkeypatch):
    monkeypatch.setattr(Limiter, "take_nowait", lambda *_: True)
    monkeypatch.setattr(Limiter, "give_back", lambda *_: None)
    busy = [flows.sync_report.to_deployment("s", interval=30, parameters={"seconds": 300.0})]
    assert "runs in hand, and 2 are the most" in found(deployments=busy, runner_limit=2)


def test_runners_that_never_have_room_again_are_found(monkeypatch):
    monkeypatch.setattr(Limiter, "give_back", lambda *_: None)
    assert "and nobody has started it" in found(deployments=hourly(), runner_limit=3)


# --- slots


def test_slots_that_leak_are_found(monkeypatch):
    monkeypatch.setattr(Desk, "_release_slots", lambda *_: None)
    assert "holds a slot of 'db'" in found()


def test_slots_beyond_the_limit_are_found(monkeypatch):
    monkeypatch.setattr(task_rules, "_is_full", lambda limit: len(limit.holders) > limit.limit)
    assert "3 tasks of 'db' are at work, and 2 are the most" in found()


def test_tasks_that_start_without_a_slot_are_found(monkeypatch):
    monkeypatch.setattr(Desk, "_limits", lambda *_: ())
    assert "is at work without a slot of 'db'" in found()


# --- starts


def test_runs_that_start_early_are_found(monkeypatch):
    real = judging.claim_flow_run

    def hasty(tx, desk, request):
        answer = real(tx, desk, request)
        run = desk.flow_run(request.run_id)
        desk.put(evolve(run, state=evolve(run.state, details=NO_DETAILS)))
        return answer

    monkeypatch.setattr(judging, "claim_flow_run", hasty)
    assert "before it was due" in found()


def test_a_wake_up_that_is_lost_is_found(monkeypatch):
    monkeypatch.setattr(Listening, "_hear", lambda self, change: self._cancelling.hear(change))

    async def script(simulation: Simulation) -> None:
        for seconds in (17, 31, 45, 5):
            await trio.sleep(seconds)
            await simulation.wait_final(await simulation.submit("hourly/h"))

    told = found(deployments=hourly(), script=script, flows_may_wait=False, flows_may_fail=False)
    assert "late, though nothing went wrong" in told


# --- schedules


def planned(change: Callable[[Plan], Plan]) -> Callable[..., Plan]:
    real = planning.plan
    return lambda *given: change(real(*given))


def test_a_fire_that_is_lost_is_found(monkeypatch):
    """Instants are settled that are to come: their fires are never looked for again."""
    monkeypatch.setattr(planning, "AHEAD", 4)
    monkeypatch.setattr(planning, "max", lambda *times: max(times) + timedelta(hours=1), raising=False)
    assert "has no run for its fire at" in found(deployments=hourly())


def test_a_fire_that_is_doubled_is_found(monkeypatch):
    numbers = count()
    monkeypatch.setattr(
        planning, "plan", planned(lambda owed: evolve(owed, create=(*owed.create, *owed.create)))
    )
    monkeypatch.setattr(planning, "fire_key", lambda identity, fire: f"{identity}@{fire}#{next(numbers)}")
    assert "fire at" in found(deployments=hourly())


# --- retries


def test_retries_that_are_lost_are_found(monkeypatch):
    monkeypatch.setattr(flow_rules, "retries_left", lambda run: run.retries_used < run.retry.retries - 1)
    assert "is FAILED after 29 of 30 retries" in found(deployments=stubborn())


def test_retries_that_nobody_allowed_are_found(monkeypatch):
    monkeypatch.setattr(task_rules, "retries_left", lambda run: run.retries_used <= run.retry.retries)
    assert "is tried again, and had 1 retries" in found(seeds=8)


def test_attempts_that_are_not_counted_are_found(monkeypatch):
    real = bookkeeping._flow_run

    def once(run, state, **given):
        return {**real(run, state, **given), "attempt": 1}

    monkeypatch.setattr(bookkeeping, "_flow_run", once)
    assert "says that it had 1 attempts, and began" in found(deployments=stubborn())


# --- cancelling


def test_a_cancellation_that_the_runner_loses_is_found(monkeypatch):
    monkeypatch.setattr(Cancelling, "_cancel", lambda *_: None)
    assert "s to be cancelled" in found(CANCELS, [flows.deaf.to_deployment("d", interval=240)])


# --- repetitions


def test_claims_that_are_judged_anew_when_they_are_repeated_are_found(monkeypatch):
    """Whoever repeats a claim, since its answer was lost, is told that the run has an owner: itself."""
    real = judging.claim_flow_run

    def forgetful(tx, desk, request):
        desk.answered.pop(request.transition_id, None)
        return real(tx, desk, request)

    monkeypatch.setattr(judging, "claim_flow_run", forgetful)
    monkeypatch.setattr(claim.Claims, "give_up_unanswered", trio.lowlevel.checkpoint)
    assert found(Faults(lost_answers=0.1), seeds=4) != "nothing"

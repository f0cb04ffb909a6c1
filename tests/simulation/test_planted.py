"""Races that are planted into the production code are found, by one of a few seeds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import evolve

from tests.simulation import flows
from trioflow.core.states import NO_DETAILS
from trioflow.core.tables import walk
from trioflow.deployments.deployment import FlowDeployment
from trioflow.errors import SimulationFailed
from trioflow.orchestrator import judging, orchestrator
from trioflow.orchestrator.desk import Desk
from trioflow.testing.simulation import NO_FAULTS, Faults, simulate

STOPS = Faults(child_stops=30.0, runner_stops=30.0, link_latency=0.2)
KILLS = Faults(runner_kills=8.0, child_kills=20.0)


def usual() -> Sequence[FlowDeployment]:
    return flows.etl.to_deployment("e", interval=180), flows.hooked.to_deployment("h", interval=90)


def found(faults: Faults = NO_FAULTS, *, seeds: int = 3, deployments: Sequence[FlowDeployment] = ()) -> str:
    """What the first of the seeds that fails tells."""
    for seed in range(seeds):
        try:
            simulate(
                *(deployments or usual()),
                seed=seed,
                duration=timedelta(minutes=40),
                runners=2,
                limits={"db": 2},
                query_seconds=30.0,
                faults=faults,
                flows_may_fail=True,
                flows_may_wait=True,
            )
        except SimulationFailed as failure:
            return str(failure)
    return "nothing"


@pytest.mark.parametrize("faults", [NO_FAULTS, STOPS, KILLS])
def test_where_nothing_is_planted_nothing_is_found(faults):
    assert found(faults) == "nothing"


def test_proposals_that_no_epoch_fences_off_are_found(monkeypatch):
    monkeypatch.setattr(walk, "_outlived", lambda *_: None)
    told = found(STOPS, seeds=12, deployments=[flows.stubborn.to_deployment("s", interval=300)])
    assert "Broken: run" in told


def test_slots_that_leak_are_found(monkeypatch):
    monkeypatch.setattr(Desk, "_release_slots", lambda *_: None)
    assert "not over" in found()


def test_runs_that_start_early_are_found(monkeypatch):
    real = judging.claim_flow_run

    def hasty(tx, desk, request):
        answer = real(tx, desk, request)
        run = desk.flow_run(request.run_id)
        desk.put(evolve(run, state=evolve(run.state, details=NO_DETAILS)))
        return answer

    monkeypatch.setattr(judging, "claim_flow_run", hasty)
    assert "before it was due" in found()


def test_leases_that_nobody_renews_are_found(monkeypatch):
    monkeypatch.setattr(orchestrator, "_renew_own_leases", lambda _: None)
    with pytest.raises(SimulationFailed, match="Crashed, though nothing went wrong"):
        simulate(flows.sync_report.to_deployment("s", interval=600, parameters={"seconds": 100.0}))


def test_runs_of_the_dead_that_nobody_reaps_are_found(monkeypatch):
    monkeypatch.setattr(orchestrator.Orchestrator, "_reap_the_dead", lambda *_: None)
    assert "not over" in found(KILLS)

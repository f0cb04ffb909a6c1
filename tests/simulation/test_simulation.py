"""A simulation is the real system, in virtual time, from one seed."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import trio

from tests.simulation import flows
from trioflow import clock
from trioflow.core.states import StateType
from trioflow.errors import SimulationFailed
from trioflow.testing.simulation import Faults, Simulation, Strategy, simulate

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_an_hourly_flow_completes_each_hour():
    outcome = simulate(flows.hourly.to_deployment("h", cron="0 * * * *"), duration=6 * HOUR)
    assert outcome.states == {StateType.COMPLETED: 6}
    assert [run.attempt for run in outcome.runs] == [1] * 6
    assert outcome.visited == {
        ("none", "SCHEDULED"), ("SCHEDULED", "PENDING"), ("PENDING", "RUNNING"), ("RUNNING", "COMPLETED")
    }  # fmt: skip


@pytest.mark.parametrize("strategy", list(Strategy))
def test_the_same_seed_is_the_same_simulation_and_another_is_another(strategy):
    def digest(seed: int) -> str:
        deployment = flows.etl.to_deployment("e", interval=600)
        return simulate(deployment, seed=seed, strategy=strategy, flows_may_fail=True).digest

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_the_journal_tells_each_transition_with_the_virtual_wall_clock(tmp_path):
    log = tmp_path / "log"
    start = datetime(2026, 3, 29, 1, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    deployment = flows.hourly.to_deployment("h", cron="0 * * * *", timezone="Europe/Berlin")
    simulate(deployment, start=start, duration=timedelta(minutes=40), log=log)
    begun = [
        line for line in log.read_text().splitlines() if "PENDING -> RUNNING" in line and "flow-run" in line
    ]
    # At two the clocks are set to three: the hour from one lasts until then.
    assert [line.partition(" ")[0] for line in begun] == ["2026-03-29T01:00:00.000000Z"]


def test_a_night_of_twenty_five_hours_has_twenty_five_runs():
    start = datetime(2026, 10, 24, 22, 30, tzinfo=ZoneInfo("UTC"))  # Half past midnight in Berlin.
    deployment = flows.hourly.to_deployment("h", cron="0 * * * *", timezone="Europe/Berlin")
    outcome = simulate(deployment, start=start, duration=timedelta(hours=24))
    assert outcome.states == {StateType.COMPLETED: 24}
    starts = [run.times.expected_start for run in outcome.runs]
    assert {later - earlier for earlier, later in pairwise(starts)} == {HOUR}


def test_sync_flows_and_tasks_run_in_a_thread_that_holds_a_baton():
    outcome = simulate(flows.sync_report.to_deployment("s", interval=600, parameters={"seconds": 20.0}))
    assert outcome.states == {StateType.COMPLETED: 6}
    (took,) = {round((run.times.ended - run.times.started).total_seconds()) for run in outcome.runs}
    assert took == 20


def test_a_model_takes_the_place_of_a_flow():
    chance = random.Random(1)

    async def model(run: object) -> None:
        await trio.sleep(chance.uniform(100, 200))

    outcome = simulate(flows.failing.to_deployment("f", interval=600), models={"failing": model})
    assert outcome.states == {StateType.COMPLETED: 6}
    assert all(100 <= run.times.running <= 200 for run in outcome.runs)


def test_a_script_asks_for_runs_and_cancels_them():
    ended = []

    async def script(simulation: Simulation) -> None:
        run_id = await simulation.submit("hourly/h", {"n": 50})
        await trio.sleep(10)
        asked = clock.now()
        await simulation.cancel(run_id)
        ended.append(((await simulation.wait_final(run_id)).type, clock.now() - asked))

    simulate(flows.hourly.to_deployment("h"), script=script, flows_may_fail=True)
    ((type_, seconds),) = ended
    assert type_ is StateType.CANCELLED
    assert seconds < timedelta(seconds=1)


@pytest.mark.promise("P1")
def test_a_runner_that_is_killed_has_its_runs_reaped_and_another_goes_on():
    outcome = simulate(
        flows.hooked.to_deployment("h", interval=120),
        duration=3 * HOUR,
        runners=2,
        faults=Faults(runner_kills=6.0),
    )
    assert outcome.faults > 5
    assert StateType.CRASHED in outcome.states
    assert outcome.states[StateType.COMPLETED] > 60


def test_a_broken_promise_tells_its_seed_and_the_command_that_replays_it(monkeypatch):
    monkeypatch.setattr("trioflow.testing.simulation.oracle._EARLY", timedelta(seconds=-3600))
    with pytest.raises(SimulationFailed) as failed:
        simulate(flows.hourly.to_deployment("h", interval=600), seed=17)
    text = str(failed.value)
    assert "seed 17: Broken: run" in text
    assert "TRIOFLOW__SIMULATION_SEED=17 python -m pytest" in text
    assert "test_a_broken_promise_tells" in text


def test_the_environment_says_which_seed_is_simulated(monkeypatch):
    monkeypatch.setenv("TRIOFLOW__SIMULATION_SEED", "23")
    assert simulate(flows.hourly.to_deployment("h", interval=600), seed=1).seed == 23

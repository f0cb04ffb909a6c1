"""One seed of the soak: a system of five deployments for half an hour, with a swarm of faults that the seed draws."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.simulation import flows
from trioflow.deployments.deployment import FlowDeployment
from trioflow.testing.simulation import Faults, Outcome, Strategy, simulate

HALF_AN_HOUR = timedelta(minutes=30)
STARTS = tuple(datetime(2026, *day, tzinfo=UTC) for day in ((1, 1), (3, 29, 0, 40), (10, 25, 0, 40)))
"""A day like any other, and both nights on which the clocks are set, shortly before."""
CORPUS = Path(__file__).with_name("corpus.txt")
"""Seeds that ever failed, one a line, with what they found."""


def deployments() -> Sequence[FlowDeployment]:
    return (
        flows.etl.to_deployment("e", cron="*/5 * * * *", timezone="Europe/Berlin"),
        flows.whole.to_deployment("w", interval=600, overlap="skip"),
        flows.sync_report.to_deployment("s", interval=900, overlap="cancel_other"),
        flows.hooked.to_deployment("h", interval=240, overlap="buffer_one", on_shutdown="reschedule"),
        flows.patient.to_deployment("p", interval=600, overlap="buffer_one"),
    )


def simulated(seed: int, log: Path | None = None) -> Outcome:
    chance = random.Random(f"soak {seed}")
    return simulate(
        *deployments(),
        seed=seed,
        start=chance.choice(STARTS),
        duration=HALF_AN_HOUR,
        faults=Faults.swarm(chance),
        runners=chance.choice((1, 2, 2, 3)),
        runner_limit=chance.choice((2, 5)),
        query_seconds=60.0,
        limits={"db": 2},
        strategy=chance.choice(list(Strategy)),
        flows_may_fail=True,
        flows_may_wait=True,
        **({"log": log} if log else {}),
    )


def corpus() -> list[int]:
    lines = (line.partition("#")[0].strip() for line in CORPUS.read_text(encoding="utf-8").splitlines())
    return [int(line) for line in lines if line]

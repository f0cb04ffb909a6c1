"""Hundreds of half hours with swarms of faults: nothing that must hold is ever broken, and all that can happen does.

``TRIOFLOW__SIMULATION_SEEDS=600:1000`` says how many seeds, and from which on; sixty, by default. Nightly, there are
six thousand.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from functools import cache

import pytest
from attrs import frozen

from tests.simulation.soak import corpus, simulated
from trioflow.core.states import StateType
from trioflow.errors import SimulationFailed
from trioflow.testing.simulation.sometimes import SOMETIMES

COUNT, _, FIRST = os.environ.get("TRIOFLOW__SIMULATION_SEEDS", "60:1000").partition(":")
SEEDS = range(int(FIRST or 1000), int(FIRST or 1000) + int(COUNT))
BLOCK = 20
"""Seeds of one test."""
REPLAYED = SEEDS[:20]
NIGHTLY = range(10_000, 16_000)
_REPLAY = """
import sys
from tests.simulation.soak import simulated
print(*[simulated(int(seed)).digest for seed in sys.argv[1:]])
"""


@frozen
class Half:
    """What is kept of half an hour."""

    digest: str
    simulated: timedelta
    visited: frozenset[tuple[str, str]]
    sometimes: frozenset[str]


@cache
def half_an_hour(seed: int) -> Half:
    """Once in each pytest run, however many tests want it."""
    outcome = simulated(seed)
    return Half(outcome.digest, outcome.simulated, outcome.visited, outcome.sometimes)


def broken(seeds) -> list[str]:
    """What the seeds that fail tell: each with the command that simulates it again."""
    told = []
    for seed in seeds:
        try:
            half_an_hour(seed)
        except SimulationFailed as failure:
            told.append(str(failure))
    return told


@pytest.mark.parametrize("seed", corpus())
def test_seeds_that_ever_failed_hold(seed):
    simulated(seed)


@pytest.mark.promise("P3", "P5", "P8", "P13")
@pytest.mark.parametrize("first", SEEDS[::BLOCK])
def test_nothing_is_broken_in_half_hours_of_faults(first):
    assert "\n\n".join(broken(seed for seed in SEEDS if first <= seed < first + BLOCK)) == ""


@pytest.mark.nightly
def test_all_that_can_happen_has_happened_sometime_in_three_hundred_hours():
    halves = [half_an_hour(seed) for seed in NIGHTLY[:600]]
    assert sum((half.simulated for half in halves), timedelta()) >= timedelta(hours=300)
    assert sorted(SOMETIMES - {what for half in halves for what in half.sometimes}) == []
    left = {from_ for half in halves for from_, _ in half.visited}
    assert sorted({"none", *(type_.name for type_ in StateType)} - left) == []


@pytest.mark.promise("P19")
def test_the_same_seeds_have_the_same_bytes_in_another_process_with_another_hash_seed():
    replay(REPLAYED)


@pytest.mark.nightly
@pytest.mark.parametrize("first", NIGHTLY[::100])
def test_nothing_is_broken_in_thousands_of_hours(first):
    seeds = range(first, first + 100)
    assert "\n\n".join(broken(seeds)) == ""
    replay(seeds[:2])


def replay(seeds) -> None:
    command = [sys.executable, "-c", _REPLAY, *map(str, seeds)]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "SOMETHING": "ELSE"}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [half_an_hour(seed).digest for seed in seeds]

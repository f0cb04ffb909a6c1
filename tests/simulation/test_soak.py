"""Hundreds of half hours with swarms of faults: nothing that must hold is ever broken.

By default forty; ``TRIOFLOW__SIMULATION_SEEDS`` says how many, and from which on. Nightly, six hundred: 300 hours.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.soak import corpus, simulated
from trioflow.errors import SimulationFailed

COUNT, _, FIRST = os.environ.get("TRIOFLOW__SIMULATION_SEEDS", "40:100").partition(":")
SEEDS = range(int(FIRST or 100), int(FIRST or 100) + int(COUNT))
REPLAYED = (*range(100, 104), 106)
_REPLAY = """
import sys
from tests.simulation.soak import simulated
print(*[simulated(int(seed)).digest for seed in sys.argv[1:]])
"""


@pytest.mark.parametrize("seed", corpus())
def test_seeds_that_ever_failed_hold(seed):
    simulated(seed)


@pytest.mark.promise("P3", "P5", "P8", "P13")
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_broken_in_half_an_hour_of_faults(seed):
    simulated(seed)


@pytest.mark.promise("P19")
def test_the_same_seeds_have_the_same_bytes_in_another_process_with_another_hash_seed():
    replay(REPLAYED)


@pytest.mark.nightly
def test_nothing_is_broken_in_three_hundred_hours():
    failed = []
    for seed in range(1_000, 1_600):
        try:
            simulated(seed)
        except SimulationFailed as failure:
            failed.append(str(failure))
    assert failed == []
    replay(range(1_000, 1_020))


def replay(seeds) -> None:
    command = [sys.executable, "-c", _REPLAY, *map(str, seeds)]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "SOMETHING": "ELSE"}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [simulated(seed).digest for seed in seeds]

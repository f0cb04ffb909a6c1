"""A runner is killed with `kill -9`: the next one that opens the home ends its run, and calls its hook once (P1)."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import Home, kill, wait_for_line

FLOWS = """
from pathlib import Path

import trio

from trioflow import flow


def note(flow, flow_run, state):
    with Path("hooks").open("a") as log:
        log.write(f"{state.name} {state.details.cause}\\n")


@flow(on_crashed=[note])
async def endless() -> None:
    print("at work", flush=True)
    await trio.sleep_forever()


served = endless.to_deployment("served")
"""
SERVE = ("serve", "flows.py:served", "--limit", "1")
LEASE, SLACK = 30.0, 5.0


def run_states(home: Home) -> list[str]:
    return [run["state"]["name"] for run in home.json("flow-run", "ls")]


@pytest.mark.promise("P1", "P3", "P10")
def test_the_run_of_a_killed_runner_has_crashed_its_slot_is_free_and_its_hook_is_called_once(
    home: Home,
) -> None:
    home.write("flows.py", FLOWS)
    first = home.start(*SERVE)
    wait_for_line(first, "being served")
    assert home.run("deployment", "run", "endless/served").returncode == 0
    wait_for_line(first, "at work")
    kill(first)

    killed = time.monotonic()
    second = home.start(*SERVE)
    try:
        wait_for_line(second, "Running hook")
        assert time.monotonic() - killed < LEASE + SLACK
        assert run_states(home) == ["Crashed"]
        assert home.run("deployment", "run", "endless/served").returncode == 0
        wait_for_line(second, "at work")
        assert home.lines("hooks") == ["Crashed lease_expired"]
    finally:
        kill(second)

"""Commands: what the process of a run is started with."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from trioflow import clock
from trioflow.core.runs import FlowRun
from trioflow.core.states import Pending
from trioflow.processes import this_process
from trioflow.runner.command import engine_command
from trioflow.settings import Settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def run():
    id_ = clock.new_id()
    return FlowRun(id=id_, flow_id=id_, root_id=id_, name="brave-otter", state=Pending(), epoch=3)


@pytest.mark.behaviour("PR-03", "SP-08", "QK-08")
def test_the_run_its_epoch_and_its_settings_are_told_to_this_interpreter(run, tmp_path, monkeypatch):
    monkeypatch.setenv("OF_THE_USER", "kept")
    monkeypatch.setenv("TRIOFLOW_GRACE_SECONDS", "1")
    command = engine_command(run, Settings(home=tmp_path, grace_seconds=7), entrypoint="flows.py:f")

    assert command.argv == (sys.executable, "-m", "trioflow.engine")
    assert command.directory is None
    owner = this_process()
    assert {
        "OF_THE_USER": "kept",
        "PYTHONUNBUFFERED": "1",
        "TRIOFLOW_HOME": str(tmp_path),
        "TRIOFLOW_GRACE_SECONDS": "7",
        "TRIOFLOW__HOME": str(tmp_path),
        "TRIOFLOW__RUNNER": f"{owner.pid}:{owner.started}:{owner.host}",
        "TRIOFLOW__FLOW_RUN_ID": run.id.hex,
        "TRIOFLOW__EPOCH": "3",
        "TRIOFLOW__FLOW_ENTRYPOINT": "flows.py:f",
    }.items() <= command.environment.items()
    assert "TRIOFLOW__HOOKS" not in command.environment


@pytest.mark.behaviour("QK-07")
def test_a_runner_inside_a_flow_run_starts_clean_children(run, tmp_path, monkeypatch):
    for name in ("FLOW_RUN_ID", "EPOCH", "LINK_FD", "FLOW_ENTRYPOINT", "HOOKS", "RUNNER", "HOME"):
        monkeypatch.setenv(f"TRIOFLOW__{name}", "of the run around")
    command = engine_command(run, Settings(home=tmp_path))

    told = {name for name in command.environment if name.startswith("TRIOFLOW__")}
    assert told == {"TRIOFLOW__FLOW_RUN_ID", "TRIOFLOW__EPOCH", "TRIOFLOW__HOME", "TRIOFLOW__RUNNER"}
    assert "of the run around" not in command.environment.values()


def test_hooks_are_named_by_the_state_that_they_are_for(run, tmp_path):
    command = engine_command(run, Settings(home=tmp_path), hooks_of=5)
    assert command.environment["TRIOFLOW__HOOKS"] == "5"

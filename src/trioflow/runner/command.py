"""Commands: how the process of a flow run is started."""

from __future__ import annotations

import os
import sys

from trioflow.core.runs import FlowRun
from trioflow.infrastructure.environment import flow_run_environment
from trioflow.infrastructure.infrastructure import Command
from trioflow.processes import ENTRYPOINT, HOOKS
from trioflow.settings import Settings

ARGV = (sys.executable, "-m", "trioflow.engine")
_INTERNAL = "TRIOFLOW__"
"""What a runner says to the process of a run: one that runs in such a process says it anew (QK-07)."""


def engine_command(
    run: FlowRun, settings: Settings, *, entrypoint: str | None = None, hooks_of: int | None = None
) -> Command:
    """The command that runs this run, or that calls the hooks of its ``hooks_of``-th state, where the runner is."""
    said = {ENTRYPOINT: entrypoint, HOOKS: None if hooks_of is None else str(hooks_of)}
    environment = {
        **flow_run_environment(run.id, run.epoch, settings.home, settings.as_environment(), _clean()),
        **{name: text for name, text in said.items() if text is not None},
        "PYTHONUNBUFFERED": "1",  # so that prints arrive at once
    }
    return Command(argv=ARGV, environment=environment)


def _clean() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith(_INTERNAL)}

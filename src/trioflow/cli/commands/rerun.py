"""``trioflow flow-run rerun``: takes a run up again, in this process, under the same id."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import trio
from cyclopts import Parameter

from trioflow.cli.concluding import conclude
from trioflow.cli.following import follow
from trioflow.cli.reading import find_run
from trioflow.cli.screens import choose_screen
from trioflow.engine.entrypoints import load_flow
from trioflow.engine.roots import rerun_flow
from trioflow.errors import EntrypointError


def rerun(run: str, /, *, quiet: Annotated[bool, Parameter(name=("--quiet", "-q"))] = False) -> int:
    """Run a run again: what it has recorded is returned, the rest is executed.

    Args:
        run: Its id, the beginning or end of it, or its name.
        quiet: Show nothing but the result and failures.
    """
    found = trio.run(find_run, run)
    entrypoint = found.run.entrypoint
    if entrypoint is None:
        raise EntrypointError(
            f"flow run {found.label} does not say where its flow is, so only the program that made it can rerun it:"
            " `await trioflow.rerun(flow, run_id)`"
        )
    # Loaded outside of Trio: a file of the user's may do anything, call trio.run included.
    flow = load_flow(entrypoint)
    drive = partial(rerun_flow, flow, found.run.id)
    outcome = trio.run(follow, found.run.id, flow.name, drive, choose_screen(quiet=quiet))
    return conclude(outcome, quiet=quiet)

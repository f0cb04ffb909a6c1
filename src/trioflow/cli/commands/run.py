"""``trioflow run``: runs a flow of a file in this process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import trio
from cyclopts import Parameter

from trioflow.cli.concluding import conclude
from trioflow.cli.following import Outcome, follow
from trioflow.cli.parameters import read_parameters
from trioflow.cli.screens import Screen, choose_screen
from trioflow.clock import new_id
from trioflow.engine.entrypoints import load_flow
from trioflow.engine.flows import Flow
from trioflow.engine.roots import run_flow


def run(
    target: str,
    /,
    *,
    param: Annotated[tuple[str, ...], Parameter(name=("--param", "-p"))] = (),
    params: str | None = None,
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"))] = False,
) -> int:
    """Run a flow of a file, and follow it. What it returns is printed on stdout, as JSON where it can be.

    Args:
        target: The file, and the flow's name where there are several: ``flows.py``, ``flows.py:nightly``.
        param: A parameter, as ``name=value``: JSON where it parses as such and fits, else a text.
        params: Several parameters, as a JSON object.
        quiet: Show nothing but the result and failures.
    """
    flow = load_flow(target)
    parameters = read_parameters(flow, param, params)
    return conclude(trio.run(_new_run, flow, parameters, choose_screen(quiet=quiet)), quiet=quiet)


async def _new_run(flow: Flow[..., Any], parameters: Mapping[str, Any], screen: Screen) -> Outcome:
    run_id = new_id()
    return await follow(run_id, flow.name, partial(run_flow, flow, parameters, run_id), screen)

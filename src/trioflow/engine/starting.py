"""Starting from a Trio program: any flow or task by one name, and a run that there is by its id."""

from __future__ import annotations

from typing import Any, Literal, ParamSpec, TypeVar, cast, overload
from uuid import UUID

from trioflow.core.states import State
from trioflow.engine.colours import checked_return_state
from trioflow.engine.flows import AsyncFlow, Flow, SyncFlow
from trioflow.engine.results import result_of
from trioflow.engine.roots import rerun_flow
from trioflow.engine.tasks import AsyncTask, SyncTask

P = ParamSpec("P")
R = TypeVar("R")


async def run(
    called: AsyncFlow[P, R] | AsyncTask[P, R] | SyncFlow[P, R] | SyncTask[P, R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Call a flow or a task, whatever its colour; what it returns.

    Raises:
        BaseException: what it raised.
    """
    return cast("R", await called.prepared(args, kwargs)())


@overload
async def rerun(flow: Flow[..., R], run_id: UUID | str, *, return_state: Literal[False] = ...) -> R: ...


@overload
async def rerun(flow: Flow[..., R], run_id: UUID | str, *, return_state: Literal[True]) -> State: ...


async def rerun(flow: Flow[..., Any], run_id: UUID | str, *, return_state: bool = False) -> Any:
    """Take up a root run of the flow that has ended, or whose process is gone: its next attempt, in this process.

    The flow's function runs again from the top with the parameters of the run; a task whose result is recorded gives
    that and does not run.

    Raises:
        FlowDefinitionError: it is a run of another flow.
        RunIsOwned: it is being executed, here or elsewhere.
        RunNotFound: there is no such flow run.
        RunAborted: it cannot be run again.
        BaseException: what the flow raised, unless its state is asked for.
    """
    checked_return_state("flow", return_state)
    state = await rerun_flow(flow, run_id if isinstance(run_id, UUID) else UUID(run_id))
    return state if return_state else result_of(state)

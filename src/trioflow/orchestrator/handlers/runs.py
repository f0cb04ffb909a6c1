"""Flow runs and task runs, read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioflow.errors import RunNotFound
from trioflow.store import rows
from trioflow.store.conditions import Conditions
from trioflow.store.queries import FLOW_RUNS, TASK_RUNS
from trioflow.wire.replies import FlowRuns, History, TaskRuns

if TYPE_CHECKING:
    from trioflow.core.runs import FlowRun, TaskRun
    from trioflow.store.store import Tx
    from trioflow.wire.requests import FindFlowRuns, FindTaskRuns, ReadFlowRun, ReadHistory, ReadTaskRun

_HISTORY = "SELECT type, name, message, details, at, id FROM states WHERE run_id = ? ORDER BY version"


def read_flow_run(tx: Tx, request: ReadFlowRun) -> FlowRun:
    """The flow run with this id."""
    for row in tx.execute(f"{FLOW_RUNS} WHERE id = ?", (request.run_id.bytes,)):
        return rows.flow_run_from(row)
    raise RunNotFound(f"there is no flow run {request.run_id}")


def read_task_run(tx: Tx, request: ReadTaskRun) -> TaskRun:
    """The task run with this id."""
    for row in tx.execute(f"{TASK_RUNS} WHERE id = ?", (request.run_id.bytes,)):
        return rows.task_run_from(row)
    raise RunNotFound(f"there is no task run {request.run_id}")


def read_history(tx: Tx, request: ReadHistory) -> History:
    """All states of a run, oldest first; none for a run that does not exist."""
    found = tx.execute(_HISTORY, (request.run_id.bytes,))
    return History(tuple(rows.history_state_from(row) for row in found))


def find_flow_runs(tx: Tx, request: FindFlowRuns) -> FlowRuns:
    """A page of flow runs, newest first. Ids are made in order of time."""
    which = request.filter
    where = Conditions()
    where.has_prefix("id", which.id_prefix)
    where.has_suffix("id", which.id_suffix)
    where.equal("name", which.name)
    where.equal("parent_task_run_id", which.parent_task_run_id)
    where.equal("deployment_id", which.deployment_id)
    where.among("state_type", sorted(which.state_types))
    if which.roots_only:
        where.add("root_id = id")
    if which.due_before is not None:
        never_started = "state_type = 'SCHEDULED' AND attempt = 0"
        due = rows.instant_text(which.due_before)
        where.add(f"NOT ({never_started} AND next_scheduled_start >= ?)", due)
    if which.flow_name is not None:
        where.add("flow_id = (SELECT id FROM flows WHERE name = ?)", which.flow_name)
    page = (*where.parameters, which.limit, which.offset)
    found = tx.execute(f"{FLOW_RUNS}{where.text} ORDER BY id DESC LIMIT ? OFFSET ?", page)
    runs = tuple(rows.flow_run_from(row) for row in found)
    names = {id_: name for name, id_ in tx.execute("SELECT name, id FROM flows")} if runs else {}
    return FlowRuns(runs=runs, flow_names=tuple(names[run.flow_id.bytes] for run in runs))


def find_task_runs(tx: Tx, request: FindTaskRuns) -> TaskRuns:
    """A page of task runs, oldest first."""
    which = request.filter
    where = Conditions()
    where.equal("flow_run_id", which.flow_run_id)
    where.among("state_type", sorted(which.state_types))
    page = (*where.parameters, which.limit, which.offset)
    found = tx.execute(f"{TASK_RUNS}{where.text} ORDER BY id LIMIT ? OFFSET ?", page)
    ((total,),) = tx.execute(f"SELECT count(*) FROM task_runs{where.text}", where.parameters)  # noqa: S608 - bound
    return TaskRuns(runs=tuple(rows.task_run_from(row) for row in found), total=total)

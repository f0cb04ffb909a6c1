"""Writes a desk: everything that the batch's decisions changed, by a few ``executemany``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioflow.core.runs import FlowRun
from trioflow.store import queries, rows
from trioflow.wire.replies import Change

if TYPE_CHECKING:
    from trioflow.orchestrator.desk import Desk
    from trioflow.store.store import Tx

_NEVER_CHANGES = frozenset({"id", "flow_id", "root_id", "parent_task_run_id", "fire_key", "created"})
_NEVER_CHANGES_IN_A_TASK_RUN = frozenset(
    {"id", "flow_run_id", "root_id", "task_key", "dynamic_key", "inputs", "created"}
)

_INSERT_FLOW_RUN = queries.insert("flow_runs", rows.FLOW_RUN_COLUMNS)
_UPDATE_FLOW_RUN, _flow_run_changes = queries.update("flow_runs", rows.FLOW_RUN_COLUMNS, _NEVER_CHANGES)
_INSERT_TASK_RUN = queries.insert("task_runs", rows.TASK_RUN_COLUMNS)
_UPDATE_TASK_RUN, _task_run_changes = queries.update(
    "task_runs", rows.TASK_RUN_COLUMNS, _NEVER_CHANGES_IN_A_TASK_RUN
)
_INSERT_STATE = queries.insert("states", rows.STATE_COLUMNS)
_INSERT_LOG = queries.insert("logs", rows.LOG_COLUMNS)
_PUT_LEASE = queries.upsert("leases", rows.LEASE_COLUMNS)
_OWE = queries.insert("owed_hooks", rows.OWED_COLUMNS)
_PUT_CACHE = queries.upsert("cache", rows.CACHE_COLUMNS)


def write(tx: Tx, desk: Desk) -> dict[int, Change | None]:
    """Write what is to be written, in this transaction.

    Returns: what stands under each change number that was taken, for those who wait; None for a log record.
    """
    if desk.new_flows:
        write_flows(tx, desk)
    if desk.leases_changed:
        _write_leases(tx, desk)
    if desk.runs_changed:
        _write_runs(tx, desk)
    if desk.slots_changed:
        _write_slots(tx, desk)
    if desk.cache_changed:
        tx.executemany(_PUT_CACHE, [rows.cache_row(key, desk.cached[key]) for key in desk.cache_changed])
    if desk.owed:
        tx.executemany(_OWE, [rows.owed_row(owed.run, owed.state, owed.holder) for owed in desk.owed])
    return _write_numbered(tx, desk)


def write_flows(tx: Tx, desk: Desk) -> None:
    """Write the flows that were heard of for the first time; what is written now may refer to them."""
    created = rows.instant_text(desk.now)
    new = [(id_.bytes, name, created) for name, id_ in desk.new_flows.items()]
    tx.executemany("INSERT INTO flows (id, name, created) VALUES (?, ?, ?)", new)
    desk.new_flows.clear()


def _write_runs(tx: Tx, desk: Desk) -> None:
    new_flow_runs: list[rows.Row] = []
    old_flow_runs: list[rows.Row] = []
    new_task_runs: list[rows.Row] = []
    old_task_runs: list[rows.Row] = []
    for run_id in desk.runs_changed:
        is_stored = run_id in desk.stored
        flow_run = desk.flow_runs.get(run_id)
        if flow_run is not None:
            row = desk.decoded.flow_run_row(flow_run)
            if is_stored:
                old_flow_runs.append(_flow_run_changes(row))
            else:
                new_flow_runs.append(row)
        else:
            row = desk.decoded.task_run_row(desk.task_runs[run_id])
            if is_stored:
                old_task_runs.append(_task_run_changes(row))
            else:
                new_task_runs.append(row)
    for statement, changed in (
        (_INSERT_FLOW_RUN, new_flow_runs),
        (_UPDATE_FLOW_RUN, old_flow_runs),
        (_INSERT_TASK_RUN, new_task_runs),
        (_UPDATE_TASK_RUN, old_task_runs),
    ):
        if changed:
            tx.executemany(statement, changed)


def _write_leases(tx: Tx, desk: Desk) -> None:
    granted = [rows.lease_row(desk.leases[id_]) for id_ in desk.leases_changed if id_ in desk.leases]
    ended = [(id_.bytes,) for id_ in desk.leases_changed if id_ not in desk.leases]
    if granted:
        tx.executemany(_PUT_LEASE, granted)
    if ended:
        tx.executemany("DELETE FROM leases WHERE run_id = ?", ended)


def _write_slots(tx: Tx, desk: Desk) -> None:
    taken = [(tag, run.bytes, lease.bytes) for (tag, run), lease in desk.slots_changed.items() if lease]
    given_back = [(tag, run.bytes) for (tag, run), lease in desk.slots_changed.items() if not lease]
    if given_back:
        tx.executemany("DELETE FROM slots WHERE tag = ? AND task_run_id = ?", given_back)
    if taken:
        tx.executemany("INSERT OR IGNORE INTO slots (tag, task_run_id, lease_id) VALUES (?, ?, ?)", taken)


def _write_numbered(tx: Tx, desk: Desk) -> dict[int, Change | None]:
    count = len(desk.history) + len(desk.logs)
    if not count:
        return {}
    first = tx.take_numbers(count)
    numbered: dict[int, Change | None] = dict.fromkeys(range(first, first + count))
    history: list[rows.Row] = []
    for number, line in enumerate(desk.history, first):
        run, state = line.run, line.state
        history.append(rows.history_row(number, run, state, line.reason))
        numbered[number] = Change(
            number=number,
            run_id=run.id,
            root_id=run.root_id or run.id,
            is_flow_run=isinstance(run, FlowRun),
            type=state.type,
            name=state.name,
        )
    if history:
        tx.executemany(_INSERT_STATE, history)
    if desk.logs:
        first_log = first + len(history)
        tx.executemany(
            _INSERT_LOG, [rows.log_row(first_log + i, record) for i, record in enumerate(desk.logs)]
        )
    return numbered

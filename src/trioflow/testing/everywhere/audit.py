"""The audit: what must hold of every committed database, read from its rows alone.

It shares no code with those who write the rows: states are counted here, not asked for.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, final

from attrs import frozen

if TYPE_CHECKING:
    from trioflow.store.store import Tx

_ROUNDING = timedelta(seconds=0.5)
"""A run that is due within half a second is due."""
_FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
_HELD = frozenset({"PAUSED", "SUSPENDED"})
_RUNS = """
    SELECT id, name, state_type, state_name, version, attempt, tags, 'flow', deployment_id IS NOT NULL
    FROM flow_runs UNION ALL
    SELECT id, name, state_type, state_name, version, attempt, tags, 'task', 0 FROM task_runs
"""
_MIRRORS = "SELECT parent_task_run_id FROM flow_runs WHERE parent_task_run_id IS NOT NULL"
"""Task runs that stand for a subflow, and show whatever state that is in."""
_HISTORY = "SELECT run_id, version, type, name, details, at FROM states ORDER BY run_id, version"


@final
@frozen
class Step:
    """One line of a run's history."""

    version: int
    type: str
    name: str
    due: datetime | None
    """Before when the run was not to be started, in a SCHEDULED state."""
    at: datetime


@final
@frozen
class Kept:
    """A run, as it is kept."""

    id: bytes
    name: str
    type: str | None
    state: str | None
    version: int
    attempt: int
    tags: frozenset[str]
    kind: str
    """``flow``, ``task``, or ``mirror``: a task run that shows what state a subflow is in."""
    is_deployed: bool
    history: tuple[Step, ...]

    def __str__(self) -> str:
        return f"{'flow' if self.kind == 'flow' else 'task'} run {self.name!r}"


def audit(tx: Tx) -> list[str]:
    """What is wrong with the database, in sentences; nothing must ever be, whoever is at work in it."""
    runs = _kept(tx)
    return [*_wrong_histories(runs), *_wrong_slots(tx, runs)]


def audit_slots(tx: Tx) -> list[str]:
    """What is wrong with the concurrency slots: the part of the `audit` that is quick enough for every commit."""
    if not tx.execute("SELECT 1 FROM concurrency_limits LIMIT 1"):
        return []
    mirrors = {id_ for (id_,) in tx.execute(_MIRRORS)}
    runs = [_run(row, (), is_mirror=row[0] in mirrors) for row in tx.execute(_RUNS)]
    return list(_wrong_slots(tx, runs))


def audit_at_rest(tx: Tx) -> list[str]:
    """What is wrong with the database, once nobody runs anything any more.

    Every run is over, or waits for somebody to claim or resume it, or was never ready; no lease and no slot is left.
    """
    runs = _kept(tx)
    left = [
        f"{run} is left {run.type}, which nobody can take up"
        for run in runs
        if not (run.type in _FINAL or _may_stay(run))
    ]
    names = {run.id: str(run) for run in runs}
    leases = [
        f"the lease of {names.get(run_id, 'a run that there is not')} is left"
        for (run_id,) in tx.execute("SELECT run_id FROM leases")
    ]
    slots = [
        f"{names.get(run_id, 'a run that there is not')} still holds a slot of tag {tag!r}"
        for tag, run_id in tx.execute("SELECT tag, task_run_id FROM slots")
    ]
    return [*audit(tx), *left, *leases, *slots]


def _may_stay(run: Kept) -> bool:
    if run.kind != "flow":
        return run.state == "NotReady"
    return run.type == "SUSPENDED" or run.state == "NotReady" or (run.type == "SCHEDULED" and run.is_deployed)


def _kept(tx: Tx) -> list[Kept]:
    histories: defaultdict[bytes, list[Step]] = defaultdict(list)
    for run_id, version, type_, name, details, at in tx.execute(_HISTORY):
        histories[run_id].append(Step(version, type_, name, _due(details), datetime.fromisoformat(at)))
    mirrors = {id_ for (id_,) in tx.execute(_MIRRORS)}
    return [_run(row, tuple(histories[row[0]]), is_mirror=row[0] in mirrors) for row in tx.execute(_RUNS)]


def _due(details: str | None) -> datetime | None:
    due = json.loads(details).get("scheduled_time") if details else None
    return datetime.fromisoformat(due) if due else None


def _run(row: tuple[Any, ...], history: tuple[Step, ...], *, is_mirror: bool) -> Kept:
    id_, name, type_, state, version, attempt, tags, kind, is_deployed = row
    return Kept(
        id=id_,
        name=name,
        type=type_,
        state=state,
        version=version,
        attempt=attempt,
        tags=frozenset(json.loads(tags)) if tags else frozenset(),
        kind="mirror" if is_mirror else kind,
        is_deployed=bool(is_deployed),
        history=history,
    )


def _wrong_histories(runs: list[Kept]) -> Iterator[str]:
    for run in runs:
        versions = [step.version for step in run.history]
        if versions != list(range(1, run.version + 1)):
            yield f"{run} is at version {run.version}, and its history has {versions}"
        elif run.history and (run.history[-1].type, run.history[-1].name) != (run.type, run.state):
            yield f"{run} is {run.state}, and its history ends with {run.history[-1].name}"
        if run.kind == "mirror":
            continue
        yield from _wrong_steps(run)
        entered = sum(_enters(run, number) for number in range(len(run.history)))
        if entered != run.attempt:
            yield f"{run} says that it had {run.attempt} attempts, and was started {entered} times"


def _enters(run: Kept, number: int) -> bool:
    """Whether this step of the history is the beginning of an attempt."""
    if run.history[number].type != "RUNNING":
        return False
    before = [step for step in run.history[:number] if step.type not in {"SCHEDULED", "PENDING"}]
    return not (run.kind == "flow" and before and before[-1].type in _HELD)


def _wrong_steps(run: Kept) -> Iterator[str]:
    for before, after in zip(run.history, run.history[1:], strict=False):
        if after.at < before.at:
            yield f"{run} was {after.name} at {after.at}, before it was {before.name}"
        if after.type == "RUNNING" and before.due is not None and after.at < before.due - _ROUNDING:
            yield f"{run} was started at {after.at}, and was due at {before.due}"
        reopened = "SCHEDULED" if run.kind == "flow" else "RUNNING"
        if before.type in _FINAL and after.type != reopened:
            yield f"{run} was {before.name}, and then {after.name}"
        if before.type == "CANCELLING" and after.type != "CANCELLED":
            yield f"{run} was to be cancelled, and was then {after.name}"


def _wrong_slots(tx: Tx, runs: list[Kept]) -> Iterator[str]:
    by_id = {run.id: run for run in runs}
    held = tx.execute("SELECT tag, task_run_id, lease_id FROM slots")
    leases = {run_id for (run_id,) in tx.execute("SELECT run_id FROM leases")}
    for tag, run_id, lease_id in held:
        run = by_id.get(run_id)
        if run is None or run.type not in {"RUNNING", *_HELD}:
            yield f"{run or 'a run that there is not'} holds a slot of tag {tag!r}, being {run and run.type}"
        if lease_id not in leases:
            yield f"{run} holds a slot of tag {tag!r} under no lease"
    at_work = Counter(tag for run in runs if run.type == "RUNNING" and run.kind == "task" for tag in run.tags)
    for tag, most in tx.execute("SELECT tag, max_slots FROM concurrency_limits"):
        if at_work[tag] > most:
            yield f"{at_work[tag]} task runs with tag {tag!r} run at once, and its limit is {most}"

"""Ready: what a runner may start now, and what the overlap policies say of runs that are due beside one another.

Most schedules allow overlaps: then this is a few looks at an index. Of the others, a run that its policy drops or
cancels is judged like any other proposal.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from trioflow import clock
from trioflow.core.schedules.window import Overlap, take_turns
from trioflow.core.states import Cancelled, Cancelling, StateType
from trioflow.errors import TrioflowBug
from trioflow.orchestrator import facts
from trioflow.orchestrator.planning import look_at, unlooked_at
from trioflow.orchestrator.turns import going_on, has_begun, policies, schedule_of
from trioflow.store import rows
from trioflow.store.queries import FLOW_RUNS, select_in
from trioflow.wire.replies import ReadyRuns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from trioflow.core.runs import FlowRun
    from trioflow.orchestrator.desk import Desk
    from trioflow.store.store import Tx
    from trioflow.wire.requests import FindReadyRuns

SKIPPED = "skipped"
"""The cause on the last state of a run that its schedule's overlap policy dropped."""

_WAITING = (
    "state_type = 'SCHEDULED' AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.run_id = flow_runs.root_id)"
)
_START = f"SELECT next_scheduled_start FROM flow_runs WHERE {_WAITING} AND deployment_id"  # noqa: S608 - ours
_EARLIEST = "ORDER BY next_scheduled_start LIMIT 1"
_FIRST = f"SELECT id, ({_START} = deployments.id {_EARLIEST}) FROM deployments"  # noqa: S608 - ours
_NEXT = f"{_START} = ? AND next_scheduled_start > ? {_EARLIEST}"
_DUE = (
    f"{FLOW_RUNS} WHERE {_WAITING} AND deployment_id = ? AND next_scheduled_start <= ?"
    " ORDER BY next_scheduled_start, id LIMIT ?"
)
_ALL = -1


@frozen(kw_only=True)
class Survey:
    """How things stand with the runs of some deployments."""

    reply: ReadyRuns
    drop: tuple[FlowRun, ...] = ()
    """Due, and their policy will not have them run."""
    cancel: tuple[FlowRun, ...] = ()
    """Going on, and their policy wants them to end."""

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to write."""
        return not self.drop and not self.cancel


@frozen(kw_only=True)
class _Turn:
    """What one schedule says of its runs."""

    start: Sequence[FlowRun] = ()
    later: Sequence[FlowRun] = ()
    """Not due yet, and so not decided about."""
    drop: Sequence[FlowRun] = ()
    cancel: Sequence[FlowRun] = ()


def reply_at_once(tx: Tx, request: FindReadyRuns, now: datetime, downtime: timedelta) -> ReadyRuns | None:
    """What is ready; None if something has to be written first."""
    if unlooked_at(tx, request.deployment_ids, now - downtime):
        return None
    found = survey(tx, request, now)
    return found.reply if found.is_quiet else None


def look_after_downtime(tx: Tx, desk: Desk, request: FindReadyRuns) -> None:
    """Plan what nobody has looked at for too long: after a downtime, not all of it is to be run."""
    look_at(tx, desk, unlooked_at(tx, request.deployment_ids, desk.now - desk.downtime))


def survey(tx: Tx, request: FindReadyRuns, now: datetime) -> Survey:
    """What is ready of these deployments' runs, and what would have to be written first."""
    strict = policies(tx, request.deployment_ids)
    limit = _ALL if strict else request.limit
    active = going_on(tx, request.deployment_ids) if strict else ()
    due: list[FlowRun] = []
    next_due: list[datetime] = []
    for key, first in select_in(tx, _FIRST, "id", (id_.bytes for id_ in request.deployment_ids)):
        if first is None:
            continue
        if datetime.fromisoformat(first) > request.before:
            next_due.append(datetime.fromisoformat(first))
            continue
        due += _due(tx, key, request.before, limit)
        next_due += _next(tx, key, request.before)
    turns = list(_turns(strict, due, active, now))
    ready = sorted((run for turn in turns for run in turn.start), key=_order)
    next_due += [_when(run) for turn in turns for run in turn.later]
    return Survey(
        reply=ReadyRuns(tuple(ready[: request.limit]), min(next_due, default=None)),
        drop=tuple(run for turn in turns for run in turn.drop),
        cancel=tuple(run for turn in turns for run in turn.cancel),
    )


def settle(tx: Tx, desk: Desk, request: FindReadyRuns) -> ReadyRuns:
    """Drop and cancel what the policies say, and tell what is ready."""
    found = survey(tx, request, desk.now)
    facts.load_flow_runs(tx, desk, [run.id for run in (*found.drop, *found.cancel)])
    skipped = Cancelled(message="Skipped: an earlier run of its schedule was going on.", cause=SKIPPED)
    for run in found.drop:
        desk.judge(run, skipped, clock.new_id())
    for run in found.cancel:
        desk.judge(run, Cancelling(message="The next run of its schedule is due."), clock.new_id())
    return found.reply


def _due(tx: Tx, deployment: bytes, before: datetime, limit: int) -> Iterator[FlowRun]:
    """The runs of a deployment that are due before an instant."""
    found = tx.execute(_DUE, (deployment, rows.instant_text(before), limit))
    return map(rows.flow_run_from, found)


def _next(tx: Tx, deployment: bytes, before: datetime) -> list[datetime]:
    """When the first of its other runs is due."""
    found = tx.execute(_NEXT, (deployment, rows.instant_text(before)))
    return [datetime.fromisoformat(at) for (at,) in found]


def _turns(
    strict: Mapping[str, Overlap], due: Iterable[FlowRun], active: Iterable[FlowRun], now: datetime
) -> Iterator[_Turn]:
    """What each schedule says; those that object to nothing say it together."""
    free: list[FlowRun] = []
    waiting: defaultdict[str | None, list[FlowRun]] = defaultdict(list)
    busy: defaultdict[str | None, list[FlowRun]] = defaultdict(list)
    for run in due:
        identity = schedule_of(run)
        is_bound = identity in strict and not has_begun(run)
        (waiting[identity] if is_bound else free).append(run)
    for run in active:
        busy[schedule_of(run)].append(run)
    yield _Turn(start=free)
    for identity, overlap in strict.items():
        yield _turn(overlap, waiting[identity], busy[identity], now)


def _turn(overlap: Overlap, waiting: Sequence[FlowRun], active: Sequence[FlowRun], now: datetime) -> _Turn:
    """Nobody is dropped or cancelled for a run that is not due yet; but it may be told of if it will be its turn."""
    due = [run for run in waiting if _when(run) <= now]
    later = waiting[len(due) :]
    turns = take_turns(overlap, due, active)
    early = later[:1] if not due and not active else ()
    ending = StateType.CANCELLING
    return _Turn(
        start=(*turns.start, *early),
        later=later[len(early) :],
        drop=turns.drop,
        cancel=[run for run in turns.cancel if run.state and run.state.type is not ending],
    )


def _when(run: FlowRun) -> datetime:
    due = run.times.next_scheduled_start
    if due is None:
        raise TrioflowBug(f"run {run.id} waits, and nobody knows what for")
    return due


def _order(run: FlowRun) -> tuple[datetime, UUID]:
    return _when(run), run.id

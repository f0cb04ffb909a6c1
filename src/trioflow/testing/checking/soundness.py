"""What must hold after every decision, whatever the rules say: over is over, and slots are counted right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from uuid import UUID

from trioflow.core.bookkeeping import HOLD_SLOTS
from trioflow.core.decisions import (
    Effect,
    EndLease,
    MirrorToParent,
    Proposal,
    ReleaseSlots,
    TagLimit,
    TakeSlots,
)
from trioflow.core.runs import FlowRun, Run, TaskRun
from trioflow.core.states import StateType
from trioflow.core.tables import Table
from trioflow.testing.checking.properties import Broken, Property


def check_final(table: Table, proposal: Proposal, after: Run) -> None:
    """A run that was over still is, unless this is a declared rerun, or a newer attempt of a task's flow.

    Raises:
        Broken: it has been opened.
    """
    state = proposal.run.state
    if state is None or state.type not in table.terminal or after.state is state:
        return
    if not (proposal.state.type is table.rerun and _may_run_again(proposal)):
        raise Broken(Property.FINAL, f"the run was over ({state.type}), and is now {_type(after)}")


def _may_run_again(proposal: Proposal) -> bool:
    match proposal.run:
        case FlowRun():
            return proposal.rerun
        case TaskRun(state=state, flow_run_attempt=attempt):
            parent = proposal.facts.parent
            is_recorded = state is not None and state.is_completed and state.data is not None
            return parent is not None and attempt < parent.attempt and not is_recorded


def check_effects(run: Run, effects: Iterable[Effect], limits: Iterable[TagLimit]) -> None:
    """Slots are taken by task runs, of the limits on their own tags; leases are ended by the books alone.

    Raises:
        Broken: somebody takes what is not for him, or ends a lease that is in use.
    """
    limited = {limit.tag for limit in limits}
    for effect in effects:
        match effect, run:
            case TakeSlots(tags), TaskRun() if tags <= limited:
                pass
            case TakeSlots(tags), _:
                told = f"a slot of {_quoted(tags - limited) or 'a task tag'} was taken, which the run has no use for"
                raise Broken(Property.SLOTS, told)
            case ReleaseSlots(), FlowRun():
                raise Broken(Property.SLOTS, "a flow run gave slots back, and holds none")
            case MirrorToParent(id_), _ if id_ != getattr(run, "parent_task_run_id", None):
                raise Broken(
                    Property.POSSIBLE, "the state was shown on a task run that does not stand for this run"
                )
            case EndLease(), _ if run.state is not None and not run.state.is_final:
                raise Broken(Property.POSSIBLE, f"the lease ended while the run is {_type(run)}")
            case _:
                pass


def check_slots(
    runs: Iterable[Run], holders: Mapping[str, AbstractSet[UUID]], limits: Mapping[str, int]
) -> None:
    """Exactly the task runs at work hold slots, one of each of their limited tags, and no limit is exceeded.

    Raises:
        Broken: one holds too much or too little.
    """
    tasks = [run for run in runs if isinstance(run, TaskRun)]
    for tag, limit in limits.items():
        held = holders.get(tag, frozenset())
        at_work = {run.id for run in tasks if tag in run.tags and _type(run) in HOLD_SLOTS}
        running = {run.id for run in tasks if tag in run.tags and _type(run) is StateType.RUNNING}
        if len(running) > limit:
            raise Broken(Property.SLOTS, f"{len(running)} task runs with tag {tag!r} run, and {limit} may")
        if len(held) > limit:
            raise Broken(Property.SLOTS, f"{len(held)} slots of tag {tag!r} are taken, of {limit}")
        if held - at_work:
            raise Broken(Property.SLOTS, f"a task run that is not at work holds a slot of tag {tag!r}")
        if running - held:
            raise Broken(Property.SLOTS, f"a task run with tag {tag!r} runs without a slot")


def _type(run: Run) -> StateType | None:
    return run.state.type if run.state else None


def _quoted(tags: Iterable[str]) -> str:
    return ", ".join(repr(tag) for tag in sorted(tags))

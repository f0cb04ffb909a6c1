"""Our answer to a recorded case: the case as a proposal, the decision as an `Answer`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.oracle.cases import JITTERED, Answer, Case, shown_as, spelled_out, type_of
from trioflow.core.decisions import (
    Decision,
    Facts,
    MirrorToParent,
    Proposal,
    ReleaseSlots,
    RememberResult,
    TagLimit,
    TakeSlots,
)
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import FlowRun, RetryPolicy, Run, RunTimes, TaskRun
from trioflow.core.states import State, StateDetails, StateType, resumed
from trioflow.core.tables import Table, decide
from trioflow.core.verdicts import Abort, Accept, Reject, Verdict, Wait

T1 = datetime(2026, 1, 1, 12, tzinfo=UTC)
T0 = T1 - timedelta(minutes=1)
PAST = T1 - timedelta(hours=1)

SELF, OTHER, FLOW, PARENT_TASK, TRANSITION = (UUID(int=n) for n in range(1, 6))
RESULT = RecordedResult(serializer="json", inline="1")


def ask(case: Case, table: Table | None = None) -> Answer:
    """Our answer to the case's question; another table than ours can be asked too."""
    proposal = proposal_of(case)
    if proposal is None:
        return Answer(status="ABORT")
    return _answer(case, proposal, decide(table or case.table, proposal))


def proposal_of(case: Case) -> Proposal | None:
    """The case's question; None for a run that is to be resumed and is not paused: nothing is asked then."""
    run = _task_run(case) if case.kind == "task" else _flow_run(case)
    state = _state(case.proposed) if case.proposed else resumed(run.state, T1)
    if state is None:
        return None
    return Proposal(
        run=run, state=state, now=T1, transition_id=TRANSITION, force=case.force, facts=_facts(case, run)
    )


def _facts(case: Case, run: Run) -> Facts:
    asked, current = (
        (state or {}).get("details", {}).get("transition_id") for state in (case.proposed, case.initial)
    )
    repeated = asked is not None and asked == current and run.state is not None
    answered = Accept(run.state) if repeated and run.state else None
    if case.kind != "task":
        return Facts(answered=answered)
    cached = State(type=StateType.COMPLETED, name="Completed", data=RESULT)
    holders = {"self": SELF, "other": OTHER}
    limits = tuple(
        TagLimit(
            tag=tag, limit=limit[0], holders=frozenset(holders[who] for who in case.before["slots"][tag])
        )
        for tag, limit in case.context["tags"].items()
        if limit
    )
    return Facts(
        answered=answered,
        parent=_parent(case),
        cached=cached if case.context["cache_entry"] == "valid" and _asks_the_cache(case) else None,
        limits=limits,
    )


def _asks_the_cache(case: Case) -> bool:
    return bool((case.proposed or {}).get("details", {}).get("cache_key"))


def _parent(case: Case) -> FlowRun | None:
    key = case.context["parent"]
    if key is None:
        return None
    spelled = spelled_out(key)
    if spelled and "pause_timeout" in spelled["details"]:
        timeout = {"future": "+3600", "past": "past"}.get(case.context["parent_pause_timeout"])
        spelled = {**spelled, "details": {**spelled["details"], "pause_timeout": timeout}}
    state = _state(spelled) if spelled else None
    attempt = case.context["parent_run_count"]
    return FlowRun(id=FLOW, flow_id=FLOW, name="parent", root_id=FLOW, state=state, attempt=attempt)


def _flow_run(case: Case) -> FlowRun:
    subflow = case.context["subflow"]
    return FlowRun(
        id=SELF,
        flow_id=FLOW,
        name="run",
        root_id=OTHER if subflow else SELF,
        parent_task_run_id=PARENT_TASK if subflow else None,
        deployment_id=OTHER if case.context["deployment"] else None,
        infrastructure_pid="host:1" if case.context["infrastructure_pid"] else None,
        pause_keys=frozenset(case.before["pause_keys"]),
        resuming=case.before["resuming"],
        **_common(case),
    )


def _task_run(case: Case) -> TaskRun:
    return TaskRun(
        id=SELF,
        task_key="task",
        dynamic_key="0",
        name="task-0",
        flow_run_id=None if case.context["parent"] is None else FLOW,
        flow_run_attempt=case.before["flow_run_run_count"],
        tags=frozenset(case.context["tags"]),
        **_common(case),
    )


def _common(case: Case) -> dict[str, Any]:
    before, context = case.before, case.context
    delay = context["retry_delay"]
    return {
        "state": _state(case.initial, timestamp=T0) if case.initial else None,
        "version": 1 if case.initial else 0,
        "attempt": before["run_count"],
        "retries_used": max(before["run_count"] - 1, 0),
        "retry": RetryPolicy(
            retries=context["retries"] or 0,
            delays=() if delay is None else tuple(delay) if isinstance(delay, list) else (delay,),
            jitter=context.get("retry_jitter_factor"),
        ),
        "times": RunTimes(
            expected_start=instant(before["expected_start_time"]),
            next_scheduled_start=instant(before["next_scheduled_start_time"]),
            started=instant(before["start_time"]),
            ended=instant(before["end_time"]),
        ),
    }


def _state(spelled: Mapping[str, Any], timestamp: datetime | None = None) -> State:
    details = spelled.get("details", {})
    return State(
        type=type_of(spelled),
        name=spelled["name"],
        data=RESULT if spelled.get("data") == "reference" else None,
        timestamp=timestamp,
        details=StateDetails(
            scheduled_time=instant(details.get("scheduled_time")),
            pause_timeout=instant(details.get("pause_timeout")),
            pause_key=details.get("pause_key"),
            cache_key=details.get("cache_key"),
            refresh_cache=details.get("refresh_cache"),
            retriable=details.get("retriable"),
        ),
    )


def instant(class_: str | None) -> datetime | None:
    """The instant that a class stands for here."""
    match class_:
        case None:
            return None
        case "now" | "t1":
            return T1
        case "t0":
            return T0
        case "past":
            return PAST
        case _:
            return T1 + timedelta(seconds=float(class_))


def _class(at: datetime | None, *, past: str = "past", now: str = "now") -> str | None:
    if at is None:
        return None
    seconds = (at - T1).total_seconds()
    if seconds == 0:
        return now
    return past if seconds < 0 else f"+{seconds:g}"


def _due(case: Case, at: datetime | None) -> str | None:
    """The class of a due time: ``jittered`` when it is off its delay, and no further than the jitter allows."""
    factor = case.context.get("retry_jitter_factor")
    if at is None or not factor or case.to is not StateType.FAILED:
        return _class(at)
    delay = case.context["retry_delay"] or 0
    used = min(max(case.before["run_count"] - 1, 0), len(delay) - 1) if isinstance(delay, list) else 0
    base = delay[used] if isinstance(delay, list) else delay
    seconds = (at - T1).total_seconds()
    off = seconds != base and base * (1 - factor) <= seconds <= base * (1 + factor)
    return JITTERED if off else _class(at)


def _answer(case: Case, proposal: Proposal, decision: Decision) -> Answer:
    status, state, delay = _verdict(decision.verdict)
    written = state if decision.run else None
    return Answer(
        status=status,
        state=(state.type.value, state.name) if state else None,
        delay=delay,
        data="reference" if written and written.data else None,
        details=_details(case, written) if written and case.proposed else {},
        changed=_changed(case, proposal.run, decision),
    )


def _verdict(verdict: Verdict) -> tuple[str, State | None, str | None]:
    match verdict:
        case Accept(state):
            return "ACCEPT", state, None
        case Reject(state):
            return "REJECT", state, None
        case Abort(state=state):
            return "ABORT", state, None
        case Wait(delay, reason):
            why = "pause-wait" if "paused" in reason else "slot-wait"
            return "WAIT", None, f"~{delay:g}" if "Scheduled" in reason else f"{why}({delay:g})"


def _details(case: Case, state: State) -> dict[str, str]:
    shown = {
        "scheduled_time": _due(case, state.details.scheduled_time),
        "pause_timeout": _class(state.details.pause_timeout),
    }
    return {key: class_ for key, class_ in shown.items() if class_}


def _changed(case: Case, before: Run, decision: Decision) -> dict[str, Any]:
    if decision.run is None:
        return {}
    old, new = _fields(case, before), _fields(case, decision.run)
    changed = {key: value for key, value in new.items() if value != old[key]}
    return changed | dict(_beside(case, decision))


def _fields(case: Case, run: Run) -> dict[str, Any]:
    times = run.times
    common = {
        "run_count": run.attempt,
        "start_time": _class(times.started, past="t0", now="t1"),
        "end_time": _class(times.ended, past="t0", now="t1"),
        "expected_start_time": _class(times.expected_start),
        "next_scheduled_start_time": _due(case, times.next_scheduled_start),
        "total_run_time": "added" if times.running else None,
    }
    match run:
        case FlowRun():
            keys = sorted("new" if key == str(TRANSITION) else key for key in run.pause_keys)
            return {**common, "resuming": run.resuming, "pause_keys": keys}
        case TaskRun():
            return {**common, "flow_run_run_count": run.flow_run_attempt}


def _beside(case: Case, decision: Decision) -> Iterator[tuple[str, Any]]:
    """What the effects change, in the fields of the data."""
    for effect in decision.effects:
        match effect:
            case TakeSlots(tags):
                before = case.before["slots"]
                yield (
                    "slots",
                    {tag: sorted({*who, "self"} if tag in tags else who) for tag, who in before.items()},
                )
            case ReleaseSlots() if any("self" in who for who in case.before.get("slots", {}).values()):
                before = case.before["slots"]
                yield "slots", {tag: [held for held in who if held != "self"] for tag, who in before.items()}
            case RememberResult():
                yield "cache_rows", case.before["cache_rows"] + 1
            case MirrorToParent() if decision.run and decision.run.state:
                state = decision.run.state
                shown = "PAUSED" if state.type is StateType.SUSPENDED else state.type.value, state.name
                if shown != shown_as(case.before.get("parent_task")):
                    yield "parent_task", shown
            case _:
                pass

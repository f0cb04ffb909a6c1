"""The recorded cases: each as a question to our tables, and its answer in words that both sides share.

An `Answer` holds what is compared: the verdict, the state, the delay, and every field of the run that changed and
that trioflow has too. Instants are classes, as in the data: ``past``, ``now``, ``+3600``, ``t0``, ``t1``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from attrs import evolve, field, frozen

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
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Table, decide
from trioflow.core.verdicts import Abort, Accept, Reject, Verdict, Wait

T1 = datetime(2026, 1, 1, 12, tzinfo=UTC)
T0 = T1 - timedelta(minutes=1)
PAST = T1 - timedelta(hours=1)

SELF, OTHER, FLOW, PARENT_TASK, TRANSITION = (UUID(int=n) for n in range(1, 6))
RESULT = RecordedResult(serializer="json", inline="1")

JITTERED = "jittered"


@frozen(kw_only=True)
class Answer:
    """What came of a question; ``changed`` leaves out what trioflow has no counterpart for."""

    status: str
    state: tuple[str, str] | None = None
    delay: str | None = None
    data: str | None = None
    details: Mapping[str, str] = field(factory=dict)
    """Of a state that was written: when it is due, and when its pause times out. (Not recorded for resumes.)"""
    changed: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Case:
    """One recorded decision."""

    kind: str
    name: str
    context: Mapping[str, Any]
    force: bool
    source: str
    target: str
    initial: Mapping[str, Any] | None
    proposed: Mapping[str, Any] | None
    before: Mapping[str, Any]
    outcome: Mapping[str, Any]
    changed: Mapping[str, Any]
    unforced: Case | None = None
    """For a forced case: the same question without force."""

    @property
    def transition_repeats(self) -> bool:
        """Whether the proposal carries the transition id that the current state was written with."""
        asked, written = (
            (state or {}).get("details", {}).get("transition_id") for state in (self.proposed, self.initial)
        )
        return asked is not None and asked == written

    @property
    def from_(self) -> StateType | None:
        """The type that the run is in; None for a run without a state."""
        return _type(self.initial) if self.initial else None

    @property
    def to(self) -> StateType | None:
        """The type that is proposed; None when nothing is."""
        if self.proposed:
            return _type(self.proposed)
        return {StateType.PAUSED: StateType.RUNNING, StateType.SUSPENDED: StateType.SCHEDULED}.get(self.from_)

    @property
    def is_flow(self) -> bool:
        """Whether a flow run is judged."""
        return self.kind != "task"

    @property
    def overridden(self) -> bool:
        """Whether this is a use of force that our tables allow."""
        return self.force and self.to is not None and table_of(self).overrides(self.from_, self.to)

    @property
    def question(self) -> tuple[Any, ...]:
        """What tells this case from others of its folder, force aside."""
        return self.kind, self.name, self.source, self.target

    def __str__(self) -> str:
        forced = " (forced)" if self.force else ""
        return f"{self.kind} [{self.name}] {self.source} → {self.target}{forced}"


# --- reading


def read_cases(folder: Path) -> list[Case]:
    """Every case of a folder laid out as `data` is, the forced ones with their unforced twins."""
    cases = list(_read(folder))
    unforced = {case.question: case for case in cases if not case.force}
    return [evolve(case, unforced=unforced.get(case.question)) if case.force else case for case in cases]


def _read(folder: Path) -> Iterator[Case]:
    defaults = {
        kind: json.loads((folder / f"{kind}.contexts.json").read_text())["default"]
        for kind in ("flow", "task")
    }
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")]):
        content = path.read_bytes()
        for line in (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines():
            raw = json.loads(line)
            yield _case(raw, defaults[raw["kind"].partition("-")[0]])


def _case(raw: Mapping[str, Any], default: Mapping[str, Any]) -> Case:
    return Case(
        kind=raw["kind"],
        name=raw["ctx"],
        context={**default, **raw["context"]},
        force=raw.get("force", False),
        source=raw["from"],
        target=raw.get("to", "resume"),
        initial=raw["initial"] if "initial" in raw else _spelled(raw["from"]),
        proposed=raw.get("proposed"),
        before=raw["before"],
        outcome=raw["outcome"],
        changed=raw["changed"],
    )


SPELLINGS = {
    "Late": ("SCHEDULED", {"scheduled_time": "past"}),
    "AwaitingRetry": ("SCHEDULED", {"scheduled_time": "now"}),
    "Resuming": ("SCHEDULED", {"scheduled_time": "now"}),
    "Scheduled": ("SCHEDULED", {"scheduled_time": "now"}),
    "Paused": ("PAUSED", {"pause_timeout": "+3600", "pause_key": "k0"}),
    "Suspended": ("PAUSED", {"pause_timeout": "+3600", "pause_key": "k0", "pause_reschedule": True}),
    "Retrying": ("RUNNING", {}),
}


def _spelled(key: str) -> Mapping[str, Any] | None:
    """The state that a key of the data stands for, where a case does not write it out."""
    if key == "none":
        return None
    name = key.removesuffix("Future").removesuffix("Persisted").removesuffix("Unpersisted")
    type_, details = SPELLINGS.get(name, (name.upper(), {}))
    later = {"scheduled_time": "+3600"} if key.endswith("Future") else {}
    return {"type": type_, "name": name, "details": {**details, **later}}


# --- what Prefect answered


def recorded(case: Case) -> Answer:
    """The recorded answer, in the shared words. A WAIT names no state: nothing was decided about it."""
    outcome = case.outcome
    written = bool(outcome.get("written"))
    details = outcome.get("details", {}) if written else (case.initial or {}).get("details", {})
    state = outcome.get("state")
    if state is not None and outcome["status"] == "WAIT":
        state = None
    if state is not None:
        state = ("SUSPENDED" if details.get("pause_reschedule") else state[0], state[1])
    return Answer(
        status=outcome["status"],
        state=state,
        delay=outcome.get("delay_seconds"),
        data=_recorded_data(outcome.get("data")) if written else None,
        details={key: details[key] for key in ("scheduled_time", "pause_timeout") if details.get(key)}
        if written
        else {},
        changed=_comparable(case, case.changed),
    )


def _recorded_data(data: str | None) -> str | None:
    return None if data == "unpersisted" else data


def _comparable(case: Case, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Without the fields that trioflow has no counterpart for."""
    kept = {key: value for key, value in changed.items() if key not in {"retry_type", "parent_task"}}
    after, before = (_shown(fields.get("parent_task")) for fields in (changed, case.before))
    return kept if after in {None, before} else {**kept, "parent_task": after}


def _shown(parent_task: Mapping[str, Any] | None) -> tuple[str, str] | None:
    return (parent_task["type"], parent_task["name"]) if parent_task else None


# --- what we answer


def ask(case: Case, table: Table | None = None) -> Answer:
    """Our answer to the case's question; another table than ours can be asked too."""
    proposal = proposal_of(case)
    if proposal is None:
        return Answer(status="ABORT")
    return _answer(case, proposal, decide(table or table_of(case), proposal))


def table_of(case: Case) -> Table:
    """The table that judges the case."""
    return TASK_RUNS if case.kind == "task" else FLOW_RUNS


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
    spelled = _spelled(key)
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


def _type(spelled: Mapping[str, Any]) -> StateType:
    suspended = spelled.get("details", {}).get("pause_reschedule")
    return StateType.SUSPENDED if suspended else StateType(spelled["type"])


def _state(spelled: Mapping[str, Any], timestamp: datetime | None = None) -> State:
    details = spelled.get("details", {})
    return State(
        type=_type(spelled),
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
                if shown != _shown(case.before.get("parent_task")):
                    yield "parent_task", shown
            case _:
                pass

"""What trioflow should answer where it differs, worked out from a case alone: nothing here asks our tables.

`accepted` is a second, independent bookkeeping, in the words of the data. A test holds it against every recorded
acceptance that no difference touches, so that the differences which build on it can be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.oracle.cases import JITTERED, Answer, Case
from trioflow.core.states import StateType

PAUSES = {StateType.PAUSED, StateType.SUSPENDED}
RUNNING = StateType.RUNNING


def current(case: Case) -> tuple[str, str] | None:
    """The state that the run is in, as an answer names it."""
    return (case.from_.value, case.initial["name"]) if case.from_ and case.initial else None


def stays(case: Case, status: str = "REJECT") -> Answer:
    """The run stays as it is."""
    return Answer(status=status, state=current(case))


def accepted(case: Case) -> Answer:
    """The proposed state is written."""
    assert case.proposed
    assert case.to
    name = renamed(case) if not case.is_flow and case.to is RUNNING else case.proposed["name"]
    details = dict(case.proposed.get("details", {}))
    if case.from_ is StateType.SCHEDULED and case.to is StateType.PENDING and not case.overridden:
        details.setdefault("scheduled_time", case.initial["details"]["scheduled_time"])
    return written(case, "ACCEPT", (case.to, name), data=case.proposed.get("data"), details=details)


def written(
    case: Case,
    status: str,
    state: tuple[StateType, str],
    *,
    data: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Answer:
    """``state`` is written, and the run brought up to date."""
    type_, name = state
    given = details or {}
    before = {"cache_rows": 0, "slots": {}, "total_run_time": None, **case.before}
    after = {
        **before,
        **_times(case, type_, given),
        **(_of_flow if case.is_flow else _of_task)(case, type_, given),
    }
    if data == "reference" and type_ is StateType.COMPLETED and given.get("cache_key"):
        after["cache_rows"] = before["cache_rows"] + 1
    changed = {key: value for key, value in after.items() if key != "parent_task" and value != before[key]}
    return Answer(
        status=status,
        state=(type_.value, name),
        data="reference" if data == "reference" else None,
        details={key: given[key] for key in ("scheduled_time", "pause_timeout") if given.get(key)},
        changed=changed | _mirrored(case, type_, name),
    )


def _times(case: Case, type_: StateType, details: Mapping[str, Any]) -> dict[str, Any]:
    before = case.before
    due = details.get("scheduled_time") if type_ is StateType.SCHEDULED else None
    return {
        "start_time": before["start_time"] or ("t1" if type_ is RUNNING else None),
        "end_time": "t1" if type_.is_final else None,
        "expected_start_time": before["expected_start_time"] or due or "now",
        "next_scheduled_start_time": due,
        "total_run_time": "added" if case.from_ is RUNNING else None,
    }


def _of_flow(case: Case, type_: StateType, details: Mapping[str, Any]) -> dict[str, Any]:
    before = case.before
    keys, resuming, attempt = before["pause_keys"], before["resuming"], before["run_count"]
    if type_ in PAUSES:
        keys = sorted({*keys, details.get("pause_key") or "new"})
    if type_ is RUNNING:
        attempt += not resuming and case.from_ is not StateType.PAUSED
    if type_ is RUNNING or type_.is_final:
        resuming = False
    if type_ is StateType.SCHEDULED and case.from_ in PAUSES:
        resuming = True
    return {"pause_keys": keys, "resuming": resuming, "run_count": attempt}


def _of_task(case: Case, type_: StateType, details: Mapping[str, Any]) -> dict[str, Any]:
    before = case.before
    slots = before.get("slots", {})
    if type_ is StateType.CANCELLING:
        return {}
    if type_ is not RUNNING:
        return {"slots": {tag: [who for who in held if who != "self"] for tag, held in slots.items()}}
    return {
        "run_count": before["run_count"] + 1,
        "flow_run_run_count": 0 if case.context["parent"] is None else case.context["parent_run_count"],
        "slots": {
            tag: sorted({*held, "self"}) if limited(case, tag) else held for tag, held in slots.items()
        },
    }


def _mirrored(case: Case, type_: StateType, name: str) -> dict[str, Any]:
    if not (case.is_flow and case.context["subflow"]):
        return {}
    shown = "PAUSED" if type_ in PAUSES else type_.value, name
    before = case.before["parent_task"]
    same = before and (before["type"], before["name"]) == shown
    return {} if same else {"parent_task": shown}


def limited(case: Case, tag: str) -> bool:
    """Whether the tag has a limit at all."""
    return case.context["tags"].get(tag) is not None


def renamed(case: Case) -> str:
    """What RUNNING is called, for a task run (RT-06)."""
    assert case.proposed
    if case.initial is None:
        return case.proposed["name"]
    if case.from_ and case.from_.is_final:
        return "Retrying"
    if case.before["run_count"] == 0:
        return case.proposed["name"]
    return "Retrying" if case.initial["name"] == "AwaitingRetry" else "Rerunning"


def started(case: Case) -> Answer:
    """A task that nothing hinders starts when it is due."""
    due = (case.initial or {}).get("details", {}).get("scheduled_time")
    if case.from_ in {StateType.SCHEDULED, StateType.PENDING} and due and due.startswith("+"):
        return Answer(status="WAIT", delay=f"~{due[1:]}")
    return accepted(case)


def failed(case: Case) -> Answer:
    """A failure, with the retries that are left, in the flow's present state."""
    assert case.proposed
    used = max(case.before["run_count"] - 1, 0)
    retriable = case.proposed.get("details", {}).get("retriable") is not False
    if not retriable or used >= (case.context["retries"] or 0):
        return accepted(case)
    if case.is_flow or case.context["parent"] in {None, "Running", "Retrying"}:
        return _retried(case, used)
    return (
        Answer(status="WAIT", delay="pause-wait(10)")
        if case.context["parent"] == "Paused"
        else accepted(case)
    )


def _retried(case: Case, used: int) -> Answer:
    delay = case.context["retry_delay"] or 0
    seconds = delay[min(used, len(delay) - 1)] if isinstance(delay, list) else delay
    due = f"+{seconds:g}" if seconds else "now"
    if seconds and case.context.get("retry_jitter_factor"):
        due = JITTERED
    awaiting = StateType.SCHEDULED, "AwaitingRetry"
    answer = written(
        case, "REJECT", awaiting, data=case.proposed.get("data"), details={"scheduled_time": due}
    )
    forgotten = {"pause_keys": [], "resuming": False}
    over = {
        key: value for key, value in forgotten.items() if key in case.before and case.before[key] != value
    }
    return Answer(
        status=answer.status,
        state=answer.state,
        data=answer.data,
        details=answer.details,
        changed={**answer.changed, **over},
    )

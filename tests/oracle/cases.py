"""The recorded cases, and what Prefect's server answered, in words that our answers share.

An `Answer` holds what is compared: the verdict, the state, the delay, and every field of the run that changed and
that trioflow has too. Instants are classes, as in the data: ``past``, ``now``, ``+3600``, ``t0``, ``t1``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Table

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
        return type_of(self.initial) if self.initial else None

    @property
    def to(self) -> StateType | None:
        """The type that is proposed; None when nothing is."""
        if self.proposed:
            return type_of(self.proposed)
        return {StateType.PAUSED: StateType.RUNNING, StateType.SUSPENDED: StateType.SCHEDULED}.get(self.from_)

    @property
    def is_flow(self) -> bool:
        """Whether a flow run is judged."""
        return self.kind != "task"

    @property
    def table(self) -> Table:
        """The table that judges it."""
        return FLOW_RUNS if self.is_flow else TASK_RUNS

    @property
    def overridden(self) -> bool:
        """Whether this is a use of force that our tables allow."""
        return self.force and self.to is not None and self.table.overrides(self.from_, self.to)

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
        initial=raw["initial"] if "initial" in raw else spelled_out(raw["from"]),
        proposed=raw.get("proposed"),
        before=_ordered(raw["before"]),
        outcome=raw["outcome"],
        changed=_ordered(raw["changed"]),
    )


def type_of(spelled: Mapping[str, Any]) -> StateType:
    """The type of a state as the data spell it: there a SUSPENDED one is PAUSED and rescheduled."""
    suspended = spelled.get("details", {}).get("pause_reschedule")
    return StateType.SUSPENDED if suspended else StateType(spelled["type"])


def _ordered(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a run, with the holders of each slot in one order."""
    slots = fields.get("slots")
    return {**fields, "slots": {tag: sorted(held) for tag, held in slots.items()}} if slots else fields


SPELLINGS = {
    "Late": ("SCHEDULED", {"scheduled_time": "past"}),
    "AwaitingRetry": ("SCHEDULED", {"scheduled_time": "now"}),
    "Resuming": ("SCHEDULED", {"scheduled_time": "now"}),
    "Scheduled": ("SCHEDULED", {"scheduled_time": "now"}),
    "Paused": ("PAUSED", {"pause_timeout": "+3600", "pause_key": "k0"}),
    "Suspended": ("PAUSED", {"pause_timeout": "+3600", "pause_key": "k0", "pause_reschedule": True}),
    "Retrying": ("RUNNING", {}),
}


def spelled_out(key: str) -> Mapping[str, Any] | None:
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
    after, before = (shown_as(fields.get("parent_task")) for fields in (changed, case.before))
    return kept if after in {None, before} else {**kept, "parent_task": after}


def shown_as(parent_task: Mapping[str, Any] | None) -> tuple[str, str] | None:
    return (parent_task["type"], parent_task["name"]) if parent_task else None

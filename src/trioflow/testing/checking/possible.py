"""What a rule may say: answers that can be written, read again, and acted on by whoever hears them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from attrs import evolve, fields_dict

from trioflow.core.bookkeeping import FOR_EDITS
from trioflow.core.decisions import Edit, Effect, Proposal
from trioflow.core.retries import MAX_DELAY_SECONDS, retry_policy
from trioflow.core.runs import RetryPolicy
from trioflow.core.states import State, StateType
from trioflow.core.verdicts import Abort, Reject, Wait
from trioflow.errors import FlowDefinitionError
from trioflow.testing.checking.telling import shown
from trioflow.wire.converter import from_json, to_json


def faults_of(answer: object, proposal: Proposal) -> Iterator[str]:
    """What is wrong with the answer to this proposal; of a sound one nothing."""
    match answer:
        case None:
            return
        case Wait(delay, reason):
            if not _is_delay(delay):
                yield f"it waits for {delay!r} s: a delay is longer than 0, and no longer than a century"
            yield from _faults_of_reason(reason)
        case Abort(reason, state):
            if state not in {None, proposal.run.state}:
                yield f"it aborts as if the run were {state}, and it is {shown(proposal.run.state)}"
            yield from _faults_of_reason(reason)
        case Reject(state, reason, written):
            yield from _faults_of_rejection(state, proposal, written=written)
            yield from _faults_of_reason(reason)
        case Edit():
            yield from _faults_of_edit(answer, proposal)
        case _:
            yield f"it gave {answer!r}: a rule gives Reject, Wait, Abort, Edit or None"


def _is_delay(given: object) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool) and 0 < given <= MAX_DELAY_SECONDS


def _faults_of_reason(reason: object) -> Iterator[str]:
    if not isinstance(reason, str) or not reason:
        yield f"its reason is {reason!r}: say in a sentence why"
    else:
        yield from _faults_of_spelling(reason, f"its reason {reason!r}")


def _faults_of_rejection(state: object, proposal: Proposal, *, written: bool) -> Iterator[str]:
    current = proposal.run.state
    match state:
        case State() if written:
            yield from _faults_of_state(state)
        case State() if state != current:
            now = shown(current)
            yield f"it says that the run is {shown(state)}, and it is {now}: written=True would put it there"
        case State():
            return
        case _:
            yield f"it rejected in favour of {state!r}, which is no state: abort what cannot be"


def _faults_of_edit(edit: Edit, proposal: Proposal) -> Iterator[str]:
    if not _is_edit(edit.state, edit.run, edit.effects):
        yield f"it gave {edit!r}: an Edit holds a State, a dict of fields by name, and a tuple of effects"
        return
    if edit.state is not None:
        if edit.state.type is not proposal.state.type:
            yield f"it edited {proposal.state.type} into {edit.state.type}: reject what should be another state"
        yield from _faults_of_state(edit.state)
    may_edit = FOR_EDITS & fields_dict(type(proposal.run)).keys()
    if forbidden := edit.run.keys() - may_edit:
        yield f"it edited {_listed(forbidden)}: a rule may edit {_listed(may_edit)} of this run"
    elif edit.run:
        run = evolve(proposal.run, state=None, **edit.run)
        yield from _faults_of_spelling(run, f"{_listed(edit.run)} as it edited it")
        yield from _faults_of_policy(run.retry)
        if not run.name:
            yield "it edited the name away"


def _is_edit(state: object, run: object, effects: object) -> bool:
    match state, run, effects:
        case State() | None, Mapping(), tuple():
            names, each = cast("Mapping[object, object]", run), cast("tuple[object, ...]", effects)
            return all(isinstance(name, str) for name in names) and all(
                isinstance(one, Effect) for one in each
            )
        case _:
            return False


def _faults_of_policy(policy: RetryPolicy) -> Iterator[str]:
    try:
        retry_policy(policy.retries, policy.delays, jitter=policy.jitter, on_crash=policy.on_crash)
    except FlowDefinitionError as error:
        yield f"it edited the retry policy into one that no flow can have: {error}"


def _faults_of_state(state: State) -> Iterator[str]:
    if not state.name:
        yield f"the {state.type} state has no name"
    due = state.details.scheduled_time
    if state.type is StateType.SCHEDULED and due is None:
        yield f"{state} has no scheduled_time: nobody would ever find it due"
    for name in ("scheduled_time", "cache_expiration", "pause_timeout"):
        instant = getattr(state.details, name)
        if instant is not None and instant.tzinfo is None:
            yield f"the {name} of {state} has no time zone"
    yield from _faults_of_spelling(state, str(state))


def _faults_of_spelling(value: Any, told: str) -> Iterator[str]:
    """What is written is read again by others, so it has to come back as it was."""
    class_: type[Any] = value.__class__
    try:
        spelt = to_json(value)
        read: Any = from_json(spelt, class_)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being spelt is the answer
        yield f"{told} cannot be stored: {type(error).__name__}: {error}"
    else:
        if read != value:
            yield f"{told} comes back from the store as something else"
        elif _NUL in spelt:
            yield f"{told} holds a NUL, which not every store can keep"


_NUL = b"\\u0000"


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "nothing"

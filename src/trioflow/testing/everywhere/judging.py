"""Judging: what is wrong with a trial, given how the scenario ends when nothing is done to it."""

from __future__ import annotations

from collections.abc import Iterator

from trioflow.core.states import StateType
from trioflow.errors import TrioflowBug, TrioflowError
from trioflow.settings import current_settings
from trioflow.testing.everywhere.trial import Deed, Outcome

_SLACK_SECONDS = 2.0
"""What a run may take beyond its grace (P2)."""


def faults_of(deed: Deed, outcome: Outcome, undisturbed: Outcome) -> list[str]:
    """What is wrong, in sentences."""
    found = [*outcome.wrong]
    match deed:
        case Deed.CANCEL:
            found += [*_raised(outcome, ()), *_swallowed(outcome, undisturbed), *_late(outcome)]
        case Deed.REQUEST:
            found += [
                *_raised(outcome, (TrioflowError, AssertionError)),
                *_unheeded(outcome),
                *_late(outcome),
            ]
        case Deed.KILL:
            found += _raised(outcome, ())
        case Deed.FAIL:
            # What a scenario raises then is its own affair: its flow may have seen the error, and gone another way.
            found += _raised(outcome, (Exception,))
        case Deed.NOTHING:
            pass
    return found


def _raised(outcome: Outcome, allowed: tuple[type[Exception], ...]) -> Iterator[str]:
    for error in outcome.raised:
        if isinstance(error, TrioflowBug) or not isinstance(error, allowed):
            yield f"{type(error).__name__} came out of it: {error}"


def _swallowed(outcome: Outcome, undisturbed: Outcome) -> Iterator[str]:
    if not outcome.returned:
        return
    for run_id, (name, type_) in undisturbed.ends.items():
        _, ended = outcome.ends.get(run_id, (name, None))
        if ended is not type_:
            yield f"the cancellation was swallowed: it came to its end, but run {name!r} is {ended}, not {type_}"


def _unheeded(outcome: Outcome) -> Iterator[str]:
    for run_id in outcome.asked:
        name, type_ = outcome.ends[run_id]
        if type_ is not StateType.CANCELLED:
            yield f"flow run {name!r} was asked to cancel, and is {type_}"


def _late(outcome: Outcome) -> Iterator[str]:
    most = current_settings().grace_seconds + _SLACK_SECONDS
    if outcome.seconds > most:
        yield f"it took {outcome.seconds:.0f} s to end, and may take {most:g}"

"""Verdicts: the four answers to a proposal. Values; a refusal is an answer, not an exception."""

from __future__ import annotations

from attrs import frozen

from trioflow.core.states import State


@frozen
class Accept:
    """The run is now in ``state``: the proposed one, with what the rules and the books added to it."""

    state: State


@frozen
class Reject:
    """The run is in ``state`` instead of the proposed one.

    ``written`` tells a state that the rules chose in its place (AwaitingRetry for Failed, Cached for Running) from
    the state that the run was in already and stays in.
    """

    state: State | None
    reason: str
    written: bool = False


@frozen
class Wait:
    """Nothing changed; ask again in ``delay`` seconds."""

    delay: float
    reason: str


@frozen
class Abort:
    """Nothing changed, and asking again is no use; ``state`` is the run's current one."""

    reason: str
    state: State | None = None


Verdict = Accept | Reject | Wait | Abort

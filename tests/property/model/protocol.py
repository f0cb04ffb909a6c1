"""Claim, lease, cancel and slots as one small world that can be explored whole.

Some flow runs, each with one task, and one slot for all tasks; some runners, each of which has one run in hand at a
time and drives it by the real lifecycle. At any step a runner may die, or only a run's child; an answer may be lost
(who asked asks again, under the same transition id); a copy of a request may arrive once more, later; a lease may
lapse although its owner lives; an operator may cancel.

No copy is made of a claim that was refused: accepted later, it would give the run to a runner that does not know. A
transport that can deliver one has to give up its claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from attrs import frozen

from tests.property.model.exploring import Move, Unsafe
from tests.property.model.judged import (
    NOBODY,
    NOW,
    RETRIES,
    Asked,
    Judge,
    Judged,
    Kind,
    Part,
    check_part,
    plain,
)
from tests.property.model.runners import Phase, Runner, moves_by_itself, request_under_way, rested, told
from trioflow.core.runs import NO_RETRIES
from trioflow.core.states import Cancelling, Scheduled, StateType
from trioflow.core.verdicts import Accept, Reject, Verdict

Copy = tuple[int, Asked]
"""A request about one of the runs that is still under way, a second time."""

Packed = tuple[int, ...]
"""A state: the numbers of the runs' parts, of the runners, of the copy."""

FIRST = Part((plain(Scheduled(NOW)), 0, 0, 0), None, None, lives=False, holds=False)


class Step(NamedTuple):
    """What one runner, or nobody in particular, does about one run."""

    label: str
    part: Part
    runner: Runner | None = None
    copy: Copy | None = None
    """What is under way from now on; None leaves what there is."""
    is_progress: bool = True


class Numbered:
    """Gives equal values equal numbers: states are kept, and compared, as a few numbers."""

    def __init__(self) -> None:
        self.values: list[Any] = [None]
        self._numbers: dict[Any, int] = {None: 0}

    def number(self, value: Any) -> int:
        """The number of this value; 0 is None's."""
        if value not in self._numbers:
            self._numbers[value] = len(self.values)
            self.values.append(value)
        return self._numbers[value]


@frozen(kw_only=True)
class Scope:
    """How large the world is, and what may happen in it beside deaths, lapses and cancels."""

    runs: int = 2
    runners: int = 2
    claims: int = 1
    """A run whose epoch is as high is claimed no more."""
    retries: bool = True
    lost_answers: bool = True
    copies: bool = False


class Protocol:
    """The world to explore."""

    def __init__(self, scope: Scope, judge: Judge | None = None) -> None:
        self.scope = scope
        self.pids = range(1, scope.runners + 1)
        self.judge = judge or Judge(RETRIES if scope.retries else NO_RETRIES)
        self.parts, self.runners, self.copies = Numbered(), Numbered(), Numbered()
        self._known: dict[tuple[int, ...], list[tuple[Step, int, int, int]]] = {}

    # --- what is explored

    def first(self) -> Packed:
        return (self.parts.number(FIRST),) * self.scope.runs + (0,) * (self.scope.runners + 1)

    def is_goal(self, state: Packed) -> bool:
        """Every run is over, or waits for a claim that nobody makes any more."""
        return all(self._is_settled(self.parts.values[part]) for part in state[: self.scope.runs])

    def _is_settled(self, part: Part) -> bool:
        is_free = part.state.type is StateType.SCHEDULED and part.owner is None
        return part.state.is_final or (is_free and part.epoch >= self.scope.claims)

    def check(self, state: Packed) -> None:
        parts = [self.parts.values[number] for number in state[: self.scope.runs]]
        for part in parts:
            check_part(part)
        if sum(part.holds for part in parts) > 1:
            raise Unsafe("two tasks hold the one slot")
        in_hand = [self.runners.values[number] for number in state[self.scope.runs : -1] if number]
        driven = [(each.run, each.epoch) for each in in_hand if each.phase is not Phase.CLAIMING]
        if len(set(driven)) < len(driven):
            raise Unsafe("two runners drive one run in one epoch")

    def moves(self, state: Packed) -> Iterator[Move]:
        for run in range(self.scope.runs):
            for step, part, _, _ in self._steps(state, run, NOBODY, 0):
                yield Move(f"{step.label} {run}", _put(state, run, part), step.is_progress)
            for pid in self.pids:
                yield from self._moves_of_runner(state, run, pid)
        if state[-1]:
            yield self._arrive(state)

    def _moves_of_runner(self, state: Packed, run: int, pid: int) -> Iterator[Move]:
        at = self.scope.runs + pid - 1
        mine = self.runners.values[state[at]]
        if mine is not None and mine.run != run:
            return
        for step, part, runner, copy in self._steps(state, run, pid, state[at]):
            if copy and state[-1]:
                continue
            to = _put(_put(state, run, part), at, runner)
            if copy:
                to = _put(to, len(state) - 1, copy)
            if step.label == "dies":
                to = self._bereft(to, pid)
            yield Move(f"runner {pid}: {step.label} {run}", to, step.is_progress)

    def _arrive(self, state: Packed) -> Move:
        run, asked = self.copies.values[state[-1]]
        label = f"the copy of {asked.kind.value} {run} arrives"
        try:
            judged = self.judge(self.parts.values[state[run]], self._others_hold(state, run), asked)
        except Unsafe as unsafe:
            raise Unsafe(str(unsafe), label) from None
        part = self.parts.number(judged.part)
        return Move(label, _put(_put(state, run, part), len(state) - 1, 0), is_progress=False)

    def _bereft(self, state: Packed, pid: int) -> Packed:
        """What is still under way from a runner that has died is nobody's."""
        if not state[-1]:
            return state
        run, asked = self.copies.values[state[-1]]
        owner = NOBODY if asked.owner == pid else asked.owner
        return _put(state, len(state) - 1, self.copies.number((run, asked._replace(owner=owner))))

    def _others_hold(self, state: Packed, run: int) -> bool:
        others = [number for each, number in enumerate(state[: self.scope.runs]) if each != run]
        return any(self.parts.values[number].holds for number in others)

    # --- steps, each thought out once

    def _steps(self, state: Packed, run: int, pid: int, runner: int) -> list[tuple[Step, int, int, int]]:
        """With the numbers of the part, the runner and the copy that they lead to."""
        others = self._others_hold(state, run)
        key = run, state[run], others, pid, runner
        if key not in self._known:
            part, mine = self.parts.values[state[run]], self.runners.values[runner]
            if pid == NOBODY:
                steps = self._steps_of_nobody(part, others)
            elif mine is None:
                steps = self._claims(part, run)
            else:
                steps = self._steps_of_runner(part, others, mine, pid)
            self._known[key] = [self._numbered(step) for step in steps]
        return self._known[key]

    def _numbered(self, step: Step) -> tuple[Step, int, int, int]:
        part, runner = self.parts.number(step.part), self.runners.number(step.runner)
        return step, part, runner, self.copies.number(step.copy)

    def _steps_of_nobody(self, part: Part, others: bool) -> Iterator[Step]:
        """What time, an operator and those who reap do."""
        cancel, reap = Asked(Kind.CANCEL, Cancelling()), Asked(Kind.REAP)
        yield Step("cancel", self._judged(part, others, cancel).part, is_progress=False)
        if part.owner is None:
            return
        if part.lives:
            yield Step("lapse", part._replace(lives=False), is_progress=part.owner == NOBODY)
        else:
            yield Step("reap", self._judged(part, others, reap).part)
        if not part.lives and part.owner != NOBODY:
            yield Step("renew", part._replace(lives=True))

    def _claims(self, part: Part, run: int) -> Iterator[Step]:
        has_lapsed = part.owner is not None and not part.lives
        if part.epoch < self.scope.claims and (has_lapsed or part.state.type is StateType.SCHEDULED):
            yield Step("takes up", part, Runner(Phase.CLAIMING, run))

    def _steps_of_runner(self, part: Part, others: bool, runner: Runner, pid: int) -> Iterator[Step]:
        asked = request_under_way(runner, pid)
        if asked is not None:
            yield from self._requests(self._judged(part, others, asked), asked, runner)
        for label, after in moves_by_itself(runner, part):
            yield Step(label, part, rested(after) if after else None, is_progress=label != "child dies")
        left = part._replace(owner=NOBODY) if part.owner == pid else part
        yield Step("dies", left, is_progress=False)

    def _requests(self, judged: Judged, asked: Asked, runner: Runner) -> Iterator[Step]:
        """The request is answered; or its answer is lost; or a copy of it stays under way."""
        kind, after = asked.kind.value, told(runner, judged)
        written = asked.answered or _written(judged.verdict)
        yield Step(kind, judged.part, after)
        if self.scope.lost_answers:
            lost = runner._replace(answered=written)
            yield Step(f"{kind}, answer lost,", judged.part, lost, is_progress=False)
        if self.scope.copies and (written or asked.kind is not Kind.CLAIM):
            copy = runner.run, asked._replace(answered=written)
            yield Step(f"{kind}, copied,", judged.part, after, copy, is_progress=False)

    def _judged(self, part: Part, others: bool, asked: Asked) -> Judged:
        try:
            return self.judge(part, others, asked)
        except Unsafe as unsafe:
            raise Unsafe(str(unsafe), asked.kind.value) from None


def _written(verdict: Verdict | None) -> Verdict | None:
    """The verdict, if it was written for the transition id."""
    match verdict:
        case Accept() | Reject(written=True):
            return verdict
        case _:
            return None


def _put(state: Packed, at: int, number: int) -> Packed:
    return state if state[at] == number else (*state[:at], number, *state[at + 1 :])

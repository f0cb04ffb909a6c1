"""Explores every state of a small world, breadth first: the shortest way to what is unsafe, and who is wedged.

Knows nothing of what the world is about. A world names its steps; a step that the system takes by itself, if it is
only left alone, is progress; what an adversary does is not. Wedged is a state from which progress leads to no goal.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterator
from time import process_time
from typing import Any, Protocol

from attrs import define, field, frozen


class Unsafe(Exception):
    """What must never be, is: after a step, or in the state with this number."""

    def __init__(self, why: str, step: str = "", state: int | None = None) -> None:
        super().__init__(why)
        self.step = step
        self.state = state


@frozen
class Move:
    """One step out of a state."""

    label: str
    to: Hashable
    is_progress: bool = True


class World(Protocol):
    """What is explored."""

    def first(self) -> Hashable:
        """Where it begins."""
        ...

    def moves(self, state: Any) -> Iterator[Move]:
        """Every step out of a state.

        Raises:
            Unsafe: a step does what must never be.
        """
        ...

    def check(self, state: Any) -> None:
        """Look at a state.

        Raises:
            Unsafe: it must never be.
        """
        ...

    def is_goal(self, state: Any) -> bool:
        """Whether nothing is left to do there."""
        ...


@frozen
class Trace:
    """The shortest way to something: what happened, step by step, and why it is wrong."""

    steps: list[str]
    why: str


@define(eq=False)
class Report:
    """What was found."""

    states: int = 0
    transitions: int = 0
    goals: int = 0
    depth: int = 0
    seconds: float = 0.0
    """Of CPU."""
    unsafe: Trace | None = None
    wedged: int = 0
    example: Trace | None = None
    """The wedged state that is nearest to the beginning."""
    labels: dict[str, int] = field(factory=dict)
    """How often each kind of step was taken."""

    def __str__(self) -> str:
        return (
            f"{self.states:,} states, {self.transitions:,} transitions, depth {self.depth}, {self.goals:,} goals,"
            f" {int(self.unsafe is not None)} unsafe, {self.wedged} wedged, {self.seconds:.1f} CPU s"
        )


@define(eq=False)
class Explorer:
    """One exploration."""

    world: World
    most: int | None = None
    """So many transitions are enough; then nothing is said about wedged states."""
    _numbers: dict[Hashable, int] = field(factory=dict)
    _found: list[Hashable] = field(factory=list)
    _before: array[int] = field(factory=lambda: array("q"))
    _by: list[str] = field(factory=list)
    _forward: tuple[array[int], array[int]] = field(factory=lambda: (array("q"), array("q")))
    """The steps of progress: from, to."""

    def explore(self) -> Report:
        """Go everywhere."""
        began, report = process_time(), Report()
        self._meet(self.world.first(), -1, "")
        at = 0
        depths = array("q", [0])
        try:
            while at < len(self._found) and not self._has_enough(report):
                self._step_out_of(at, report, depths)
                at += 1
        except Unsafe as unsafe:
            report.unsafe = self._trace(at, unsafe)
        report.states, report.depth = len(self._found), max(depths)
        if report.unsafe is None and not self._has_enough(report):
            self._look_for_the_wedged(report)
        report.seconds = process_time() - began
        return report

    def _has_enough(self, report: Report) -> bool:
        return self.most is not None and report.transitions >= self.most

    def _step_out_of(self, at: int, report: Report, depths: array[int]) -> None:
        froms, tos = self._forward
        for move in self.world.moves(self._found[at]):
            report.transitions += 1
            report.labels[move.label] = report.labels.get(move.label, 0) + 1
            known = self._numbers.get(move.to)
            if known is None:
                known = self._meet(move.to, at, move.label)
                depths.append(depths[at] + 1)
                self._check(known)
            if move.is_progress and known != at:
                froms.append(at)
                tos.append(known)

    def _check(self, number: int) -> None:
        try:
            self.world.check(self._found[number])
        except Unsafe as unsafe:
            raise Unsafe(str(unsafe), state=number) from None

    def _meet(self, state: Hashable, from_: int, label: str) -> int:
        number = self._numbers[state] = len(self._found)
        self._found.append(state)
        self._before.append(from_)
        self._by.append(label)
        return number

    def _look_for_the_wedged(self, report: Report) -> None:
        """Go back from the goals along what is progress: whoever is not met is wedged."""
        before: dict[int, list[int]] = {}
        for from_, to in zip(*self._forward, strict=True):
            before.setdefault(to, []).append(from_)
        goals = [number for number, state in enumerate(self._found) if self.world.is_goal(state)]
        met = bytearray(len(self._found))
        for goal in goals:
            met[goal] = 1
        report.goals, ahead = len(goals), goals
        while ahead:
            number = ahead.pop()
            for each in before.get(number, ()):
                if not met[each]:
                    met[each] = 1
                    ahead.append(each)
        report.wedged = len(met) - sum(met)
        if report.wedged:
            report.example = self._trace(met.index(0), Unsafe("wedged"))

    def _trace(self, number: int, unsafe: Unsafe) -> Trace:
        steps = [unsafe.step] if unsafe.step else []
        number = number if unsafe.state is None else unsafe.state
        while number > 0:
            steps.append(self._by[number])
            number = self._before[number]
        return Trace(steps[::-1], str(unsafe))

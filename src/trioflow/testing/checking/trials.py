"""Trials: how a rule is tried. A world, what is asked in it one after the other, and how code ends in it.

Runs get where a rule judges them by what the table accepts, never by decree: each of them may really be met. What the
rule's own code compares with (texts, numbers) is drawn too, so that a rule about ``nightly`` meets it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain, count
from typing import TypeAlias

from attrs import frozen
from hypothesis import strategies as st

from trioflow.core.runs import NO_RETRIES, RetryPolicy, TaskRun
from trioflow.core.states import (
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    StateType,
    Suspended,
)
from trioflow.core.tables import COLUMNS, FLOW_RUNS, TASK_RUNS, Closed, Row, Table
from trioflow.testing.checking.birth import Birth, Role
from trioflow.testing.checking.vocabulary import Vocabulary
from trioflow.testing.checking.world import AS_OPERATOR, FLOW, PLAINLY, Asker, How, World
from trioflow.testing.pools import NOW, RESULT
from trioflow.testing.strategies import drawn, states

Cells: TypeAlias = "Sequence[tuple[Row, StateType]]"

MOST_TASKS = 3
_MOST_MOVES = 3


@frozen
class Bring:
    """Have the run in this type, by the shortest way that the table is likely to accept."""

    number: int
    to: Row

    def do(self, world: World) -> None:
        """Go there, as far as the table lets it."""
        number = _number(world, self.number)
        state = world.runs[number].state
        for type_ in route(world.table_of(number), state.type if state else None, self.to):
            _ask(world, number, plainly(type_, world.now), How(rerun=True))
            reached = world.runs[number].state
            if reached is None or reached.type is not type_:
                return


@frozen
class Ask:
    """Propose this state."""

    number: int
    state: State
    how: How = PLAINLY

    def do(self, world: World) -> None:
        """Propose it; of a run that there is not, only its making."""
        _ask(world, _number(world, self.number), self.state, self.how)


@frozen
class Claim:
    """Somebody takes the flow run on, if nobody has it."""

    rerun: bool = False

    def do(self, world: World) -> None:
        """Claim it."""
        if (
            world.flow.state is not None
            and world.birth.role is not Role.SUBFLOW
            and not world.is_leased(FLOW)
        ):
            world.claim(rerun=self.rerun)


@frozen
class Pass:
    """Time passes."""

    seconds: int

    def do(self, world: World) -> None:
        """Let it."""
        world.wait(self.seconds)


Move: TypeAlias = Bring | Ask | Claim | Pass


@frozen
class Trial:
    """One example: how a world begins, what is asked in it, and how code ends."""

    birth: Birth
    moves: tuple[Move, ...]
    outcome: State

    def world(self, flow_table: Table = FLOW_RUNS, task_table: Table = TASK_RUNS) -> World:
        """The world as it begins: with tasks, its flow run is RUNNING."""
        world = World(self.birth, flow_table, task_table)
        if self.birth.tasks:
            world.propose(FLOW, Running())
            world.steps.clear()
        return world


def _number(world: World, number: int) -> int:
    """The run that is meant: in a small world, the last one stands for those that there are not."""
    return min(number, len(world.runs) - 1)


def _ask(world: World, number: int, state: State, how: How) -> None:
    """Propose it, as a structured program would: a flow run ends after its tasks, and is claimed by a claim."""
    if number == FLOW and world.birth.tasks and state.is_final:
        for task, run in world.runs.items():
            if isinstance(run, TaskRun) and run.flow_run_id and run.state and not run.state.is_final:
                world.propose(task, Cancelled())
    world.propose(number, state, how)


def plainly(type_: StateType, now: datetime) -> State:
    """The plainest state of a type."""
    return Scheduled(now) if type_ is StateType.SCHEDULED else _PLAIN[type_]


_PLAIN = {
    state.type: state
    for state in (
        *(Pending(), Running(), Paused(), Suspended(), Cancelling()),
        *(Completed(data=RESULT), Failed(), Crashed(), Cancelled()),
    )
}


def route(table: Table, from_: Row, to: Row) -> Sequence[StateType]:
    """The types to go through, the last one included; empty when there is no way, or none is needed.

    A cell with rules counts as three without: they may object.
    """
    order = count()
    paths: list[tuple[int, int, Row, tuple[StateType, ...]]] = [(0, next(order), from_, ())]
    seen: set[Row] = set()
    while paths:
        cost, _, row, path = heapq.heappop(paths)
        if row is to:
            return path
        if row in seen:
            continue
        seen.add(row)
        for column in COLUMNS:
            cell = table.cell(row, column)
            if not isinstance(cell, Closed):
                step = 1 if cell == () else 3
                heapq.heappush(paths, (cost + step, next(order), column, (*path, column)))
    return ()


# --- strategies


def trials(table: Table, cells: Cells, vocabulary: Vocabulary) -> st.SearchStrategy[Trial]:
    """Trials of what stands in these cells of the table.

    Args:
        table: of flow runs or of task runs.
        cells: where to bring runs to, and what to ask there; at least one.
        vocabulary: texts and numbers that may matter.
    """
    judges_tasks = table.name == TASK_RUNS.name
    births = _with_tasks(vocabulary) if judges_tasks else _without_tasks(vocabulary)
    numbers = st.integers(1, MOST_TASKS) if judges_tasks else st.just(FLOW)
    at = st.one_of([_at(numbers, *cell) for cell in cells])
    around = _around_tasks(numbers) if judges_tasks else _around_flow_runs()
    if judges_tasks:
        at = at | at.map(_crowded) | at.map(_in_a_second_attempt)
    few = st.lists(at | around | _anything(numbers), max_size=_MOST_MOVES).map(_one_after_the_other)
    moves = st.one_of(
        st.lists(around, min_size=1, max_size=2),
        st.tuples(at),
        st.tuples(few, at, around),
        st.tuples(few, at, few),
    )
    outcomes = st.sampled_from([Completed(data=RESULT), Failed(), Crashed()])
    return st.builds(Trial, births, moves.map(_one_after_the_other).map(tuple), outcomes)


def _one_after_the_other(moves: Iterable[list[Move]]) -> list[Move]:
    return list(chain.from_iterable(moves))


def _at(numbers: st.SearchStrategy[int], from_: Row, to: StateType) -> st.SearchStrategy[list[Move]]:
    """Bring a run to the cell, and ask what it judges."""
    by, draws = st.sampled_from([Asker.OWNER, Asker.OPERATOR]), st.floats(0, 1, exclude_max=True)
    hows = st.builds(How, by=by, rerun=st.booleans(), draw=draws)
    return st.builds(_brought, numbers, st.just(from_), states([to]), st.just(How(rerun=True)) | hows)


def _brought(number: int, from_: Row, state: State, how: How) -> list[Move]:
    return [Bring(number, from_), Ask(number, state, how)]


def _anything(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[list[Move]]:
    return (st.builds(Ask, numbers, states(), hows()) | passes()).map(lambda move: [move])


def hows() -> st.SearchStrategy[How]:
    """By anybody, with any flags."""
    return st.builds(How, by=st.sampled_from(Asker), force=st.booleans(), rerun=st.booleans())


def passes() -> st.SearchStrategy[Pass]:
    """From seconds to a month."""
    return st.sampled_from([5, 60, 3_600, 86_400, 30 * 86_400]).map(Pass)


def _around_flow_runs() -> st.SearchStrategy[list[Move]]:
    """It is claimed, pauses, is suspended, fails and is tried again, is cancelled."""
    lives = [
        [StateType.SUSPENDED],
        [StateType.PAUSED],
        [StateType.FAILED, StateType.RUNNING],
        [StateType.CANCELLING],
    ]
    brought: list[list[Move]] = [[Bring(FLOW, type_) for type_ in types] for types in lives]
    claims: list[list[Move]] = [[Claim()], [Claim(rerun=True)]]
    return drawn([*claims, *brought])


def _around_tasks(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[list[Move]]:
    """What goes on around a task: others run; the flow run pauses and goes on, fails and is tried again."""
    flow_run: list[list[Move]] = [
        _in_a_second_attempt([]),
        [Ask(FLOW, Paused())],
        [Ask(FLOW, Running(), AS_OPERATOR)],
        [Ask(FLOW, Cancelling(), AS_OPERATOR)],
    ]
    return numbers.map(_at_work) | numbers.map(_tried_again) | drawn(flow_run)


def _crowded(moves: list[Move]) -> list[Move]:
    """The same, while one more is at work."""
    match moves:
        case [Bring(number), *_]:
            return [Bring(number % MOST_TASKS + 1, StateType.RUNNING), *moves]
        case _:
            return moves


def _in_a_second_attempt(moves: list[Move]) -> list[Move]:
    """The same, when the flow has failed and is tried again."""
    return [Ask(FLOW, Failed()), Pass(60), Ask(FLOW, Running()), *moves]


def _at_work(number: int) -> list[Move]:
    return [Bring(number, StateType.RUNNING)]


def _tried_again(number: int) -> list[Move]:
    return [Bring(number, StateType.FAILED), Bring(number, StateType.RUNNING)]


def _policies() -> st.SearchStrategy[RetryPolicy]:
    return st.sampled_from(
        [NO_RETRIES, RetryPolicy(retries=1), RetryPolicy(retries=3, delays=(10.0,), on_crash=True)]
    )


def _starts() -> st.SearchStrategy[datetime]:
    """An hour of a week of summer: rules that look at the time look at these."""
    return st.integers(0, 7 * 24 - 1).map(lambda hours: NOW + timedelta(hours=hours))


def births(vocabulary: Vocabulary) -> st.SearchStrategy[Birth]:
    """How a world begins: with tasks or without."""
    return _with_tasks(vocabulary) | _without_tasks(vocabulary)


def _without_tasks(vocabulary: Vocabulary) -> st.SearchStrategy[Birth]:
    return st.builds(
        Birth,
        role=drawn([Role.SCRIPT, Role.DEPLOYED, Role.SUBFLOW, Role.DEPLOYED]),
        owned=st.sampled_from([True, False]),
        retry=_policies(),
        tags=st.frozensets(drawn(vocabulary.texts), max_size=3),
        parameters=vocabulary.parameters(),
        start=_starts(),
    )


@st.composite
def _with_tasks(draw: st.DrawFn, vocabulary: Vocabulary) -> Birth:
    """Tasks that have tags in common, and limits on some of them."""
    texts = drawn([*vocabulary.texts[:1] * 4, *vocabulary.texts])
    size = draw(st.sampled_from([1, 2, 3, 3]))
    tags = st.frozensets(texts, max_size=2)
    tasks = [draw(tags)] * size if draw(st.booleans()) else [draw(tags) for _ in range(size)]
    used = sorted(frozenset[str]().union(*tasks))
    limits = {tag: draw(st.sampled_from([None, 2, 1, 3, 0])) for tag in used}
    return Birth(
        retry=draw(_policies()),
        parameters=draw(vocabulary.parameters()),
        start=draw(_starts()),
        limits={tag: limit for tag, limit in limits.items() if limit is not None},
        tasks=tuple(tasks),
        lonely=draw(st.booleans()),
    )

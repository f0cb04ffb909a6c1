"""`LifecycleMachine`: engines that drive a flow run and its tasks, among operators, deaths and time.

Each engine is the real lifecycle (`trioflow.core.lifecycle`), taken step by step, its steps in any order with those of
the others. When the process dies the reaper ends what it had; its engines go on all the same, as those of a process
that was only stopped would, and must not be heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar, final

from attrs import define
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trioflow.core.lifecycle import Call, Propose, Sleep, Step, Stop, start
from trioflow.core.states import (
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Paused,
    Pending,
    Running,
    State,
    StateType,
)
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Table
from trioflow.core.verdicts import Abort, Accept
from trioflow.errors import TrioflowBug
from trioflow.testing.checking.birth import Role
from trioflow.testing.checking.panel import Panel
from trioflow.testing.checking.patience import carry_to_the_end
from trioflow.testing.checking.trials import MOST_TASKS, Pass, births, passes
from trioflow.testing.checking.vocabulary import vocabulary_of
from trioflow.testing.checking.watching import Watch
from trioflow.testing.checking.world import AS_OPERATOR, FLOW, PLAINLY, Asker, How, World
from trioflow.testing.pools import RESULT

_AS_FORMER_OWNER = How(by=Asker.FORMER_OWNER)
_OUTCOMES = st.sampled_from([Completed(data=RESULT), Failed(), Crashed()])


@final
@define(eq=False)
class Engine:
    """Drives one run: what it does next, and whether it is heard."""

    number: int
    step: Step
    is_fenced: bool = False
    """Its process was taken for dead: the run is not its own any more."""

    @property
    def is_calling(self) -> bool:
        """Whether code is at work."""
        return isinstance(self.step, Call)


class LifecycleMachine(RuleBasedStateMachine):
    """A state machine for Hypothesis: engines, an operator, time, and processes that die.

    Set the tables in a subclass, and let pytest collect its ``TestCase``.

    After each step: code of a run that is over is not at work, unless its process was taken for dead; code was called
    as often as the run has attempts; who was taken for dead is not heard. In the end everybody gets to an end.

    Attributes:
        flow_table: judges flow runs.
        task_table: judges task runs.
    """

    flow_table: ClassVar[Table] = FLOW_RUNS
    task_table: ClassVar[Table] = TASK_RUNS

    def __init__(self) -> None:
        super().__init__()
        added = [(each, table) for table in (self.flow_table, self.task_table) for each in table.added]
        self._rules = sorted(added, key=lambda pair: pair[0].name)
        self._panel = Panel([Watch(each, table) for each, table in self._rules])
        self._panel.begin()
        self._world: World | None = None
        self._engines: dict[int, Engine] = {}
        self._fenced: list[Engine] = []
        self._calls: Counter[int] = Counter()
        self._is_broken = False

    @property
    def world(self) -> World:
        """What there is; see `trioflow.testing.checking.world`."""
        if self._world is None:
            raise TrioflowBug("the world has not begun")
        return self._world

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """A process creates a flow run, and its engine begins."""
        vocabulary = vocabulary_of(each for each, _ in self._rules)
        drawn = births(vocabulary).filter(lambda birth: birth.owned and birth.role is not Role.SUBFLOW)
        flow_table, task_table = self._panel.within(self.flow_table), self._panel.within(self.task_table)
        self._world = World(data.draw(drawn), flow_table, task_table)
        with self._telling():
            created = self.world.propose(FLOW, Pending())
        if isinstance(created.verdict, Accept):
            self._engines[FLOW] = Engine(FLOW, start())

    # --- engines

    @precondition(lambda self: self._engines)
    @rule(which=st.lists(st.integers(0, MOST_TASKS), min_size=1, max_size=4))
    def take_steps(self, which: list[int]) -> None:
        """Engines ask, or wake up, one after the other."""
        for number in which:
            if engine := self._engines.get(number):
                self._take_a_step(engine)

    def _take_a_step(self, engine: Engine) -> None:
        match engine.step:
            case Propose(state):
                engine.step = self._hear(engine, state, engine.step)
            case Sleep(until=until) if until is None or until <= self.world.now:
                engine.step = engine.step.awoke()
            case _:
                pass
        if isinstance(engine.step, Stop):
            del self._engines[engine.number]

    @precondition(lambda self: self._is_at_work(FLOW))
    @rule(number=st.integers(1, MOST_TASKS))
    def call_a_task(self, number: int) -> None:
        """The flow's code calls a task, for the first time or again."""
        run = self.world.runs.get(number)
        if run is not None and number not in self._engines:
            self._engines[number] = Engine(number, start())

    @precondition(lambda self: self._is_at_work(FLOW))
    @rule(number=st.integers(1, MOST_TASKS), outcome=_OUTCOMES)
    def run_a_task(self, number: int, outcome: State) -> None:
        """A task goes from its call to its end without anybody between."""
        self.call_a_task(number)
        self.take_steps([number])
        self.end_a_call(number, outcome)
        self.take_steps([number])

    @rule(number=st.integers(0, MOST_TASKS), outcome=_OUTCOMES)
    def end_a_call(self, number: int, outcome: State) -> None:
        """Code ends; a flow's code not before its tasks."""
        engine = self._engines.get(number)
        if engine is None or (number == FLOW and len(self._engines) > 1):
            return
        if isinstance(engine.step, Call):
            engine.step = engine.step.ended(outcome)

    # --- what goes on around them

    @rule(state=st.sampled_from([Cancelling(), Paused()]))
    def ask_as_an_operator(self, state: State) -> None:
        """Somebody cancels the flow run, or pauses it, or has it go on if it is paused."""
        now = self.world.flow.state
        resumes = now is not None and now.type is StateType.PAUSED and state.type is StateType.PAUSED
        with self._telling():
            self.world.propose(FLOW, Running() if resumes else state, AS_OPERATOR)

    @rule(passes=passes())
    def let_time_pass(self, passes: Pass) -> None:
        """From seconds to a month."""
        passes.do(self.world)

    @precondition(lambda self: self.world.flow.id in self.world.leases)
    @rule()
    def take_the_process_for_dead(self) -> None:
        """Its lease has lapsed. It may live all the same."""
        with self._telling():
            self.world.reap()
        for engine in self._engines.values():
            engine.is_fenced = True
        self._fenced += self._engines.values()
        self._engines = {}

    @precondition(lambda self: self._is_free())
    @rule()
    def claim(self) -> None:
        """Another process takes the run on."""
        with self._telling():
            claimed = self.world.claim()
        if isinstance(claimed.verdict, Accept):
            self._engines = {FLOW: Engine(FLOW, start())}

    @precondition(lambda self: self._fenced)
    @rule(which=st.integers(0, 9), outcome=_OUTCOMES)
    def speak_from_the_dead(self, which: int, outcome: State) -> None:
        """An engine of a process that was taken for dead goes on; it is told that the run is not its own any more."""
        engine = self._fenced[which % len(self._fenced)]
        match engine.step:
            case Propose(state):
                engine.step = self._hear(engine, state, engine.step)
                assert isinstance(engine.step, Stop), engine
            case Sleep():
                engine.step = engine.step.awoke()
            case Call():
                engine.step = engine.step.ended(outcome)
            case Stop():
                self._fenced.remove(engine)

    # --- what must hold

    @invariant()
    def no_code_of_a_run_that_is_over_is_at_work(self) -> None:
        """Final means over (P7)."""
        for engine in self._engines.values():
            state = self.world.runs[engine.number].state
            assert not (engine.is_calling and state and state.is_final), engine

    @invariant()
    def code_is_called_once_for_each_attempt(self) -> None:
        """Neither is code called without an attempt, nor an attempt counted without a call."""
        if self._world is not None:
            attempts = {number: run.attempt for number, run in self.world.runs.items()}
            assert attempts == {number: self._calls[number] for number in attempts}

    def teardown(self) -> None:
        """Everybody gets to an end."""
        if self._world is not None and not self._is_broken:
            with self._telling():
                carry_to_the_end(self.world, Completed(data=RESULT))
                self._panel.end()
        self._panel.begin()

    def _hear(self, engine: Engine, state: State, step: Propose) -> Step:
        how = _AS_FORMER_OWNER if engine.is_fenced else PLAINLY
        with self._telling():
            asked = self.world.propose(engine.number, state, how)
        if engine.is_fenced:
            assert isinstance(asked.verdict, Abort), asked
        following = step.heard(asked.heard)
        self._calls[engine.number] += isinstance(following, Call)
        return following

    def _is_at_work(self, number: int) -> bool:
        engine = self._engines.get(number)
        return engine is not None and engine.is_calling

    def _is_free(self) -> bool:
        state = self.world.flow.state
        return state is not None and not state.is_final and self.world.flow.id not in self.world.leases

    @contextmanager
    def _telling(self) -> Generator[None]:
        self._is_broken = True
        with self._panel.telling(self.world.birth):
            yield
        self._is_broken = False

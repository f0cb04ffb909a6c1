"""`RuleMachine`: one flow run and its tasks, asked for anything by anybody, judged by tables of yours.

Where `check_rule` looks at one rule, the machine looks at both tables at once, for as long as Hypothesis likes.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trioflow.core.bookkeeping import PAUSES
from trioflow.core.decisions import Decision, Rule
from trioflow.core.states import Completed, Running, State, StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Table, decide
from trioflow.core.verdicts import Abort
from trioflow.errors import TrioflowBug
from trioflow.testing.checking.panel import Panel
from trioflow.testing.checking.patience import carry_to_the_end, check_that_all_can_be_ended
from trioflow.testing.checking.replay import compare_with_store
from trioflow.testing.checking.trials import MOST_TASKS, Ask, Claim, Move, Pass, births, hows, passes
from trioflow.testing.checking.vocabulary import vocabulary_of
from trioflow.testing.checking.watching import Watch
from trioflow.testing.checking.world import FLOW, Asker, How, World
from trioflow.testing.pools import RESULT
from trioflow.testing.strategies import states


class RuleMachine(RuleBasedStateMachine):
    """A state machine for Hypothesis: proposals, claims, attempts and time, in any order.

    Set the tables in a subclass, and let pytest collect its ``TestCase``::

        class Rules(RuleMachine):
            flow_table = FLOW_RUNS.with_rule(hold_back_at_night, from_=SCHEDULED, to=RUNNING)

        TestRules = Rules.TestCase

    After each step: what is over is over, slots are right, whoever has lost a run is not heard, an answer that was
    written is given again, and versions and attempts are what happened. In the end: everybody can be ended, whoever
    waits goes on, and an orchestrator on a real store answers all of it alike.

    Attributes:
        flow_table: judges flow runs.
        task_table: judges task runs.
    """

    flow_table: ClassVar[Table] = FLOW_RUNS
    task_table: ClassVar[Table] = TASK_RUNS

    def __init__(self) -> None:
        super().__init__()
        self._rules = [
            (added, table) for table in (self.flow_table, self.task_table) for added in _added(table)
        ]
        self._panel = Panel([Watch(added, table) for added, table in self._rules])
        self._panel.begin()
        self._world: World | None = None
        self._is_broken = False

    @property
    def world(self) -> World:
        """What there is; see `trioflow.testing.checking.world`."""
        if self._world is None:
            raise TrioflowBug("the world has not begun")
        return self._world

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """The flow run is made: RUNNING if it has tasks, in any state if not."""
        birth = data.draw(births(vocabulary_of(added for added, _ in self._rules)))
        flow_table, task_table = self._panel.within(self.flow_table), self._panel.within(self.task_table)
        self._world = World(birth, flow_table, task_table)
        self._do(Ask(FLOW, Running() if birth.tasks else data.draw(states())))

    @precondition(lambda self: not self.world.birth.tasks)
    @rule(state=states(), how=hows())
    def ask_for_the_flow_run(self, state: State, how: How) -> None:
        """Anybody proposes any state for the flow run."""
        self._do(Ask(FLOW, state, how))

    @precondition(lambda self: self.world.birth.tasks)
    @rule(state=states([*PAUSES, StateType.RUNNING, StateType.CANCELLING, StateType.FAILED]), how=hows())
    def steer_the_flow_run(self, state: State, how: How) -> None:
        """With tasks in it, it pauses and goes on, is cancelled, or fails and is perhaps tried again."""
        self._do(Ask(FLOW, state, how))

    @precondition(lambda self: self.world.birth.tasks and self.world.flow.state)
    @rule(number=st.integers(1, MOST_TASKS), state=states(), how=hows())
    def ask_for_a_task_run(self, number: int, state: State, how: How) -> None:
        """Anybody proposes any state for a task run."""
        self._do(Ask(number, state, how))

    @precondition(lambda self: self.world.birth.tasks and self.world.flow.state)
    @rule(number=st.integers(1, MOST_TASKS))
    def start_a_task(self, number: int) -> None:
        """The flow's code calls a task."""
        self._do(Ask(number, Running()))

    @rule(rerun=st.booleans())
    def claim(self, *, rerun: bool) -> None:
        """Somebody takes the flow run on, if nobody has it."""
        self._do(Claim(rerun))

    @rule(passes=passes())
    def let_time_pass(self, passes: Pass) -> None:
        """From seconds to a month."""
        self._do(passes)

    @rule(state=states())
    def ask_as_a_former_owner(self, state: State) -> None:
        """Whoever has lost the run is not heard (P13)."""
        if self.world.flow.state is not None and self.world.flow.epoch:
            with self._telling():
                asked = self.world.propose(FLOW, state, How(by=Asker.FORMER_OWNER))
            assert isinstance(asked.verdict, Abort), asked

    @precondition(lambda self: self.world.steps)
    @rule()
    def ask_once_more(self) -> None:
        """A repeated transition gets the answer that was written for it, and writes nothing (P13)."""
        last = self.world.steps[-1]
        if last.is_written:
            facts = evolve(last.proposal.facts, answered=last.verdict)
            again = decide(self.world.table_of(last.number), evolve(last.proposal, run=last.run, facts=facts))
            assert again == Decision(verdict=last.heard), again

    @invariant()
    def every_version_is_a_step(self) -> None:
        """A run's history is as long as its version says, and its attempts are no more than it was RUNNING."""
        for number, run in self.world.runs.items():
            written = [step.run for step in self.world.steps if step.number == number and step.is_written]
            assert run.version == len(written), run
            runs = [run for run in written if run.state and run.state.type is StateType.RUNNING]
            assert run.attempt <= len(runs), run

    def teardown(self) -> None:
        """Everybody gets to an end, and the store agrees with all that was said."""
        if self._world is not None and not self._is_broken:
            with self._telling():
                check_that_all_can_be_ended(self.world)
                carry_to_the_end(self.world, Completed(data=RESULT))
                self._panel.end()
                compare_with_store(self.world)
        self._panel.begin()

    def _do(self, move: Move) -> None:
        with self._telling():
            move.do(self.world)

    @contextmanager
    def _telling(self) -> Generator[None]:
        self._is_broken = True
        with self._panel.telling(self.world.birth):
            yield
        self._is_broken = False


def _added(table: Table) -> list[Rule]:
    return sorted(table.added, key=lambda each: each.name)

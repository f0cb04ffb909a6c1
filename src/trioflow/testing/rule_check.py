"""`check_rule`: tries a rule of yours in many small worlds, and tells the shortest way to what is wrong with it.

Each example is a trial: runs are brought to where the rule judges, by proposals that the table accepts, and there it
is asked. What it says is held against `trioflow.testing.checking.properties`: of itself (pure, total, possible), of
what comes of it (what is over stays over, slots are right, everybody can be ended, whoever waits goes on), and of the
store, which must answer as the table does.
"""

from __future__ import annotations

from pathlib import Path
from typing import final

import hypothesis
import trio
from attrs import define, field
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis.errors import Flaky

from trioflow.core.decisions import Rule
from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Closed, Row, Table
from trioflow.errors import RuleError, RuleFault, TrioflowBug
from trioflow.testing.checking.patience import carry_to_the_end, check_that_all_can_be_ended
from trioflow.testing.checking.properties import Broken, Property
from trioflow.testing.checking.replay import compare_with_store
from trioflow.testing.checking.telling import begun, transitions
from trioflow.testing.checking.trials import Trial, trials
from trioflow.testing.checking.vocabulary import vocabulary_of
from trioflow.testing.checking.watching import Watch, watched

EXAMPLES = 200
"""Trials of one check, unless it says otherwise."""

_QUIETLY = (
    *(HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.too_slow),
    *(HealthCheck.large_base_example, HealthCheck.nested_given),
)


def check_rule(rule: Rule, table: Table = FLOW_RUNS, *, examples: int = EXAMPLES, seed: int = 0) -> None:
    """Return if nothing is found that is wrong with the rule.

    Call it from a plain test function: it runs Trio for itself.

    Args:
        rule: the rule.
        table: the table that it stands in, as `Table.with_rule` gave it. Other rules of yours may stand there too: then
            it is also seen whether two of them wait for each other.
        examples: how many trials are made at most.
        seed: which; the same seed makes the same trials.

    Raises:
        RuleFault: the rule breaks a property that every rule must keep. It tells which, where, and the shortest way
            there that was found.
        RuleError: the rule stands in no cell of the table, or nothing leads to where it does, or Trio runs already.
    """
    _Check(table, (rule,)).run(examples, seed)


def check_table(table: Table, *, examples: int = EXAMPLES, seed: int = 0) -> None:
    """Return if nothing is found that is wrong with the rules that were added to the table, all at once.

    Args:
        table: the table.
        examples: how many trials are made at most.
        seed: which; the same seed makes the same trials.

    Raises:
        RuleFault: one of them breaks a property that every rule must keep, or several do together.
        RuleError: there are none, or one stands where nothing leads to, or Trio runs already.
    """
    if not table.added:
        raise RuleError(f"no rules were added to the table of {table.name}")
    _Check(table, tuple(sorted(table.added, key=lambda rule: rule.name))).run(examples, seed)


@final
@define(eq=False)
class _Check:
    """One check of some rules, where they stand in a table."""

    table: Table
    rules: tuple[Rule, ...]
    _watches: list[Watch] = field(init=False)
    _tried: int = field(default=0, init=False)
    _asked: set[Rule] = field(factory=set["Rule"], init=False)
    _fault: RuleFault | None = field(default=None, init=False)
    """The shortest way to something wrong that was found so far."""
    _first: int = field(default=0, init=False)
    """Which trial was the first to find something."""

    def __attrs_post_init__(self) -> None:
        self._watches = [Watch(rule, self.table) for rule in self.rules]

    def run(self, examples: int, seed: int) -> None:
        """Make the trials; see `check_rule`."""
        if trio.lowlevel.in_trio_run():
            raise RuleError("a check runs Trio for itself: call it from a plain function")
        cells = [cell for rule in self.rules for cell in _cells_of(rule, self.table)]
        strategy = trials(self.table, cells, vocabulary_of(self.rules))
        settings = hypothesis.settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            print_blob=False,
            report_multiple_bugs=False,
            suppress_health_check=_QUIETLY,
            verbosity=Verbosity.quiet,
        )

        @hypothesis.seed(seed)
        @settings
        @hypothesis.given(strategy)
        def attempt(trial: Trial) -> None:
            self._attempt(trial)

        try:
            attempt()
        except (RuleFault, Flaky):
            raise self._worst() from None
        finally:
            for watch in self._watches:
                watch.begin()
        for rule in self.rules:
            if rule not in self._asked:
                steps = ", ".join(
                    f"{from_ or 'no state'} → {to}" for from_, to in _cells_of(rule, self.table)
                )
                raise RuleError(f"{rule.name} was never asked in {examples} trials: nothing leads to {steps}")

    def _attempt(self, trial: Trial) -> None:
        self._tried += 1
        for watch in self._watches:
            watch.begin()
        try:
            self._judge(trial)
        except Broken as broken:
            fault = self._told(broken, trial)
            self._first = self._first or self._tried
            if self._fault is None or len(fault.transitions) <= len(self._fault.transitions):
                self._fault = fault
            raise fault from None
        finally:
            self._asked |= {watch.rule for watch in self._watches if watch.answered}

    def _judge(self, trial: Trial) -> None:
        table = watched(self.table, self._watches)
        world = trial.world(task_table=table) if _judges_tasks(table) else trial.world(table)
        for move in trial.moves:
            move.do(world)
        check_that_all_can_be_ended(world)
        carry_to_the_end(world, trial.outcome)
        for watch in self._watches:
            watch.end()
        compare_with_store(world)

    def _worst(self) -> RuleFault:
        if self._fault is None:
            raise TrioflowBug("a trial has failed, and nobody knows why")
        self._fault.examples = self._first
        return self._fault.with_traceback(None)

    def _told(self, broken: Broken, trial: Trial) -> RuleFault:
        watches = [watch for watch in self._watches if watch.rule is broken.rule] or self._suspects(broken)
        names = " and ".join(f"{watch.rule.name} ({_place(watch, broken)})" for watch in watches)
        lines = transitions(broken.steps)
        told = [
            f"{names}: a rule {broken.broken.value}, but {broken.told}",
            f"  with {begun(trial.birth)}",
            *(f"  {number}. {line}" for number, line in enumerate(lines, 1)),
        ]
        return RuleFault(
            "\n".join(told), rule=watches[0].rule.name, broken=broken.broken.name, transitions=lines
        )

    def _suspects(self, broken: Broken) -> list[Watch]:
        """Who said something about the last step; else whoever said anything; else all."""
        last = broken.steps[-1].proposal.transition_id if broken.steps else None
        spoke = [watch for watch in self._watches if watch.answered and watch.answered[1] is not None]
        at_last = [watch for watch in spoke if watch.answered and watch.answered[0].transition_id == last]
        return spoke if broken.broken is Property.PATIENT and spoke else at_last or spoke or self._watches


def _cells_of(rule: Rule, table: Table) -> list[tuple[Row, StateType]]:
    """Where the rule stands.

    Raises:
        RuleError: nowhere.
    """
    cells = [step for step, cell in table.cells.items() if not isinstance(cell, Closed) and rule in cell]
    if not cells:
        raise RuleError(
            f"{rule.name} stands in no cell of the table of {table.name}: check it in the table that it is for,"
            f" check_rule({rule.name}, table.with_rule({rule.name}, from_=..., to=...))"
        )
    return cells


def _judges_tasks(table: Table) -> bool:
    return table.name == TASK_RUNS.name


def _place(watch: Watch, broken: Broken) -> str:
    line = broken.line if broken.rule is watch.rule and broken.line else watch.line
    path = Path(watch.file)
    near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{near}, line {line}"

"""`check_rule`: tries a rule of yours in many small worlds, and tells the shortest way to what is wrong with it.

Each example is a trial: runs are brought to where the rule judges, by proposals that the table accepts, and there it
is asked. What it says is held against `trioflow.testing.checking.properties`: of itself (pure, total, possible), of
what comes of it (what is over stays over, slots are right, everybody can be ended, whoever waits goes on), and of the
store, which must answer as the table does.
"""

from __future__ import annotations

from contextlib import suppress
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
from trioflow.testing.checking.panel import Panel
from trioflow.testing.checking.patience import carry_to_the_end, check_that_all_can_be_ended
from trioflow.testing.checking.replay import compare_with_store
from trioflow.testing.checking.shortening import shorter
from trioflow.testing.checking.trials import Trial, trials
from trioflow.testing.checking.vocabulary import vocabulary_of
from trioflow.testing.checking.watching import Watch

EXAMPLES = 200
"""Trials of one check, unless it says otherwise."""

_HANGS = 12
"""So often a rule may keep a check waiting; then no shorter way to that is looked for."""

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
            it is also seen whether two of them wait for each other. A rule that stands in no cell of the table is asked
            in all of them, and judged only by whether it answers, and from its proposal: what becomes of runs is not
            seen.
        examples: how many trials are made at most.
        seed: which; the same seed makes the same trials.

    Raises:
        RuleFault: the rule breaks a property that every rule must keep. It tells which, where, and the shortest way
            there that was found.
        RuleError: nothing leads to where the rule stands, or this was called inside of a ``trio.run``.
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
        RuleError: there are none, or nothing leads to where one stands, or this was called inside of a ``trio.run``.
    """
    if not table.added:
        raise RuleError(f"no rules were added to the table of {table.name}")
    _Check(table, tuple(sorted(table.added, key=lambda rule: rule.name))).run(examples, seed)


def places_of(rule: Rule, table: Table) -> list[tuple[Row, StateType]]:
    """The steps that the rule judges: from which type, None for no state, to which."""
    return [step for step, cell in table.cells.items() if not isinstance(cell, Closed) and rule in cell]


@final
@define(eq=False)
class _Check:
    """One check of some rules, where they stand in a table."""

    table: Table
    rules: tuple[Rule, ...]
    _panel: Panel = field(init=False)
    _tried: int = field(default=0, init=False)
    _asked: set[Rule] = field(factory=set["Rule"], init=False)
    _fault: RuleFault | None = field(default=None, init=False)
    """The shortest way to something wrong that was found so far."""
    _failed: Trial | None = field(default=None, init=False)
    """The trial that went this way."""
    _first: int = field(default=0, init=False)
    """Which trial was the first to find something."""

    def __attrs_post_init__(self) -> None:
        rules = [(rule, not places_of(rule, self.table)) for rule in self.rules]
        self._panel = Panel([Watch(rule, self.table, astray) for rule, astray in rules])

    def run(self, examples: int, seed: int) -> None:
        """Make the trials; see `check_rule`."""
        if trio.lowlevel.in_trio_run():
            raise RuleError("a check runs Trio for itself: call it from a plain function")
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
        @hypothesis.given(trials(self.table, self._cells(), vocabulary_of(self.rules)))
        def attempt(trial: Trial) -> None:
            self._attempt(trial)

        try:
            attempt()
        except (RuleFault, Flaky):
            self._shorten()
            raise self._worst() from None
        finally:
            self._panel.begin()
        self._check_asked(examples)

    def _cells(self) -> list[tuple[Row, StateType]]:
        astray = any(watch.astray for watch in self._panel.watches)
        open_ = [step for step, cell in self.table.cells.items() if not isinstance(cell, Closed)]
        return open_ if astray else [place for rule in self.rules for place in places_of(rule, self.table)]

    def _attempt(self, trial: Trial) -> None:
        if any(watch.hangs >= _HANGS for watch in self._panel.watches):
            return
        self._tried += 1
        self._panel.begin()
        try:
            with self._panel.telling(trial.birth):
                self._judge(trial)
        except RuleFault as fault:
            self._first = self._first or self._tried
            if self._fault is None or len(fault.transitions) <= len(self._fault.transitions):
                self._fault, self._failed = fault, trial
            raise
        finally:
            self._asked |= {watch.rule for watch in self._panel.watches if watch.answered}

    def _shorten(self) -> None:
        """Leave out what can be left out, as long as it fails."""
        before = None
        while self._failed is not before and self._failed is not None:
            before = self._failed
            for trial in shorter(before):
                with suppress(RuleFault):
                    self._attempt(trial)
                if self._failed is trial:
                    break

    def _judge(self, trial: Trial) -> None:
        table = self._panel.within(self.table)
        judges_tasks = table.name == TASK_RUNS.name
        world = trial.world(task_table=table) if judges_tasks else trial.world(table)
        for move in trial.moves:
            move.do(world)
        check_that_all_can_be_ended(world)
        carry_to_the_end(world, trial.outcome)
        self._panel.end()
        compare_with_store(world)

    def _worst(self) -> RuleFault:
        if self._fault is None:
            raise TrioflowBug("a trial has failed, and nobody knows why")
        self._fault.examples = self._first
        return self._fault.with_traceback(None)

    def _check_asked(self, examples: int) -> None:
        """Nothing was found; but that says nothing about a rule that never gave an answer."""
        for watch in self._panel.watches:
            if watch.rule in self._asked:
                continue
            if watch.misplaced is not None:
                raise self._panel.fault(watch.misplaced)
            steps = ", ".join(
                f"{from_ or 'no state'} → {to}" for from_, to in places_of(watch.rule, self.table)
            )
            raise RuleError(
                f"{watch.rule.name} was never asked in {examples} trials: nothing leads to {steps}"
            )

"""``trioflow check``: the orchestration rules of a file, each tried in hundreds of small worlds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Annotated

from attrs import evolve, frozen
from cyclopts import Parameter
from cyclopts.validators import Number

from trioflow.cli.render import put, tell
from trioflow.cli.rules import largest_tables
from trioflow.core.decisions import Rule
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Closed, Table
from trioflow.engine.entrypoints import load_file, parts_of
from trioflow.errors import EntrypointError, RuleError, RuleFault


def check(
    file: str,
    /,
    *,
    examples: Annotated[int, Parameter(validator=Number(gte=1))] = 200,
    seed: int = 0,
) -> int:
    """Check the orchestration rules that a file defines, where they stand in its tables.

    Each is tried in small worlds (Hypothesis draws them), and must answer from its proposal alone, always, and so that
    every run can end; then all of a table together. A rule that stands in no table of the file is judged by where its
    answers come from.

    Args:
        file: The Python file. It is imported.
        examples: How many trials are made of each rule, at most.
        seed: Which; the same seed makes the same trials.
    """
    path, _ = parts_of(file)
    places = list(_places_in(load_file(path)))
    if not places:
        raise EntrypointError(
            f"there are no rules in {path}: a rule is a function under @rule(), and stands in a table,"
            " FLOW_RUNS.with_rule(...)"
        )
    sound = [_is_sound(place, examples, seed) for place in places]
    if all(sound):
        sound += [_is_sound(table, examples, seed) for table in _shared(places)]
    tell(
        f"Found nothing wrong with {sum(sound)} of {len(places)}, in up to {examples} trials each (seed {seed})"
    )
    return 0 if all(sound) else 1


@frozen
class _Place:
    """A rule, and the table that it stands in; one that stands in none goes with the table that it might be for."""

    rule: Rule
    table: Table
    astray: bool = False

    def __str__(self) -> str:
        return f"{self.rule.name} in {'no table of the file' if self.astray else self.table.name}"


@frozen
class _Shared:
    """A table with several rules of the file, which are sound one by one."""

    table: Table

    def __str__(self) -> str:
        return f"all {len(self.table.added)} together in {self.table.name}"


def _places_in(module: ModuleType) -> Iterator[_Place]:
    values = vars(module).values()
    tables = largest_tables(module)
    for table in tables:
        for rule in sorted(table.added, key=lambda each: each.name):
            yield _Place(rule, table)
    placed = frozenset[Rule]().union(*(table.added for table in tables))
    for rule in dict.fromkeys(value for value in values if isinstance(value, Rule)):
        if rule not in placed and rule.fn.__module__ == module.__name__:
            yield _Place(rule, _table_for(rule), astray=True)


def _table_for(rule: Rule) -> Table:
    code = getattr(rule.fn, "__code__", None)
    return TASK_RUNS if code is not None and "task_run" in code.co_names else FLOW_RUNS


def _shared(places: Iterable[_Place]) -> list[_Shared]:
    tables = {id(place.table): place.table for place in places if not place.astray}
    return [_Shared(table) for table in tables.values() if len(table.added) > 1]


def _alone(rule: Rule, table: Table) -> Table:
    """The table without the other rules that were added to it."""
    others = table.added - {rule}
    cells = {
        step: cell if isinstance(cell, Closed) else tuple(each for each in cell if each not in others)
        for step, cell in table.cells.items()
    }
    return evolve(table, cells=cells, added=table.added & {rule})


def _is_sound(what: _Place | _Shared, examples: int, seed: int) -> bool:
    try:
        from trioflow.testing.rule_check import check_rule, check_table
    except ModuleNotFoundError as error:
        raise RuleError(f"checking needs {error.name}: pip install 'trioflow[testing]'") from error
    try:
        match what:
            case _Place(rule, table):
                check_rule(rule, _alone(rule, table), examples=examples, seed=seed)
            case _Shared(table):
                check_table(table, examples=examples, seed=seed)
    except (RuleFault, RuleError) as error:
        put(f"FAULT  {what}\n{error}")
        return False
    put(f"ok     {what}")
    return True

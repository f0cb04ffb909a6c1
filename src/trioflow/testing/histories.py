"""Histories: what a run has been through, by proposals that the tables have really accepted."""

from __future__ import annotations

from hypothesis import strategies as st

from trioflow.core.runs import Run
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Closed, Table
from trioflow.testing.checking.trials import Trial, trials
from trioflow.testing.checking.vocabulary import Vocabulary
from trioflow.testing.checking.world import FLOW


def histories(table: Table = FLOW_RUNS) -> st.SearchStrategy[tuple[Run, ...]]:
    """One run as it was after each of its transitions, oldest first; empty if none was accepted.

    Versions count up from 1, and whatever else is on the run (attempts, times, pauses, retries) fits its past.

    Args:
        table: of flow runs or of task runs.
    """
    cells = [step for step, cell in table.cells.items() if not isinstance(cell, Closed)]
    return trials(table, cells, Vocabulary()).map(lambda trial: _lived(trial, table))


def _lived(trial: Trial, table: Table) -> tuple[Run, ...]:
    judges_tasks = table.name == TASK_RUNS.name
    world = trial.world(task_table=table) if judges_tasks else trial.world(table)
    for move in trial.moves:
        move.do(world)
    number = 1 if judges_tasks else FLOW
    return tuple(step.run for step in world.steps if step.number == number and step.is_written)

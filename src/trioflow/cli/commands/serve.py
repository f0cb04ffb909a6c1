"""``trioflow serve``: runs the flows of files when they are due, each run in a process of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from attrs import asdict, frozen
from cyclopts import Parameter

from trioflow.cli.rules import tables_of
from trioflow.core.schedules.window import Overlap
from trioflow.core.tables import Tables
from trioflow.deployments.deployment import FlowDeployment
from trioflow.deployments.describe import described
from trioflow.serving.assembly import RunnerOptions
from trioflow.serving.program import once, run_program, until_signalled

FAILURE = 1

Find: TypeAlias = Callable[[], Awaitable[list[FlowDeployment]]]
"""Looks into the files."""


@Parameter(name="*")
@frozen(kw_only=True)
class When:
    """Schedules in place of the deployments' own."""

    interval: float | None = None
    """How often each of them is due, in seconds."""
    cron: str | None = None
    """When each of them is due, as a cron expression."""
    rrule: str | None = None
    """When each of them is due, as an RRULE."""
    timezone: str | None = None
    """Whose clocks that goes by; UTC, unless given."""
    overlap: Overlap | None = None
    """What a run does that is due while an earlier one goes on."""

    @property
    def keywords(self) -> dict[str, Any]:
        """What is given."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@Parameter(name="*")
@frozen(kw_only=True)
class How:
    """What the runner is like."""

    limit: int | None = None
    """How many runs may go on at once."""
    name: str | None = None
    """What the runner is called; as the file, unless given."""
    rules: Path | None = None
    """A file of rules, whose tables judge the runs: ``TABLE = FLOW_RUNS.with_rule(...)``. It is imported here."""
    pause_on_shutdown: Annotated[bool, Parameter(negative="--no-pause-on-shutdown")] = True
    """Pause the schedules while nobody serves them; the next ``serve`` resumes them."""


def serve(
    target: str,
    /,
    *more: str,
    when: When = When(),
    how: How = How(),
    run_once: bool = False,
) -> int:
    """Serve a file's flows until Ctrl-C: plan their schedules, and run each run in a process of its own.

    A file that makes deployments at its top level is served with those; of any other file, every flow is.
    The first Ctrl-C stops claiming and lets runs finish; a second one ends them now.

    Args:
        target: The file, and the name of a flow or deployment in it where not all are meant: ``flows.py:nightly``.
        more: Further files, with names or without.
        when: Schedules in place of the deployments' own.
        how: What the runner is like.
        run_once: Run each of them once, now, and exit 0 if all completed.
    """
    files = _by_file([target, *more])
    runner = how.name or next(iter(files))
    options: RunnerOptions = {
        "limit": how.limit,
        "name": runner,
        "pause_on_shutdown": how.pause_on_shutdown,
    }
    main = _run_once if run_once else _serve
    tables = tables_of(how.rules) if how.rules else Tables()
    return run_program(partial(main, partial(_deployments, files, when.keywords), options, tables))


async def _serve(find: Find, options: RunnerOptions, tables: Tables) -> int:
    await until_signalled(await find(), options, tables, announced=True)
    return 0


async def _run_once(find: Find, options: RunnerOptions, tables: Tables) -> int:
    states = await once(await find(), options, tables)
    return 0 if all(state is not None and state.is_completed for state in states) else FAILURE


async def _deployments(files: Mapping[str, Sequence[str]], when: Mapping[str, Any]) -> list[FlowDeployment]:
    found = [deployment for file, names in files.items() for deployment in await described(file, names)]
    return [deployment.due(**when) for deployment in found] if when else found


def _by_file(targets: Sequence[str]) -> dict[str, list[str]]:
    """The names that are asked for in each file: none where all are meant."""
    files = dict[str, list[str]]()
    for target in targets:
        file, colon, name = target.rpartition(":")
        has_name = colon and not {"/", "\\"} & set(name)
        files.setdefault(file if has_name else target, []).extend([name] if has_name else [])
    return files

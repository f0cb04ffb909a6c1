"""The ``trioflow`` command: its words, its settings, and how it says that something is wrong.

Commands are named by import path and loaded when they are called, so that ``--help`` costs neither Trio nor SQLite.
A command returns its exit code, or None for 0. What the caller can mend is one line on stderr and exit code 2
(bad input) or 1; its traceback is shown under ``--debug`` only.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from attrs import evolve
from cyclopts import App, CycloptsError, Group, Parameter

from trioflow import __version__
from trioflow.cli.render import tell
from trioflow.errors import (
    AmbiguousDeployment,
    AmbiguousRun,
    DeploymentError,
    DeploymentNotFound,
    EntrypointError,
    FlowDefinitionError,
    HomeNotWritable,
    InvalidFilter,
    InvalidSchedule,
    InvalidSetting,
    NotSerializable,
    ParameterError,
    RunNotFound,
    TrioflowBug,
    TrioflowError,
)
from trioflow.interrupts import raise_at_interrupt
from trioflow.settings import Settings, current_settings, use_settings

FAILURE = 1
BAD_INPUT = 2
INTERRUPTED = 130
"""As a shell counts a process that SIGINT ended."""

_BAD_INPUT = (
    AmbiguousDeployment,
    AmbiguousRun,
    DeploymentError,
    DeploymentNotFound,
    EntrypointError,
    FlowDefinitionError,
    HomeNotWritable,
    InvalidFilter,
    InvalidSchedule,
    InvalidSetting,
    NotSerializable,
    ParameterError,
    RunNotFound,
)

app = App(
    name="trioflow",
    help="Durable, supervised workflows on Trio.",
    version=__version__,
    backend="trio",
    default_parameter=Parameter(negative=()),
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
_deployments = App(name="deployment", help="List, inspect, run, pause, resume and delete deployments.")
_flow_runs = App(name="flow-run", help="List, inspect, cancel and rerun flow runs.")
_limits = App(name="limit", help="Limit how many task runs with a tag run at once.")

_COMMANDS = "trioflow.cli.commands"

app.command(f"{_COMMANDS}.run:run", help="Run a flow of a file, and follow it.")
app.command(f"{_COMMANDS}.serve:serve", help="Serve a file's flows: schedules, and a process for each run.")
app.command(_deployments)
app.command(_flow_runs)
app.command(_limits)
app.command(f"{_COMMANDS}.check:check", help="Check the orchestration rules that a file defines.")
app.command(f"{_COMMANDS}.simulate:simulate", help="Go through a year of a file's schedules in seconds.")
app.command(f"{_COMMANDS}.states:states", help="Print what may follow what, and what judges it.")

_deployments.command(
    f"{_COMMANDS}.deployment:list_deployments",
    name="ls",
    help="List deployments, and when they are due next.",
)
_deployments.command(f"{_COMMANDS}.deployment:inspect", help="Show one deployment: what it takes, its runs.")
_deployments.command(f"{_COMMANDS}.deployment_run:run", help="Have a deployment run by whoever serves it.")
_deployments.command(f"{_COMMANDS}.deployment:pause", help="Pause the schedules of a deployment.")
_deployments.command(f"{_COMMANDS}.deployment:resume", help="Resume the schedules of a deployment.")
_deployments.command(f"{_COMMANDS}.deployment:delete", help="Delete a deployment; runs that began stay.")

_flow_runs.command(f"{_COMMANDS}.ls:ls", help="List flow runs, newest first.")
_flow_runs.command(
    f"{_COMMANDS}.inspect:inspect", help="Show one run: its states, its tasks, its last words."
)
_flow_runs.command(f"{_COMMANDS}.logs:logs", help="Print what a run said.")
_flow_runs.command(f"{_COMMANDS}.cancel:cancel", help="Cancel a run, and wait until it is over.")
_flow_runs.command(f"{_COMMANDS}.rerun:rerun", help="Run a run again; what it has recorded is kept.")

_limits.command(
    f"{_COMMANDS}.limits:set_limit", name="set", help="Limit how many task runs with a tag run at once."
)
_limits.command(f"{_COMMANDS}.limits:remove_limit", name="remove", help="Take the limit of a tag away.")
_limits.command(
    f"{_COMMANDS}.limits:list_limits", name="ls", help="List the limits, and how many slots are taken."
)

app.meta.group_parameters = Group("Everywhere", sort_key=100)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    home: Path | None = None,
    debug: bool = False,
) -> int | None:
    """Sets what holds for every command, and calls the one that is named.

    Args:
        tokens: the command and what is meant for it.
        home: Where runs, results and keys are kept, instead of ``$TRIOFLOW_HOME``.
        debug: Show tracebacks, and all that runs say.
    """
    try:
        with use_settings(_settings(home, debug=debug)):
            raise_at_interrupt()
            code: int | None = app(tokens)
            return code
    except Exception as error:
        mendable = _only(error)
        if not isinstance(mendable, TrioflowError) or isinstance(mendable, TrioflowBug):
            raise
        if debug:
            traceback.print_exception(error)
        _complain(mendable)
        return BAD_INPUT if isinstance(mendable, _BAD_INPUT) else FAILURE


def _settings(home: Path | None, *, debug: bool) -> Settings:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        settings = current_settings()
    for warning in caught:
        tell(f"warning: {warning.message}")
    if home is not None:
        settings = evolve(settings, home=home.expanduser().absolute())
    return evolve(settings, debug=True, log_level=min(settings.log_level, 10)) if debug else settings


def _only(error: Exception) -> Exception:
    """What a group of one, of one, is about."""
    match error:
        case ExceptionGroup(exceptions=(Exception() as inner,)):
            return _only(inner)
        case _:
            return error


def _complain(error: Exception) -> None:
    tell("error: " + " ".join(str(error).split()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says (``sys.argv``, unless given); the exit code."""
    try:
        return app.meta(sys.argv[1:] if arguments is None else list(arguments)) or 0
    except CycloptsError as error:
        _complain(error)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has left (`trioflow ... | head`); Python must not complain about it at exit.
        sys.stdout = None
        return FAILURE

"""The end of a followed run: its last line on stderr, its result on stdout, the exit code of the command."""

from __future__ import annotations

import os
import shlex
import sys

from rich.text import Text

from trioflow.cli.following import Outcome
from trioflow.cli.render import console, put, result_text, tell
from trioflow.engine.results import Raised, Returned
from trioflow.errors import NotSerializable
from trioflow.settings import Settings, current_settings
from trioflow.spoken import short_id, spoken_duration, state_style


def conclude(outcome: Outcome, *, quiet: bool) -> int:
    """Tell how the run ended; the exit code.

    It is 0 for COMPLETED only, 130 after Ctrl-C, 143 after SIGTERM, and 1 for every other end.
    """
    state = outcome.state
    if not quiet or not state.is_completed:
        console(sys.stderr).print(_last_words(outcome))
    match state.data:
        case Returned(value) if state.is_completed and value is not None:
            put(result_text(value))
        case Raised(NotSerializable() as error):
            tell(f"error: {error}")
        case _:
            pass
    if state.is_completed:
        return 0
    return 1 if outcome.signal is None else 128 + outcome.signal


def _last_words(outcome: Outcome) -> Text:
    state, progress = outcome.state, outcome.progress
    said = Text.assemble(
        (state.name, f"bold {state_style(state.type)}"), f" after {spoken_duration(outcome.seconds)}"
    )
    if progress.total:
        said.append(f" · {progress.told()}")
    if state.message and not state.is_completed:
        said.append(f"\n{state.message}")
    return said.append(f"\ntrioflow{_home_option()} flow-run inspect {short_id(outcome.run.id)}", "dim")


def _home_option() -> str:
    """What must be said so that the next command finds the same home."""
    home = current_settings().home
    if home == Settings.from_environment(os.environ).home:
        return ""
    return f" --home {shlex.quote(str(home))}"

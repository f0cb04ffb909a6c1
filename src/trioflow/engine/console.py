"""What runs say, on stderr, as long as nobody has set up logging."""

from __future__ import annotations

import logging
import re
import sys
import time
from contextlib import suppress
from typing import Any, final

TOP = logging.getLogger("trioflow")
"""The logger above all of ours."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@final
class LineFormatter(logging.Formatter):
    """``12:00:01.123 | INFO    | Flow run 'brave-otter' - Created flow run``: readable, and safe for a terminal.

    Control characters are shown, not sent: what a run says may come from anywhere.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record as its lines."""
        said = super().format(record)
        if _CONTROL.search(said):
            said = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", said)
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{at}.{int(record.msecs):03} | {record.levelname:7} | {_speaker(record)} - {said}"


def _speaker(record: Any) -> str:
    if hasattr(record, "task_run_name"):
        return f"Task run {record.task_run_name!r}"
    if hasattr(record, "flow_run_name"):
        return f"Flow run {record.flow_run_name!r}"
    return str(record.name)


@final
class ConsoleHandler(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at that moment; silent when there are other handlers."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Shows one record."""
        if logging.root.handlers or TOP.handlers != [self] or sys.stderr is None:
            return
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - arguments that do not fit their message; logging's own rule
            self.handleError(record)
            return
        with suppress(
            OSError, ValueError
        ):  # A pipe that nobody reads, a file that is closed: nobody to tell.
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


_console = ConsoleHandler()


def show_on_console(level: int) -> None:
    """From ``level`` on, runs are heard; a level or handlers that the program gave to our loggers are left alone."""
    if TOP.level in {logging.NOTSET, _console.level}:
        TOP.setLevel(level)
        _console.setLevel(level)
    TOP.addHandler(_console)


def keep_runs_off_console() -> None:
    """From now on runs are not heard here: somebody else shows what they say."""
    _console.addFilter(_is_of_no_run)


def _is_of_no_run(record: logging.LogRecord) -> bool:
    return not hasattr(record, "root_id")

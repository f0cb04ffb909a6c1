"""The ``trioflow`` command, and ``python -m trioflow``.

Imports nothing before it is called but what Python has at hand: the command itself takes a while to import, and whoever
presses Ctrl-C meanwhile sees a process that ends, not where it was.
"""

from __future__ import annotations

import os
import signal
import sys

_INTERRUPTED = 130
"""As a shell counts a process that SIGINT ended."""


def main() -> int:
    """Do what the command line says; the exit code."""
    is_heeded = (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )  # Else it is ignored, and stays so.
    if is_heeded:
        signal.signal(signal.SIGINT, _leave)
    from trioflow.cli.main import main as command

    if is_heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return command()


def _leave(_number: int, _frame: object) -> None:
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())

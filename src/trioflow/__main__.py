"""The ``trioflow`` command, and ``python -m trioflow``.

Imports nothing before it is called but what Python has at hand: the command itself takes a while to import, and whoever
presses Ctrl-C meanwhile sees a process that ends, not where it was.
"""

from __future__ import annotations

import sys

from trioflow.interrupts import leave_at_interrupt


def main() -> int:
    """Do what the command line says; the exit code."""
    leave_at_interrupt()
    from trioflow.cli.main import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())

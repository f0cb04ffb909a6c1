"""Interrupts a scenario at each of its steps, by cancelling, killing and failing, and looks at what it leaves behind.

Knows: how a scenario is run on a store in memory under virtual time, and what must hold of a store afterwards.
May import: everything but the command line.
Never: a clock, a thread or a socket of the real world; judges by what it was told, where it can read what is stored.
"""

from __future__ import annotations

from trioflow.testing.everywhere.audit import audit, audit_at_rest
from trioflow.testing.everywhere.served import Served
from trioflow.testing.everywhere.sweep import (
    Swept,
    cancel_everywhere,
    crash_everywhere,
    fail_store_at_every_call,
)
from trioflow.testing.everywhere.trial import Scenario

__all__ = [
    "Scenario",
    "Served",
    "Swept",
    "audit",
    "audit_at_rest",
    "cancel_everywhere",
    "crash_everywhere",
    "fail_store_at_every_call",
]

"""Faults: stores, clients, clocks and programs that misbehave as they are told to.

Knows: what goes wrong in the world, one thing a name.
May import: everything but the command line.
Never: chance of its own; what goes wrong, and when, is given.
"""

from __future__ import annotations

from trioflow.testing.faults.client import (
    UNHARMED,
    ClientFault,
    ClientPlan,
    FaultyClient,
    at_calls,
    at_each,
    dropped,
    garbled,
    late,
    overtaken,
    refused,
    repeated,
    unanswered,
)
from trioflow.testing.faults.clock import JumpingClock
from trioflow.testing.faults.programs import close_stdout, flood_stdout, fork_and_exit, ignore_sigterm
from trioflow.testing.faults.store import (
    SOUND,
    FaultyStore,
    StoreFault,
    StorePlan,
    fail_call,
    full_after,
    slow,
)

__all__ = [
    "SOUND",
    "UNHARMED",
    "ClientFault",
    "ClientPlan",
    "FaultyClient",
    "FaultyStore",
    "JumpingClock",
    "StoreFault",
    "StorePlan",
    "at_calls",
    "at_each",
    "close_stdout",
    "dropped",
    "fail_call",
    "flood_stdout",
    "fork_and_exit",
    "full_after",
    "garbled",
    "ignore_sigterm",
    "late",
    "overtaken",
    "refused",
    "repeated",
    "slow",
    "unanswered",
]

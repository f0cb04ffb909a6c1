"""Faults: stores, clients, clocks and programs that misbehave as they are told to.

Knows: what goes wrong in the world, one thing a name.
May import: everything but the command line.
Never: chance of its own; what goes wrong, and when, is given.
"""

from __future__ import annotations

from trioflow.testing.faults.store import FaultyStore, StoreFault, StorePlan, fail_call, full_after, slow

__all__ = ["FaultyStore", "StoreFault", "StorePlan", "fail_call", "full_after", "slow"]

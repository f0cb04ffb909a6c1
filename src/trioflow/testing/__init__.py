"""Proves: strategies, checks and machines for whoever writes rules, flows and schedules of their own.

Knows: how runs, proposals and histories are drawn, what every rule must keep, how stores and lifecycles are tried.
May import: everything but the command line; Hypothesis and pytest only here.
Never: is imported by what it proves; holds a second implementation of what it drives.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trioflow.testing.everywhere import cancel_everywhere as cancel_everywhere
    from trioflow.testing.everywhere import crash_everywhere as crash_everywhere
    from trioflow.testing.everywhere import fail_store_at_every_call as fail_store_at_every_call
    from trioflow.testing.lifecycle_machine import LifecycleMachine as LifecycleMachine
    from trioflow.testing.orders import take_order as take_order
    from trioflow.testing.orders import task_orders as task_orders
    from trioflow.testing.rule_check import check_rule as check_rule
    from trioflow.testing.rule_check import check_table as check_table
    from trioflow.testing.rule_machine import RuleMachine as RuleMachine
    from trioflow.testing.simulation.simulate import simulate as simulate
    from trioflow.testing.store_contract import MemoryStoreMachine as MemoryStoreMachine
    from trioflow.testing.store_contract import SqliteStoreMachine as SqliteStoreMachine
    from trioflow.testing.store_contract import StoreMachine as StoreMachine

__all__ = [
    "LifecycleMachine",
    "MemoryStoreMachine",
    "RuleMachine",
    "SqliteStoreMachine",
    "StoreMachine",
    "cancel_everywhere",
    "check_rule",
    "check_table",
    "crash_everywhere",
    "fail_store_at_every_call",
    "simulate",
    "take_order",
    "task_orders",
]

_HOMES = {
    "LifecycleMachine": "lifecycle_machine",
    "MemoryStoreMachine": "store_contract",
    "RuleMachine": "rule_machine",
    "SqliteStoreMachine": "store_contract",
    "StoreMachine": "store_contract",
    "cancel_everywhere": "everywhere",
    "check_rule": "rule_check",
    "check_table": "rule_check",
    "crash_everywhere": "everywhere",
    "fail_store_at_every_call": "everywhere",
    "simulate": "simulation.simulate",
    "take_order": "orders",
    "task_orders": "orders",
}
"""Where each name comes from, at its first use: the pytest plugin is beside them, and is loaded in every pytest."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value

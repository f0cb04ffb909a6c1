"""Proves: strategies, checks and machines for whoever writes rules, flows and schedules of their own.

Knows: how runs, proposals and histories are drawn, what every rule must keep, how stores and lifecycles are tried.
May import: everything but the command line; Hypothesis and pytest only here.
Never: is imported by what it proves; holds a second implementation of what it drives.
"""

from __future__ import annotations

from trioflow.testing.rule_check import check_rule, check_table
from trioflow.testing.rule_machine import RuleMachine

__all__ = ["RuleMachine", "check_rule", "check_table"]

"""Holdings: who holds leases and slots, as the tables have it, and who must, counted from the history alone."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import final

from attrs import define, field, frozen

from trioflow.core.leases import Owner
from trioflow.store.store import Tx
from trioflow.testing.simulation.seen import AT_WORK, Broken, Seen, Step, told
from trioflow.testing.simulation.terms import Terms

_LEASES = "SELECT run_id, host, pid, started, expires FROM leases"
_SLOTS = "SELECT tag, task_run_id FROM slots"
_TAGS = "SELECT tags FROM task_runs WHERE id = ?"
_MAY_KEEP_ONE = frozenset({"SCHEDULED", "SUSPENDED"})
"""A retry is slept out in its process, and who suspends its run is about to leave."""


@frozen
class Held:
    """A lease."""

    owner: Owner
    expires: datetime


@final
@define(eq=False)
class Holdings:
    """See the module."""

    _terms: Terms
    leases: dict[bytes, Held] = field(factory=dict[bytes, Held], init=False)
    """By run, as they were when last looked at."""
    _slots: set[tuple[str, bytes]] = field(factory=set[tuple[str, bytes]], init=False)
    _roots: dict[bytes, Seen] = field(factory=dict[bytes, Seen], init=False)
    """Root runs that are not over."""
    _at_work: set[tuple[str, bytes]] = field(factory=set[tuple[str, bytes]], init=False)
    """Task runs whose code is at work, with each of their limited tags."""
    _tags: dict[bytes, frozenset[str]] = field(factory=dict[bytes, frozenset[str]], init=False)
    """The limited tags of task runs that began."""

    # --- what must be

    def entered(self, tx: Tx, step: Step, seen: Seen) -> None:
        """A run has taken a step, and is this now."""
        if seen.is_flow_run:
            if seen.is_root:
                self._roots[step.run_id] = seen
            if seen.is_over:
                self._roots.pop(step.run_id, None)
            return
        if not self._terms.limits or seen.is_mirror:
            return
        slots = {(tag, step.run_id) for tag in self._limited_tags(tx, step.run_id)}
        if step.type in AT_WORK:
            self._at_work |= slots
        else:
            self._at_work -= slots

    def _limited_tags(self, tx: Tx, run_id: bytes) -> frozenset[str]:
        if run_id not in self._tags:
            ((text,),) = tx.execute(_TAGS, (run_id,))
            self._tags[run_id] = frozenset(json.loads(text) if text else ()) & self._terms.limits.keys()
        return self._tags[run_id]

    # --- what is

    def look(self, tx: Tx) -> None:
        """Read what the tables say."""
        self.leases = {
            run_id: Held(Owner(host=host, pid=pid, started=started), datetime.fromisoformat(expires))
            for run_id, host, pid, started, expires in tx.execute(_LEASES)
        }
        self._slots = set(tx.execute(_SLOTS)) if self._terms.limits else set()

    def check(self) -> None:
        """Compare the two.

        Raises:
            Broken: they are not the same, or are too many.
        """
        self._check_leases()
        self._check_hands()
        self._check_slots()

    def _check_leases(self) -> None:
        for run_id, seen in self._roots.items():
            if seen.is_active and run_id not in self.leases:
                raise Broken(f"{told(run_id)} is {seen.type} and has no lease")
        for run_id in self.leases:
            root = self._roots.get(run_id)
            if root is None:
                raise Broken(f"{told(run_id)} is over and has a lease")
            if not (root.is_active or root.type in _MAY_KEEP_ONE):
                raise Broken(f"{told(run_id)} is {root.type} and has a lease")

    def _check_hands(self) -> None:
        for owner, count in Counter(held.owner for held in self.leases.values()).items():
            if count > self._terms.runner_limit:
                raise Broken(
                    f"process {owner.pid} on {owner.host} has {count} runs in hand, and {self._terms.runner_limit} "
                    "are the most"
                )

    def _check_slots(self) -> None:
        for tag, run_id in self._at_work ^ self._slots:
            holds = "holds a slot of" if (tag, run_id) in self._slots else "is at work without a slot of"
            raise Broken(f"task {told(run_id)} {holds} {tag!r}")
        for tag, count in Counter(tag for tag, _ in self._at_work).items():
            if count > self._terms.limits[tag]:
                raise Broken(
                    f"{count} tasks of {tag!r} are at work, and {self._terms.limits[tag]} are the most"
                )

"""Both stores keep the contract, and the machine notices when one does not."""

from __future__ import annotations

import pytest
import trio
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from trioflow.errors import TrioflowBug
from trioflow.store.store import Durability, Store
from trioflow.testing import MemoryStoreMachine, SqliteStoreMachine, StoreMachine
from trioflow.testing.store_contract import Refused

QUICK = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
FINDING = settings(QUICK, max_examples=200, database=None, derandomize=True, phases=[Phase.generate])


@pytest.mark.parametrize("machine", [MemoryStoreMachine, SqliteStoreMachine])
def test_a_store_of_ours_keeps_the_contract(machine: type[StoreMachine]):
    run_state_machine_as_test(machine, settings=QUICK)


class Wrapped(Store):
    """A store that does as the one inside it."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    async def transact(self, fn, *, durability=Durability.SYNCED):
        return await self.inner.transact(fn, durability=durability)

    async def coalesce(self, judge, item, *, durability=Durability.SYNCED):
        return await self.inner.coalesce(judge, item, durability=durability)

    async def read(self, fn):
        return await self.inner.read(fn)

    async def wait_for_change(self, after):
        return await self.inner.wait_for_change(after)

    def last_change(self):
        return self.inner.last_change()

    def every(self, seconds, fn, *, durability=Durability.RELAXED):
        return self.inner.every(seconds, fn, durability=durability)

    async def aclose(self):
        await self.inner.aclose()


class Forgets(Wrapped):
    """What was answered as relaxed is not written."""

    async def transact(self, fn, *, durability=Durability.SYNCED):
        answers = []

        def undone(tx):
            answers.append(fn(tx))
            raise Refused

        if durability is Durability.SYNCED:
            return await super().transact(fn)
        with pytest.raises(Refused):
            await super().transact(undone)
        return answers[0]


class AddsSomething(Wrapped):
    """It writes what nobody has asked for."""

    async def transact(self, fn, *, durability=Durability.SYNCED):
        def more(tx):
            tx.execute("INSERT OR IGNORE INTO ledger (name) VALUES ('nobody')")
            return fn(tx)

        return await super().transact(more, durability=durability)


class KeepsFailures(Wrapped):
    """What a function wrote before it raised stays."""

    async def transact(self, fn, *, durability=Durability.SYNCED):
        def kept(tx):
            try:
                return fn(tx)
            except Refused as error:
                return error

        answer = await super().transact(kept, durability=durability)
        if isinstance(answer, Refused):
            raise answer
        return answer


class Deaf(Wrapped):
    """It has not heard of the newest change."""

    def last_change(self):
        return max(0, super().last_change() - 1)


class IgnoresCancels(Wrapped):
    """A call that was cancelled takes effect."""

    async def transact(self, fn, *, durability=Durability.SYNCED):
        with trio.CancelScope(shield=True):
            answer = await super().transact(fn, durability=durability)
        await trio.lowlevel.checkpoint_if_cancelled()
        return answer


@pytest.mark.parametrize("spoilt", [Forgets, AddsSomething, KeepsFailures, Deaf, IgnoresCancels])
def test_a_store_that_breaks_the_contract_is_noticed(spoilt: type[Wrapped]):
    class Spoilt(MemoryStoreMachine):
        async def open_store(self):
            return spoilt(await super().open_store())

    with pytest.raises(AssertionError):
        run_state_machine_as_test(Spoilt, settings=FINDING)


def test_a_machine_without_a_store_says_so():
    with pytest.raises(TrioflowBug, match="StoreMachine does not say which store it is for"):
        run_state_machine_as_test(StoreMachine, settings=FINDING)

"""The Store: runs one synchronous function in one transaction. What every database of ours can do, and no more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from trioflow.store.periodic import Periodic

Item = TypeVar("Item")
Result = TypeVar("Result")
R = TypeVar("R")

Row: TypeAlias = tuple[Any, ...]


class Durability(Enum):
    """What an answer promises about a power cut. A crash of the process alone never undoes either."""

    SYNCED = auto()
    """Nobody is answered before it is on the disk."""

    RELAXED = auto()
    """A power cut may undo it, together with everything after it; nothing that was answered as SYNCED."""


class Tx(Protocol):
    """One open transaction. Valid only inside the function that it was given to."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """All rows of one statement, whose ``?`` are bound to ``parameters``.

        Raises:
            ConstraintViolated: a row would break the schema; this statement changed nothing.
            StoreError: the database cannot do it.
        """
        ...

    def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Runs one statement for each of ``rows``, in order; raises as `execute` does."""
        ...

    def require_sync(self) -> None:
        """Nobody of this batch is answered before it is on the disk, whatever durability was asked for."""
        ...

    def take_numbers(self, count: int) -> int:
        """The first of ``count`` (at least 1) fresh change numbers in a row. The commit wakes who waits for them."""
        ...


Judge: TypeAlias = Callable[[Tx, Sequence[Item]], Sequence[Result]]
"""Takes effect for all the items, in order, and returns one result for each. Judges are the same if they are equal."""


class Store(ABC):
    """Remembers. Belongs to the ``trio.run`` that opened it.

    Effects happen in the order of arrival. Each of `transact` and `coalesce` can be cancelled until the writer
    comes round to it; from then on it waits for the answer. Each function takes effect once or not at all, but may
    be run more than once: whatever it does beside the transaction, it may do again.
    """

    @abstractmethod
    async def transact(self, fn: Callable[[Tx], R], *, durability: Durability = Durability.SYNCED) -> R:
        """What ``fn`` returned, after its transaction was committed.

        Raises:
            StoreError: the database cannot do it; nothing has changed.
            Exception: what ``fn`` raised; what it had written is undone, and nobody else's.
        """

    @abstractmethod
    async def coalesce(
        self, judge: Judge[Item, Result], item: Item, *, durability: Durability = Durability.SYNCED
    ) -> Result:
        """What ``judge`` answered for ``item``, after its transaction was committed.

        Neighbours that wait for the same judge are given to it as one list. If it raises, they are judged singly, so
        that one's fault is its own.

        Raises:
            StoreError: the database cannot do it; nothing has changed.
            Exception: what ``judge`` raised about this item.
        """

    @abstractmethod
    async def read(self, fn: Callable[[Tx], R]) -> R:
        """What ``fn`` returned, looking at one consistent snapshot. Never waits for those who write.

        It sees everything that was answered before it began.

        Raises:
            ReadOnlyTransaction: ``fn`` tried to write.
            StoreError: the database cannot do it.
            Exception: what ``fn`` raised.
        """

    @abstractmethod
    async def wait_for_change(self, after: int) -> int:
        """The newest change number, as soon as it is greater than ``after``, whichever process committed it.

        Raises:
            StoreClosed: the store was closed while this waited.
        """

    @abstractmethod
    def last_change(self) -> int:
        """The newest change number that this process has heard of."""

    @abstractmethod
    def every(
        self, seconds: float, fn: Callable[[Tx], object], *, durability: Durability = Durability.RELAXED
    ) -> Periodic:
        """Has the writer run ``fn`` in a transaction each ``seconds``, also while the event loop is blocked.

        If ``fn`` raises, that is logged, and it is run again when its time comes. The first time is after ``seconds``.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Answers everything that waits, then closes. Never raises; closing twice does nothing."""

"""Our edge: what a nursery of ours does to exceptions is undone before they reach anybody else's code."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import final

import trio
from attrs import define, field


@final
@define(eq=False)
class own_nursery:  # noqa: N801 - used as trio.open_nursery is
    """A nursery that raises a single exception as itself; a group only where several failed."""

    _manager: AbstractAsyncContextManager[trio.Nursery, bool | None] = field(
        factory=trio.open_nursery, init=False
    )

    async def __aenter__(self) -> trio.Nursery:
        return await self._manager.__aenter__()

    async def __aexit__(self, *raised: object) -> bool | None:
        try:
            return await self._manager.__aexit__(*raised)  # type: ignore[arg-type]
        except BaseExceptionGroup as group:
            error = itself(group)
        context = error.__context__
        try:
            raise error
        finally:
            error.__context__ = context  # `raise` would put the group there that was just taken off.
            del error


def itself(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception that a nursery wrapped; the group, where there are several. Many cancellations are one."""
    if len(group.exceptions) == 1:
        return group.exceptions[0]
    cancelled, others = group.split(trio.Cancelled)
    if cancelled is not None and others is None:
        return cancelled.exceptions[0]
    return group

"""``trioflow limit``: how many task runs with a tag may run at once."""

from __future__ import annotations

from typing import Annotated

import trio
from cyclopts import Parameter
from cyclopts.validators import Number

from trioflow.cli.reading import home_exists
from trioflow.cli.render import as_json, print_table, put, tell
from trioflow.client.connect import current_client
from trioflow.wire.converter import to_builtins
from trioflow.wire.endpoints import FIND_CONCURRENCY_LIMITS, SET_CONCURRENCY_LIMIT
from trioflow.wire.replies import ConcurrencyLimit
from trioflow.wire.requests import FindConcurrencyLimits, SetConcurrencyLimit


async def set_limit(tag: str, at_most: Annotated[int, Parameter(validator=Number(gte=0))], /) -> None:
    """Limit how many task runs with a tag run at once. What runs already goes on.

    Args:
        tag: The tag.
        at_most: How many; 0 forbids them all.
    """
    client = await current_client()
    await client.call(SET_CONCURRENCY_LIMIT, SetConcurrencyLimit(tag=tag, limit=at_most))
    put(f"At most {at_most} at once with tag {tag!r}")


async def remove_limit(tag: str, /) -> int:
    """Take the limit of a tag away.

    Args:
        tag: The tag.
    """
    if tag not in {each.tag for each in await _limits()}:
        tell(f"error: there is no limit on tag {tag!r}: `trioflow limit ls` lists them")
        return 1
    client = await current_client()
    await client.call(SET_CONCURRENCY_LIMIT, SetConcurrencyLimit(tag=tag, limit=None))
    put(f"No limit with tag {tag!r}")
    return 0


async def list_limits(*, as_data: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """List the tags that have a limit, with how many task runs hold a slot of it.

    Args:
        as_data: As JSON.
    """
    found = await _limits()
    if as_data:
        put(as_json(to_builtins(found)))
    elif found:
        print_table(("TAG", "LIMIT", "IN USE"), [(one.tag, str(one.limit), str(one.in_use)) for one in found])
    else:
        tell("No tag has a limit.")


async def _limits() -> tuple[ConcurrencyLimit, ...]:
    await trio.lowlevel.checkpoint()
    if not home_exists():
        return ()
    client = await current_client()
    return (await client.call(FIND_CONCURRENCY_LIMITS, FindConcurrencyLimits())).limits

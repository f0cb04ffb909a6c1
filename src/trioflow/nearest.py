"""What to say to a name that nothing has: the nearest one, where one is near, or else what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_NEAR = 0.6
"""How much of two names is the same, at least, where one of them may be a slip; as `difflib` counts."""
_MOST_SAID = 5


def nearest(asked: str, known: Iterable[str]) -> str | None:
    """The name that is nearest, however it is capitalised; None if none is near."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(asked.casefold(), folded, n=1, cutoff=_NEAR)
    return folded[near[0]] if near else None


def there_is(names: Sequence[str]) -> str:
    """``there is audit, nightly and 3 more``."""
    more = len(names) - _MOST_SAID
    said = ", ".join(names[:_MOST_SAID])
    return f"there is {said} and {more} more" if more > 0 else f"there is {said}"

"""Loading: while a script is loaded for the flows in it, calls of them do nothing."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_is_loading: ContextVar[bool] = ContextVar("trioflow script loading", default=False)


class TookTooLong(BaseException):
    """Loading took longer than so many seconds. Raised into the file's own code, whose errors are `Exception`s."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@contextmanager
def block_code_execution() -> Generator[None]:
    """Within the block, no flow that is called is run."""
    before = _is_loading.set(True)
    try:
        yield
    finally:
        _is_loading.reset(before)


def is_blocked(flow_name: str) -> bool:
    """Whether a flow that is being called is not to run; warns, if so."""
    return _is_blocked(
        f"flow {flow_name!r} will not be executed. "
        'Call it under `if __name__ == "__main__":`, so that only the script itself does.'
    )


def is_serving_blocked() -> bool:
    """Whether nothing is to be served, since a script is only being loaded here; warns, if so."""
    return _is_blocked('nothing will be served. Call serve under `if __name__ == "__main__":`.')


def _is_blocked(told: str) -> bool:
    if _is_loading.get():
        warnings.warn(f"Script loading is in progress, {told}", stacklevel=4)
    return _is_loading.get()

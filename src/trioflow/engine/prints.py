"""``print``, handed to whoever wants its text. `builtins.print` is ours only while somebody does."""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, final

Taker = Callable[[str], object]

_taker: ContextVar[Taker | None] = ContextVar("trioflow print taker", default=None)


def prints_are_captured() -> bool:
    """Whether what this code prints is handed to somebody."""
    return _taker.get() is not None


@final
class captured_prints:  # noqa: N801 - it reads as a statement: `with captured_prints(logger.info):`
    """Within the block, and in what is started from it, ``print`` calls ``taker`` with its text; with None, it prints.

    Elsewhere, and into other files than the standard ones, it prints as ever.
    """

    __slots__ = ("_before", "_taker")

    def __init__(self, taker: Taker | None) -> None:
        self._taker = taker

    def __enter__(self) -> None:
        self._before: Token[Taker | None] = _taker.set(self._taker)
        if self._taker is not None:
            _patch.begin()

    def __exit__(self, *_: object) -> None:
        if self._taker is not None:
            _patch.end()
        _taker.reset(self._before)


@final
class _Patch:
    """``users`` blocks need the patch; while it is ``installed``, ``original`` is what stood there before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.installed = False
        self.original: Callable[..., None] = builtins.print

    def begin(self) -> None:
        with self.lock:
            self.users += 1
            if not self.installed:
                self.original, builtins.print = builtins.print, _print
                self.installed = True

    def end(self) -> None:
        with self.lock:
            self.users -= 1
            # When somebody has put a print of their own above ours, and calls it, ours stays for good.
            if self.users == 0 and builtins.print is _print:
                builtins.print = self.original
                self.installed = False


_patch = _Patch()


def _print(*values: object, sep: str | None = " ", file: Any = None, **how: Any) -> None:
    taker = _taker.get()
    if taker is None or not (file is None or file is sys.stdout or file is sys.stderr):
        _patch.original(*values, sep=sep, file=file, **how)
        return
    before = _taker.set(None)  # A taker, or a log handler below it, may print.
    try:
        taker((" " if sep is None else sep).join(map(str, values)))
    finally:
        _taker.reset(before)

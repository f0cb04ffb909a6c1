"""Settings: one frozen value, read once from the ``TRIOFLOW_`` variables of the environment.

Whoever needs a setting asks `current_settings`; tests and simulations put their own in place with `use_settings`.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from attrs import Attribute, field, fields, frozen

from trioflow.errors import InvalidSetting

PREFIX = "TRIOFLOW_"
MOST_GRACE_SECONDS = 18.0
"""What `trioflow.core.leases.check_grace` allows."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def _setting(
    default: Any, read: Callable[[str], Any], mend: str, holds: Callable[[Any], bool] | None = None
) -> Any:
    """A field of `Settings`.

    Args:
        default: its value when the environment says nothing; or a function that gives it.
        read: its value from a variable's text; raises ValueError.
        mend: what it may be.
        holds: whether a value may stand.
    """

    def check(_: object, attribute: Attribute[Any], value: Any) -> None:
        if holds is not None and not holds(value):
            raise _refused(attribute.name, value, mend)

    given: dict[str, Any] = {"factory": default} if callable(default) else {"default": default}
    return field(**given, validator=check, metadata={"read": read, "mend": mend})


def _refused(name: str, value: object, mend: str) -> InvalidSetting:
    return InvalidSetting(f"{variable(name)} cannot be {value!r}: give {mend}")


def _home() -> Path:
    import platformdirs

    return platformdirs.user_data_path("trioflow", appauthor=False)


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _switch(text: str) -> bool:
    match text.lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
        case _:
            raise ValueError(text)


def _level(text: str) -> int:
    if text.isdecimal():
        return int(text)
    return {name.lower(): level for name, level in logging.getLevelNamesMapping().items()}[text.lower()]


def _url(text: str) -> str:
    return text.rstrip("/")


def _is_positive(seconds: float) -> bool:
    return 0 < seconds < float("inf")


def _is_grace(seconds: float) -> bool:
    return 0 <= seconds <= MOST_GRACE_SECONDS


_SWITCH = "true or false"


@frozen(kw_only=True)
class Settings:
    """What can be set. Each field is the variable of its name: ``log_level`` is ``TRIOFLOW_LOG_LEVEL``.

    Raises:
        InvalidSetting: a value that cannot be; names the variable, the value, and what it may be.
    """

    home: Path = _setting(_home, _path, "a directory", Path.is_absolute)
    """Where everything is kept that must outlive a process."""
    log_level: int = _setting(logging.INFO, _level, "DEBUG, INFO, WARNING, ERROR, CRITICAL or a number")
    """The lowest level of what runs say that is shown and stored."""
    log_prints: bool = _setting(False, _switch, _SWITCH)
    """Whether ``print`` in a run is a line of its log, where neither its flow nor its task says so."""
    debug: bool = _setting(False, _switch, _SWITCH)
    """Whether runs tell more of themselves: calls with their arguments, states in full."""
    ui_url: str | None = _setting(None, _url, "the address of the user interface")
    """Where the user interface is; without a slash at the end."""
    grace_seconds: float = _setting(10.0, float, f"seconds from 0 to {MOST_GRACE_SECONDS:g}", _is_grace)
    """How long a run that is being cancelled has for its clean-up."""
    hook_seconds: float = _setting(60.0, float, "seconds above 0", _is_positive)
    """How long one hook may take."""

    @property
    def database(self) -> Path:
        """The file of the embedded store."""
        return self.home / "trioflow.db"

    @property
    def results(self) -> Path:
        """The directory of results that are too large for a row."""
        return self.home / "results"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that these variables make; an empty one says nothing.

        Warns:
            UserWarning: a variable begins with ``TRIOFLOW_`` and is no setting.

        Raises:
            InvalidSetting: a variable has a value that it cannot have.
        """
        known = {variable(setting.name): setting for setting in fields(cls)}
        for name in environment:
            if name.startswith(PREFIX) and name not in known:
                warnings.warn(_unknown(name, list(known)), stacklevel=2)
        given = {
            setting.name: _read(setting, text)
            for name, setting in known.items()
            if (text := environment.get(name))
        }
        return cls(**given)


def _read(setting: Attribute[Any], text: str) -> Any:
    try:
        return setting.metadata["read"](text)
    except (ValueError, KeyError) as error:
        raise _refused(setting.name, text, setting.metadata["mend"]) from error


def _unknown(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0)
    return f"{name} is set, but there is no such setting; the nearest is {near[0]}"


_used: ContextVar[Settings | None] = ContextVar("trioflow_settings", default=None)


@cache
def _of_this_process() -> Settings:
    return Settings.from_environment(os.environ)


def current_settings() -> Settings:
    """The settings that hold here: those in use, or else the environment's, as it was at the first call."""
    return _used.get() or _of_this_process()


@contextmanager
def use_settings(settings: Settings) -> Iterator[Settings]:
    """Within the block, and in all tasks and threads that Trio starts from it, these are the current settings."""
    before = _used.get()
    _used.set(settings)
    try:
        yield settings
    finally:
        # Not `reset(token)`: a fixture may be left in another context than it was entered in.
        _used.set(before)

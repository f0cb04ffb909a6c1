"""Keys and names that must come out the same in every process: pure functions of what they name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

ADJECTIVES = (
    "able amber ample ashen azure bold brave brisk bronze calm candid clever copper coral cosmic crisp "
    "daring deft dusky eager early fair fearless fleet fluent frank gentle gilded glad golden grand green "
    "hardy hazel honest humble ivory jolly keen kind lively loyal lucid mellow merry mighty nimble noble "
    "olive patient placid plucky proud quick quiet rapid robust rustic sage silver steady sunny tidy witty"
)
ANIMALS = (
    "badger bear beaver bison bobcat buzzard camel caribou condor cougar coyote crane cricket curlew dingo "
    "dolphin dove eagle egret elk falcon ferret finch fox gecko gibbon gopher grouse hare hawk heron "
    "ibex jackal jay kestrel kiwi lark lemur lion llama lynx magpie marmot marten mole moose newt ocelot "
    "orca otter owl panda petrel puffin quail raven robin seal shrew stoat swift tapir walrus wren"
)
FIRST, SECOND = ADJECTIVES.split(), ANIMALS.split()


def task_key(fn: Callable[..., Any]) -> str:
    """The name that a task is known by in every process: ``module.qualified_name`` of its function.

    A function of the script that is being run has the script's name for its module, which is what importing that
    file gives it: a script and a served process agree.
    """
    while isinstance(fn, partial):
        fn = fn.func
    named = fn if hasattr(fn, "__qualname__") else type(fn)
    return f"{_module(fn, named)}.{named.__qualname__}"


def _module(fn: Callable[..., Any], named: Any) -> str:
    code = getattr(fn, "__code__", None)
    if named.__module__ == "__main__" and code is not None:
        return str(code.co_filename).replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    return str(named.__module__)


def default_flow_name(function_name: str) -> str:
    """What a flow is called that was given no name: its function's, with dashes (FL-27)."""
    return "unknown-lambda" if function_name == "<lambda>" else function_name.replace("_", "-")


def run_name(draw: int) -> str:
    """A readable name for a run, such as ``brave-otter``; equal draws give equal names.

    Args:
        draw: any integer; there are 4,096 names.
    """
    rest, second = divmod(draw, len(SECOND))
    return f"{FIRST[rest % len(FIRST)]}-{SECOND[second]}"


def drawn_run_name(draw: float) -> str:
    """The readable name that a number from [0, 1) stands for; all of them are as likely."""
    return run_name(int(draw * len(FIRST) * len(SECOND)))


def task_run_name(task_name: str, dynamic_key: str) -> str:
    """What a task run is called that was given no name: the task's, and which call of it this is (TA-09)."""
    return f"{task_name}-{dynamic_key}"


def cache_key(*parts: bytes) -> str:
    """A key that is equal for equal parts, and for no others: the hex digest over each part with its length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()

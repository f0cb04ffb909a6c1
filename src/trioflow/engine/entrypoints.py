"""Entry points: ``path/to/file.py:function``, by which another process finds a flow.

Loading runs the file as an import would: its directory can be imported from, and its module is called as the file is,
so that its tasks have the same keys as in a process that runs it as a script.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from trioflow.engine.loading import TookTooLong, block_code_execution
from trioflow.engine.results import message_of
from trioflow.errors import EntrypointError
from trioflow.nearest import nearest, there_is

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow

_loaded: dict[str, ModuleType] = {}
"""Modules that were loaded here, by name: they may give way to another file of that name, others may not."""


def entrypoint_of(fn: Callable[..., Any]) -> str | None:
    """Where another process finds this function; None when it cannot: a lambda, a method, one from the prompt."""
    fn = inspect.unwrap(fn)
    code = getattr(fn, "__code__", None)
    if code is None or not fn.__qualname__.isidentifier():
        return None
    path = Path(code.co_filename)
    return f"{path.absolute()}:{fn.__name__}" if path.suffix == ".py" and path.is_file() else None


def load_flow(entrypoint: str) -> Flow[..., Any]:
    """The flow at ``path/to/file.py:name``; at ``path/to/file.py``, the only one there.

    Raises:
        EntrypointError: there is no such file, it cannot be imported, or the flow in it cannot be told.
    """
    path, name = parts_of(entrypoint)
    module = load_file(path)
    flows = flows_of(module)
    if name is None:
        return _only(flows, module, path)
    return flows.get(name) or _made_of(flows, module, path, name)


def parts_of(entrypoint: str) -> tuple[Path, str | None]:
    """The file, which is there, and the name in it, if one is said.

    Raises:
        EntrypointError: there is no such Python file.
    """
    head, colon, tail = entrypoint.rpartition(":")
    has_name = bool(head and colon) and not {"/", "\\"} & set(tail)
    path = Path(head if has_name else entrypoint).expanduser().absolute()
    if path.suffix != ".py" or path.is_dir():
        raise EntrypointError(f"{path} is no Python file: an entry point is path/to/file.py:function")
    if not path.is_file():
        raise EntrypointError(f"there is no file {path}: an entry point is path/to/file.py:function")
    return path, tail if has_name else None


# --- files


def load_file(path: Path) -> ModuleType:
    """The module of a Python file; one that is imported already is not run again.

    Raises:
        EntrypointError: it cannot be imported.
    """
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and _is_of(known, path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise EntrypointError(f"{path} is nothing that Python can import")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = importlib.util.module_from_spec(spec)
    if known is None or known is _loaded.get(name):
        sys.modules[name] = _loaded[name] = module
    try:
        with block_code_execution():
            spec.loader.exec_module(module)
    except (Exception, SystemExit, TookTooLong) as error:
        if _loaded.get(name) is module:
            del sys.modules[name], _loaded[name]
        raise EntrypointError(_told(error, path)) from error
    return module


def _is_of(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).absolute() == path


def _told(error: BaseException, path: Path) -> str:
    match error:
        case SyntaxError(lineno=int(line), msg=why):
            return f"{error.filename or path}, line {line}: {why}"
        case SystemExit(code=code):
            return (
                f"importing {path} called sys.exit({code!r}): "
                'put what the script does under `if __name__ == "__main__":`'
            )
        case TookTooLong(seconds=seconds):
            return f"{_where(error, path)}: importing it took longer than {seconds:g} seconds"
        case _:
            what = f"{type(error).__name__}: {message_of(error)}"
            return f"{_where(error, path)}: importing it raised {what}"


def _where(error: BaseException, path: Path) -> str:
    """The line of the file that it had come to."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else f"{path}"


# --- flows in them


def flows_of(module: ModuleType) -> dict[str, Flow[..., Any]]:
    """The flows that a module names, imported ones too."""
    from trioflow.engine.flows import Flow

    return {name: value for name, value in vars(module).items() if isinstance(value, Flow)}


def defined_flows(flows: dict[str, Flow[..., Any]], module: ModuleType) -> dict[str, Flow[..., Any]]:
    """Of a module's flows those that it does not import from elsewhere; if it has no other, all."""
    return {name: flow for name, flow in flows.items() if flow.fn.__module__ == module.__name__} or flows


def _only(flows: dict[str, Flow[..., Any]], module: ModuleType, path: Path) -> Flow[..., Any]:
    """The only flow; of several, the only one that is not imported from elsewhere."""
    defined = defined_flows(flows, module)
    match list({id(flow): flow for flow in defined.values()}.values()):
        case []:
            raise EntrypointError(f"there is no flow in {path}: decorate a function with @flow")
        case [only]:
            return only
        case _:
            raise EntrypointError(
                f"there are several flows in {path}: say {path.name}:{f' or {path.name}:'.join(defined)}"
            )


def _made_of(flows: dict[str, Flow[..., Any]], module: ModuleType, path: Path, name: str) -> Flow[..., Any]:
    """The flow that was made of the function of that name, and is itself called otherwise."""
    named = getattr(module, name, None)
    made = [flow for flow in flows.values() if named is not None and inspect.unwrap(flow.fn) is named]
    if made:
        return made[0]
    if named is not None:
        raise EntrypointError(
            f"{name} in {path} is no flow but a {type(named).__name__}: decorate it with @flow"
        )
    raise EntrypointError(f"there is no {name} in {path}: {_mend(name, flows, path)}")


def _mend(name: str, flows: Iterable[str], path: Path) -> str:
    if (near := nearest(name, flows)) is not None:
        return f"did you mean {path.name}:{near}?"
    known = [f"{path.name}:{flow}" for flow in flows]
    return there_is(known) if known else "decorate a function with @flow"

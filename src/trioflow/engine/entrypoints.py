"""Entry points: ``path/to/file.py:function``, by which another process finds a flow.

Loading runs the file as an import would: its directory can be imported from, and its module is called as the file is,
so that its tasks have the same keys as in a process that runs it as a script.
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from trioflow.engine.loading import block_code_execution
from trioflow.engine.results import message_of
from trioflow.errors import EntrypointError

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
    path, name = _parts(entrypoint)
    module = _module(path)
    flows = _flows(module)
    if name is None:
        return _only(flows, module, path)
    return flows.get(name) or _made_of(flows, module, path, name)


def _parts(entrypoint: str) -> tuple[Path, str | None]:
    head, colon, tail = entrypoint.rpartition(":")
    has_name = bool(head and colon) and not {"/", "\\"} & set(tail)
    path = Path(head if has_name else entrypoint).expanduser().absolute()
    if path.suffix != ".py" or path.is_dir():
        raise EntrypointError(f"{path} is no Python file: an entry point is path/to/file.py:function")
    if not path.is_file():
        raise EntrypointError(f"there is no file {path}: an entry point is path/to/file.py:function")
    return path, tail if has_name else None


# --- files


def _module(path: Path) -> ModuleType:
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
    except (Exception, SystemExit) as error:
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
        case _:
            lines = [
                frame.lineno
                for frame in traceback.extract_tb(error.__traceback__)
                if frame.filename == str(path)
            ]
            where = f"{path}, line {lines[-1]}" if lines else f"{path}"
            return f"{where}: importing it raised {type(error).__name__}: {message_of(error)}"


# --- flows in them


def _flows(module: ModuleType) -> dict[str, Flow[..., Any]]:
    from trioflow.engine.flows import Flow

    return {name: value for name, value in vars(module).items() if isinstance(value, Flow)}


def _only(flows: dict[str, Flow[..., Any]], module: ModuleType, path: Path) -> Flow[..., Any]:
    """The only flow; of several, the only one that is not imported from elsewhere."""
    defined = {name: flow for name, flow in flows.items() if flow.fn.__module__ == module.__name__} or flows
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
    near = difflib.get_close_matches(name, flows, n=1, cutoff=0)
    mend = f"did you mean {path.name}:{near[0]}?" if near else "decorate a function with @flow"
    raise EntrypointError(f"there is no {name} in {path}: {mend}")

"""The deployments of a file: those that it makes at its top level, or else one for each of its flows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attrs import frozen

from trioflow.deployments.deployment import FlowDeployment
from trioflow.engine.entrypoints import defined_flows, flows_of, load_file, parts_of
from trioflow.engine.options import function_name
from trioflow.errors import DeploymentError, EntrypointError
from trioflow.nearest import nearest, there_is

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow


@frozen
class _Candidate:
    """A deployment, and what one may call it."""

    deployment: FlowDeployment
    names: frozenset[str]

    @classmethod
    def called(cls, deployment: FlowDeployment, *names: str) -> _Candidate:
        """By these names, and by those that it says itself."""
        function = deployment.entrypoint.rpartition(":")[2]
        return cls(deployment, frozenset({*names, deployment.full_name, deployment.flow_name, function}))


def deployments_in(file: str, names: Sequence[str] = ()) -> list[FlowDeployment]:
    """The deployments of a file, or those of them that are named; the file is run as an import would.

    Args:
        file: its path; ``path.py:name`` is one name more.
        names: of a deployment, alone or after its flow's, or of a flow, or of its function. A flow may be named
            although the file makes deployments of others only.

    Raises:
        DeploymentError: two of them have the same name.
        EntrypointError: there is no such file, it cannot be imported, or there is nothing of that name in it.
    """
    path, name = _split(file)
    module = load_file(path)
    made, flows = _made_in(module), flows_of(module)
    if not (made or flows):
        raise EntrypointError(f"there is no flow in {path}: decorate a function with @flow")
    wanted = [name, *names] if name else names
    if not wanted:
        return _distinct(made or _of(defined_flows(flows, module), path))
    return _distinct(found for name in wanted for found in _named(name, made, _of(flows, path), path))


def _split(file: str) -> tuple[Path, str]:
    """The path, and the name after it, which may be that of a deployment with its flow's: ``pack/nightly``."""
    head, said, name = file.partition(".py:")
    return parts_of(f"{head}.py" if said else file)[0], name


def _made_in(module: ModuleType) -> list[_Candidate]:
    made = {name: value for name, value in vars(module).items() if isinstance(value, FlowDeployment)}
    return [_Candidate.called(deployment, name, deployment.name) for name, deployment in made.items()]


def _of(flows: dict[str, Flow[..., Any]], path: Path) -> list[_Candidate]:
    first_names: dict[int, str] = {}
    for name, flow in flows.items():
        first_names.setdefault(id(flow), name)
    return [_described(flows[name], f"{path}:{name}") for name in first_names.values()]


def _described(flow: Flow[..., Any], entrypoint: str) -> _Candidate:
    return _Candidate.called(FlowDeployment.of(flow, None, {}, entrypoint), function_name(flow.fn))


def _named(name: str, made: list[_Candidate], flows: list[_Candidate], path: Path) -> list[_Candidate]:
    fitting = [each for each in made if name in each.names] or [each for each in flows if name in each.names]
    if fitting:
        return fitting
    every = (*made, *flows)
    near = nearest(name, sorted({known for each in every for known in each.names}))
    mend = f"did you mean {near}?" if near else there_is([min(each.names, key=len) for each in every])
    raise EntrypointError(f"there is no flow or deployment {name!r} in {path}: {mend}")


def _distinct(candidates: Iterable[_Candidate]) -> list[FlowDeployment]:
    found = list({id(each.deployment): each.deployment for each in candidates}.values())
    name, count = Counter(each.full_name for each in found).most_common(1)[0]
    if count > 1:
        raise DeploymentError(f"{count} deployments are called {name!r}: give each a name of its own")
    return found

"""What a child that has looked at a file says to its parent: one line of JSON, on a descriptor of its own."""

from __future__ import annotations

from attrs import frozen

from trioflow.deployments.deployment import FlowDeployment
from trioflow.errors import DeploymentError, EntrypointError
from trioflow.wire.converter import from_json, to_json

_REFUSALS: dict[str, type[Exception]] = {each.__name__: each for each in (DeploymentError, EntrypointError)}


@frozen(kw_only=True)
class Answer:
    """The deployments of a file, or why there are none."""

    deployments: tuple[FlowDeployment, ...] = ()
    refusal: str | None = None
    kind: str = EntrypointError.__name__
    """Which exception the refusal is the message of."""

    @classmethod
    def refused(cls, error: DeploymentError | EntrypointError) -> Answer:
        """The answer that stands for this exception."""
        return cls(refusal=str(error), kind=type(error).__name__)

    def spelt(self) -> bytes:
        """The line."""
        return to_json(self) + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Answer:
        """The answer that was spelt."""
        return from_json(line, cls)

    def given(self) -> list[FlowDeployment]:
        """The deployments.

        Raises:
            DeploymentError: see `deployments_in`.
            EntrypointError: see `deployments_in`.
        """
        if self.refusal is not None:
            raise _REFUSALS[self.kind](self.refusal)
        return list(self.deployments)

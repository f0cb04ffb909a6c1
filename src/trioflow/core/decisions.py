"""The vocabulary of judging: what is asked (Proposal), what a rule may say, what comes of it (Decision)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from attrs import field, frozen

from trioflow.core.runs import FlowRun, Run, TaskRun
from trioflow.core.states import State
from trioflow.core.verdicts import Abort, Reject, Verdict, Wait
from trioflow.errors import TrioflowBug


class Fact(Enum):
    """What a rule may ask to be told besides the run itself; the orchestrator loads what is asked for, no more."""

    PARENT = "the flow run that a task run belongs to"
    CACHED = "the live cache entry for the proposed state's cache key"
    LIMITS = "the concurrency limits on the run's tags, with their holders"


@frozen(kw_only=True)
class TagLimit:
    """A concurrency limit on a tag, and who holds its slots now."""

    tag: str
    limit: int
    holders: frozenset[UUID] = frozenset()


@frozen(kw_only=True)
class Fence:
    """The ownership that a run stands under: its root run's current epoch, and whether a live lease goes with it."""

    epoch: int = 0
    leased: bool = False


UNOWNED = Fence()


@frozen(kw_only=True)
class Facts:
    """What the store says at the moment of judging. Fields for facts that no rule of the cell reads stay empty."""

    fence: Fence = UNOWNED
    answered: Verdict | None = None
    """The answer that this transition id was given before, when it was written down."""
    parent: FlowRun | None = None
    cached: State | None = None
    limits: tuple[TagLimit, ...] = ()


NO_FACTS = Facts()


@frozen(kw_only=True)
class Proposal:
    """A run, the state asked for, and all that a rule may look at to judge it."""

    run: Run
    state: State
    now: datetime
    transition_id: UUID
    facts: Facts = NO_FACTS
    epoch: int | None = None
    """The asker's fencing token; None for operators, and for clients that know no epochs."""
    force: bool = False
    """The operator's override, limited as the tables say."""
    rerun: bool = False
    """The declared wish to leave a terminal state for the next attempt."""
    new_owner: bool = False
    """A claim or a reaping: the epoch rises when this is accepted."""
    draw: float = 0.5
    """A number from [0, 1), drawn at the edge, for whatever a rule wants to randomise."""

    @property
    def flow_run(self) -> FlowRun:
        """The run, in a rule that only judges flow runs."""
        match self.run:
            case FlowRun() as run:
                return run
            case TaskRun(id=id_):
                raise TrioflowBug(f"a rule for flow runs was asked about task run {id_}")

    @property
    def task_run(self) -> TaskRun:
        """The run, in a rule that only judges task runs."""
        match self.run:
            case TaskRun() as run:
                return run
            case FlowRun(id=id_):
                raise TrioflowBug(f"a rule for task runs was asked about flow run {id_}")


@frozen
class TakeSlots:
    """Give the run one slot of the limit on each of these tags."""

    tags: frozenset[str]


@frozen
class ReleaseSlots:
    """Give back every slot that the run holds."""


@frozen
class RememberResult:
    """Remember the written COMPLETED state under this cache key."""

    cache_key: str
    expiration: datetime | None = None


@frozen
class MirrorToParent:
    """Show the written state on the task run that stands for this subflow in its parent."""

    task_run_id: UUID


@frozen
class EndLease:
    """Nobody runs this run's code any more."""


Effect = TakeSlots | ReleaseSlots | RememberResult | MirrorToParent | EndLease


@frozen(kw_only=True)
class Edit:
    """What a rule adds to a transition that it does not object to."""

    state: State | None = None
    """The proposed state as the rule wants it; None leaves it."""
    run: Mapping[str, Any] = field(factory=dict[str, Any])
    """Fields of the run to change."""
    effects: tuple[Effect, ...] = ()


@frozen(kw_only=True)
class Decision:
    """What to do: the verdict to answer, the run as it is to be written, and the effects that go with it.

    ``run`` is None when nothing is to be written. All of it takes effect in one transaction, or none of it.
    """

    verdict: Verdict
    run: Run | None = None
    effects: tuple[Effect, ...] = ()


Answer = Reject | Wait | Abort | Edit | None
"""What a rule may say: an objection, an addition, or nothing. Accepting is not a rule's to do."""


@frozen
class Rule:
    """A pure function of a proposal, named as a sentence, with the facts that it reads."""

    fn: Callable[[Proposal], Answer]
    facts: frozenset[Fact] = frozenset()

    @property
    def name(self) -> str:
        """The function's name: the sentence."""
        return getattr(self.fn, "__name__", repr(self.fn))

    @property
    def promise(self) -> str:
        """The first line of the function's docstring."""
        return (self.fn.__doc__ or "").strip().partition("\n")[0]

    def __call__(self, proposal: Proposal) -> Answer:
        """What the rule says of the proposal."""
        return self.fn(proposal)


def rule(*facts: Fact) -> Callable[[Callable[[Proposal], Answer]], Rule]:
    """Make a `Rule` of the function below, which reads these facts."""

    def declare(fn: Callable[[Proposal], Answer]) -> Rule:
        return Rule(fn, frozenset(facts))

    return declare

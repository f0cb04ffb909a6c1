"""Every exception that a user of trioflow can meet, on one page. The class docstring is the default message.

Named by who broke the promise: the caller (definitions, parameters, settings), the run (its outcome), the other
side (store, server), or us (`TrioflowBug`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class TrioflowError(Exception):
    """Something went wrong in trioflow."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class TrioflowBug(TrioflowError):
    """A promise of trioflow's own is broken; please report this."""


# --- the caller: definitions, calls, settings


class FlowDefinitionError(TrioflowError, ValueError):
    """This flow or task cannot be defined like that."""


class InvalidFilter(TrioflowError, ValueError):
    """A filter asks for something that cannot be."""


class FlowDefinitionTypeError(FlowDefinitionError, TypeError):
    """An option of this flow or task is of a type that it cannot have."""


class InvalidReturnState(TrioflowError, ValueError):
    """return_state is either True, for the state, or False, for the result."""


class InvalidSchedule(TrioflowError, ValueError):
    """Nothing can be scheduled like that."""


class InvalidSetting(TrioflowError, ValueError):
    """A setting has a value that it cannot have."""


class MappingLengthMismatch(TrioflowError, ValueError):
    """The iterables given to map differ in length."""


class MappingMissingIterable(TrioflowError, ValueError):
    """No iterable parameters were received. Parameters for map must include at least one iterable."""


class NotASubflow(TrioflowError, ValueError):
    """Only flows run as subflows can wait for dependencies."""


class ParameterError(TrioflowError, TypeError):
    """The parameters do not fit the function."""


class NotSerializable(TrioflowError, TypeError):
    """A value cannot be recorded."""


class WrongColour(TrioflowError, TypeError):
    """A flow or task was called from code of the other colour."""


class OutsideFlow(TrioflowError, RuntimeError):
    """This needs a flow run around it."""


class DeploymentError(TrioflowError, ValueError):
    """A flow cannot be deployed like that."""


class DeploymentApplyError(TrioflowError):
    """The deployment was refused."""


class RunnerError(TrioflowError, RuntimeError):
    """The runner cannot do that now."""


class RunnerIsFull(RunnerError):
    """The runner has as many runs in hand as its limit allows."""


class EntrypointError(TrioflowError):
    """The flow cannot be found where it was said to be."""


# --- the run: how it ended


class RunOutcome(TrioflowError):
    """A run has no result to give."""


class CancelledRun(RunOutcome):
    """The run was cancelled."""


class CrashedRun(RunOutcome):
    """The run crashed."""


class FailedRun(RunOutcome):
    """The run failed."""


class MissingResult(RunOutcome):
    """The run completed, but its result was not recorded."""


class PausedRun(RunOutcome):
    """The run is paused."""


class UnfinishedRun(RunOutcome):
    """The run has not finished yet."""


class UnreadableResult(RunOutcome):
    """A recorded result cannot be read."""


class UpstreamTaskError(TrioflowError):
    """An upstream run did not complete."""


class RunAborted(TrioflowError):
    """The orchestrator refused to go on with this run."""


# --- looking things up


class RunNotFound(TrioflowError, LookupError):
    """There is no such run."""


class AmbiguousDeployment(TrioflowError, LookupError):
    """Several deployments have this name."""


class AmbiguousRun(TrioflowError, LookupError):
    """Several runs match."""

    def __init__(self, asked: str, matches: Sequence[str]) -> None:
        shown = ", ".join(matches[:5]) + (", …" if len(matches) > 5 else "")
        super().__init__(f"{asked!r} matches {len(matches)} runs ({shown}): give more of the id")


class DeploymentNotFound(TrioflowError, LookupError):
    """There is no such deployment."""


class RunIsOwned(TrioflowError):
    """The run is being executed by another process."""


# --- orchestration rules


class RuleError(TrioflowError):
    """An orchestration rule raised."""


class RuleFault(TrioflowError, AssertionError):
    """An orchestration rule breaks a property that every rule must keep."""

    def __init__(
        self,
        message: str | None = None,
        *,
        rule: str = "",
        broken: str = "",
        transitions: Sequence[str] = (),
        examples: int = 0,
    ) -> None:
        super().__init__(message)
        self.rule = rule
        """Its name."""
        self.broken = broken
        """The name of the property, one of `trioflow.testing.properties.Property`."""
        self.transitions = tuple(transitions)
        """What leads to it: a line for each step, as short a way as was found."""
        self.examples = examples
        """How many trials were made until something was found."""


# --- a run's process, and the link to it


class ForeignRun(TrioflowError):
    """The process of a run spoke of a run that is not its own."""


class LinkClosed(TrioflowError):
    """The link between a run's process and its runner is closed."""


class MessageTooLarge(TrioflowError, ValueError):
    """What is to be said does not fit into one message."""


class ProcessNotStarted(TrioflowError):
    """The process could not be started."""


# --- the store


class StoreError(TrioflowError):
    """The database cannot do it. Nothing has changed."""


class ConstraintViolated(StoreError):
    """The row breaks a constraint of the schema."""


class DatabaseCorrupt(StoreError):
    """The database is damaged."""


class DiskFailed(StoreError):
    """The disk refused to read or write the database."""


class HomeNotWritable(StoreError):
    """The database cannot be opened or written there."""


class NotOurDatabase(StoreError):
    """The file is not a database of trioflow's."""


class ReadOnlyTransaction(StoreError):
    """A function given to read() tried to write; give it to transact()."""


class SchemaTooNew(StoreError):
    """The database was written by a newer trioflow."""


class StatementRefused(StoreError):
    """The database does not understand the statement."""


class StoreClosed(StoreError):
    """The store is closed."""


class StoreForked(StoreError):
    """A forked child has no store: open one of its own there, or start the process with exec."""


class StoreFull(StoreError):
    """There is no space left for the database."""


class StoreGone(StoreError):
    """The file of the database was deleted, moved or replaced while it was open."""


class UnwritableResult(StoreError):
    """A result cannot be written. Nothing has changed."""


# --- testing


class ScenarioBroken(TrioflowError, AssertionError):
    """Something was not as it must be after a scenario was interrupted."""


class ScenarioUnfit(TrioflowError, AssertionError):
    """A scenario cannot be interrupted everywhere: it does not end well, or not the same way twice."""


class SimulationError(TrioflowError):
    """A simulation met something that it cannot simulate."""


class SimulationFailed(TrioflowError, AssertionError):
    """A promise was broken in a simulation."""

"""The rules that are watched together, and the fault that is told when something is wrong with one of them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import final

from attrs import frozen

from trioflow.core.tables import Table
from trioflow.errors import RuleFault
from trioflow.testing.checking.birth import Birth
from trioflow.testing.checking.properties import Broken, Property
from trioflow.testing.checking.telling import begun, transitions
from trioflow.testing.checking.watching import Watch, watched


@final
@frozen(eq=False)
class Panel:
    """Watches, of the rules of one table or of both."""

    watches: Sequence[Watch]

    def within(self, table: Table) -> Table:
        """The table, with these watches in it."""
        return watched(table, [watch for watch in self.watches if watch.table is table])

    def begin(self) -> None:
        """A new trial: as if no rule had ever been asked."""
        for watch in self.watches:
            watch.begin()

    def end(self) -> None:
        """The trial is over.

        Raises:
            Broken: a rule says something else now than at the beginning.
        """
        for watch in self.watches:
            watch.end()

    @contextmanager
    def telling(self, birth: Birth) -> Generator[None]:
        """Within the block, what breaks becomes a fault.

        Raises:
            RuleFault: something broke.
        """
        try:
            yield
        except Broken as broken:
            raise self.fault(broken, birth) from None

    def fault(self, broken: Broken, birth: Birth | None = None) -> RuleFault:
        """What is told of it."""
        watches = [watch for watch in self.watches if watch.rule is broken.rule] or self._suspects(broken)
        names = [f"{watch.rule.name} ({_place(watch, broken)})" for watch in watches]
        lines = transitions(broken.steps)
        told = [
            f"{' and '.join(names) or 'the tables'}: a rule {broken.broken.value}, but {broken.told}",
            *([f"  with {begun(birth)}"] if birth else []),
            *(f"  {number}. {line}" for number, line in enumerate(lines, 1)),
        ]
        name = watches[0].rule.name if watches else ""
        return RuleFault("\n".join(told), rule=name, broken=broken.broken.name, transitions=lines)

    def _suspects(self, broken: Broken) -> Sequence[Watch]:
        """Who said something about the last step; else whoever said anything; else all."""
        last = broken.steps[-1].proposal.transition_id if broken.steps else None
        spoke = [watch for watch in self.watches if watch.answered and watch.answered[1] is not None]
        if broken.broken is Property.PATIENT and spoke:
            return spoke
        at_last = [watch for watch in spoke if watch.answered and watch.answered[0].transition_id == last]
        return at_last or spoke or self.watches


def _place(watch: Watch, broken: Broken) -> str:
    line = broken.line if broken.rule is watch.rule and broken.line else watch.line
    path = Path(watch.file)
    near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{near}, line {line}"

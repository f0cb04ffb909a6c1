"""Names of runs: a template over the parameters, a callable, or chance."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trioflow import clock
from trioflow.core import keys
from trioflow.engine.naming import drawn_name, run_name
from trioflow.errors import FlowDefinitionError, FlowDefinitionTypeError


@pytest.mark.behaviour("NM-01")
def test_a_template_is_filled_in_with_the_parameters():
    day = datetime(2024, 5, 1, tzinfo=UTC)

    assert run_name("import-{day:%A}-{rows[0]}", {"day": day, "rows": [7], "more": 1}) == "import-Wednesday-7"
    assert run_name("always this", {}) == "always this"


@pytest.mark.behaviour("NM-01")
def test_a_callable_gives_the_whole_name():
    assert run_name(lambda: "{not} a template", {"not": 1}) == "{not} a template"


@pytest.mark.behaviour("NM-02")
def test_a_callable_that_gives_no_string_is_a_type_error():
    def number():
        return 5

    with pytest.raises(
        TypeError, match=r"Callable <function .*number.*> returned type int but a string is required\."
    ):
        run_name(number, {})


@pytest.mark.behaviour("NM-02")
def test_neither_string_nor_callable_is_a_type_error():
    with pytest.raises(
        FlowDefinitionTypeError, match=r"Expected string or callable for a run's name; got int instead\."
    ):
        run_name(5, {})


@pytest.mark.parametrize("template", ["{nobody}", "{0}", "{", "{a.b}", "{a[0]}", "{a!x}", "{a:?}"])
def test_a_template_that_cannot_be_filled_in_names_the_parameters(template):
    with pytest.raises(FlowDefinitionError, match=r"cannot be filled in .*the parameters are: a, b"):
        run_name(template, {"a": 1, "b": 2})


class Drawing(clock.RealWorld):
    def __init__(self, number):
        self.number = number

    def draw(self):
        return self.number


def test_every_name_can_be_drawn():
    drawn = set()
    for number in range(4096):
        with clock.use(Drawing(number / 4096)):
            drawn.add(drawn_name())

    assert drawn == {f"{first}-{second}" for first in keys.FIRST for second in keys.SECOND}

"""Parameters are held against a flow's schema: what fits, and what is said of what does not."""

from __future__ import annotations

import pytest

from trioflow.core.parameter_schema import check_parameters, fits, spoken
from trioflow.errors import ParameterError

TEXT, WHOLE, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
ADDRESS = {
    "type": "object",
    "properties": {"street": TEXT, "number": WHOLE},
    "required": ["street"],
    "additionalProperties": False,
}


def refusal(parameters, schema=ADDRESS, **how):
    with pytest.raises(ParameterError) as caught:
        check_parameters(schema, parameters, **how)
    return str(caught.value)


def test_what_fits_is_let_through():
    check_parameters(ADDRESS, {"street": "Elm", "number": 5})
    check_parameters(ADDRESS, {"street": "Elm"})


def test_each_parameter_that_is_wrong_is_named_with_what_fits():
    assert refusal({"number": "five", "town": "Rye"}) == (
        "the flow takes (street, number): street is missing; town is unknown; number: 'five' is not a whole number"
    )


def test_of_a_part_nothing_is_missing_yet():
    check_parameters(ADDRESS, {"number": 5}, partial=True)

    assert refusal({"town": "Rye"}, partial=True) == "the flow takes (street, number): town is unknown"


def test_a_schema_that_nobody_knows_is_fitted_by_everything():
    check_parameters({}, {"whatever": object()})


def test_a_flow_that_takes_further_keywords_takes_them():
    check_parameters({**ADDRESS, "additionalProperties": True}, {"street": "Elm", "town": "Rye"})


@pytest.mark.parametrize(
    ("schema", "value", "says"),
    [
        (WHOLE, 1.5, "1.5 is not a whole number"),
        (WHOLE, None, "None is not a whole number"),
        (WHOLE, [], "[] is not a whole number"),
        ({"type": "number"}, "many", "'many' is not a number"),
        ({"type": "number"}, None, "None is not a number"),
        ({"anyOf": [NULL, {"anyOf": []}, {"enum": [1]}]}, 2, "2 is not null or  or one of 1"),
        ({"anyOf": [NULL, {"type": "array", "items": WHOLE}]}, ["x"], "['x'] is not null or a list"),
        ({"type": "boolean"}, "yes", "'yes' is not true or false"),
        (TEXT, 5, "5 is not a text"),
        (NULL, 0, "0 is not null"),
        ({"type": "array"}, "abc", "'abc' is not a list"),
        ({"type": "object"}, [], "[] is not an object"),
        ({"enum": ["a", 2]}, "b", "'b' is not one of 'a', 2"),
        ({"anyOf": [WHOLE, NULL]}, "x", "'x' is not a whole number or null"),
        ({"type": "string", "format": "date"}, "soon", "'soon' is not a date such as 2026-01-31"),
        (
            {"type": "string", "format": "date-time"},
            "soon",
            "'soon' is not an instant such as 2026-01-31T09:30:00+01:00",
        ),
        ({"type": "string", "format": "time"}, "25:00", "'25:00' is not a time such as 09:30:00"),
        ({"type": "string", "format": "uuid"}, "x", "'x' is not a UUID"),
        ({"type": "array", "items": WHOLE}, [1, "x"], "[1]: 'x' is not a whole number"),
        ({"type": "array", "prefixItems": [WHOLE, TEXT]}, [1], "[1] is not a list of 2"),
        ({"type": "array", "prefixItems": [WHOLE, TEXT]}, [1, 2], "[1]: 2 is not a text"),
        (
            {"type": "object", "additionalProperties": {"type": "array", "items": WHOLE}},
            {"a": [1, "x"]},
            "['a']: [1]: 'x' is not a whole number",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(schema, value, says):
    assert refusal({"x": value}, {"properties": {"x": schema}}) == f"the flow takes (x): x: {says}"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (WHOLE, "5"),
        (WHOLE, 5.0),
        (WHOLE, True),
        ({"type": "number"}, "1e3"),
        ({"type": "boolean"}, "false"),
        ({"type": "boolean"}, 1),
        (WHOLE, {"$int": "0x1"}),
        ({"type": "array", "items": WHOLE}, {"$tuple": [1]}),
        ({"type": "string", "format": "path"}, "/etc"),
        *(({"type": "boolean"}, switch) for switch in (True, False, 0, 1, "0", "1", "true", "True", "False")),
        ({"type": "number"}, 1),
        ({"type": "number"}, 1.5),
        ({"type": "complex"}, 5),
        (WHOLE, {"number": 5, "$int": "0x1"}),
        ({"anyOf": [WHOLE, NULL]}, None),
        ({}, object()),
    ],
)
def test_what_the_engine_converts_fits(schema, value):
    assert fits({"properties": {"x": schema}}, "x", value)


def test_what_a_schema_says_nothing_about_is_let_through_unless_it_says_that_this_is_all():
    check_parameters({"properties": {"x": WHOLE}}, {"x": 1, "y": "anything"})

    assert not fits({"properties": {"x": WHOLE}}, "x", "many")


@pytest.mark.parametrize(("length", "shown"), [(78, f"'{'y' * 78}'"), (79, f"'{'y' * 76}...")])
def test_eighty_characters_of_a_value_are_shown(length, shown):
    assert refusal({"x": "y" * length}, {"properties": {"x": WHOLE}}) == (
        f"the flow takes (x): x: {shown} is not a whole number"
    )


def test_of_a_schema_that_says_nothing_anything_is_said_to_fit():
    assert spoken({}) == spoken({"type": "complex"}) == "anything"


def test_a_long_value_is_shown_in_part():
    (said,) = refusal({"x": "y" * 500}, {"properties": {"x": WHOLE}}).splitlines()

    assert said == f"the flow takes (x): x: '{'y' * 76}... is not a whole number"

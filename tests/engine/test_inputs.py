"""Inputs: what stands for a run among the arguments of a call is found, waited for, replaced and written down."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trioflow import Completed, Failed, allow_failure, flow, quote, task, unmapped
from trioflow.engine.futures import Future
from trioflow.engine.inputs import Inputs, replaced, value_of
from trioflow.engine.results import Raised, Returned
from trioflow.errors import ParameterError, UpstreamTaskError

Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - what users have


@attrs.frozen
class Point:
    x: Any
    y: int = 0


@dataclasses.dataclass
class Box:
    content: Any


def done(value):
    """A future of a run that has completed."""
    future = Future("done-0")
    future.end(Completed(data=Returned(value)))
    return future


def broken(error):
    """A future of a run that has failed."""
    future = Future("broken-0")
    future.end(Failed(data=Raised(error)))
    return future


async def resolved(value):
    return (await Inputs.of({"x": value}).resolved())["x"]


@pytest.mark.behaviour("IN-01")
@pytest.mark.parametrize(
    ("wrap", "wanted"),
    [
        (lambda f: f, 5),
        (lambda f: [1, f], [1, 5]),
        (lambda f: (f, 2), (5, 2)),
        (lambda f: {f}, {5}),
        (lambda f: frozenset({f}), frozenset({5})),
        (lambda f: {"a": [{"b": f}]}, {"a": [{"b": 5}]}),
        (lambda f: {f: 1}, {5: 1}),
        (lambda f: Point(f, 1), Point(5, 1)),
        (lambda f: Box([f]), Box([5])),
        (lambda f: Pair(f, 2), Pair(5, 2)),
        (lambda f: OrderedDict(a=f), OrderedDict(a=5)),
        (lambda f: [Completed(data=Returned(5))], [5]),
        (lambda f: unmapped([f]), [5]),
    ],
)
async def test_a_future_anywhere_in_a_parameter_is_replaced_by_its_value(wrap, wanted):
    value = await resolved(wrap(done(5)))

    assert (value, type(value)) == (wanted, type(wanted))


async def test_a_defaultdict_keeps_its_default():
    value = await resolved(defaultdict(list, a=done(5)))

    assert (dict(value), value["b"]) == ({"a": 5}, [])


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text(), inner)
            | st.builds(Box, inner)
        ),
    )
)
def test_what_holds_no_future_is_passed_as_the_same_object(value):
    assert replaced(value, value_of) is value


@pytest.mark.behaviour("IN-02")
async def test_what_is_quoted_is_neither_searched_nor_changed():
    held = [done(5)]

    inputs = Inputs.of({"x": quote(held)})

    assert (await inputs.resolved())["x"] is held
    assert inputs.lineage() == {}


@pytest.mark.behaviour("IN-03")
async def test_an_allowed_failure_is_passed_as_its_exception():
    error = ValueError("no")

    assert await resolved(allow_failure(broken(error))) is error
    assert await resolved(allow_failure([broken(error), done(1)])) == [error, 1]


@pytest.mark.behaviour("IN-03")
async def test_only_the_innermost_annotation_counts():
    with pytest.raises(UpstreamTaskError):
        await resolved(allow_failure(unmapped(broken(ValueError()))))

    error = ValueError()
    assert await resolved(unmapped(allow_failure(broken(error)))) is error


@pytest.mark.behaviour("IN-04")
@pytest.mark.parametrize(
    "wrap", [lambda f: f, lambda f: [f], lambda f: f.state], ids=["bare", "in a list", "state"]
)
async def test_an_upstream_that_did_not_complete_stops_the_call(wrap):
    with pytest.raises(
        UpstreamTaskError, match=r"^Upstream task run .* did not reach a 'COMPLETED' state\.$"
    ):
        await resolved(wrap(broken(ValueError())))


async def test_an_upstream_is_waited_for(autojump_clock):
    future = Future("later-0")

    async def ends():
        await trio.sleep(3)
        future.end(Completed(data=Returned("now")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends)
        assert await resolved([future]) == ["now"]

    assert trio.current_time() == 3


@pytest.mark.behaviour("IN-05")
def test_a_value_that_cannot_be_looked_through_names_the_parameter_and_advises_quote():
    endless = []
    endless.append(endless)

    with pytest.raises(ParameterError, match=r"^x: cannot be looked through .*: wrap it in quote\(\.\.\.\)$"):
        Inputs.of({"x": endless})


@pytest.mark.behaviour("IN-06", "IN-08")
async def test_the_store_knows_which_runs_went_into_which_parameter(books):
    @task
    async def give(x):
        return x

    @flow
    async def submits():
        one, two = give.submit(1), give.submit(2)
        give.submit([one, {"two": two}], wait_for=[two])

    await submits()

    runs = await books.task_runs()
    ids = {name: {"input_type": "task_run", "id": str(run.id)} for name, run in runs.items()}
    assert runs["give-2"].inputs == {"x": [ids["give-0"], ids["give-1"]], "wait_for": [ids["give-1"]]}
    assert runs["give-0"].inputs == {}

"""Mapping: one call for each element, in order, and nothing where there is nothing."""

from __future__ import annotations

import pytest
import trio

from trioflow import (
    NurseryTaskRunner,
    SequentialTaskRunner,
    allow_failure,
    flow,
    quote,
    task,
    unmapped,
)
from trioflow.errors import MappingLengthMismatch, MappingMissingIterable, ParameterError


@task
async def show(x, y=(1, 2), **more):
    return [x, list(y), more]


@task
async def fail(x):
    raise ValueError(x)


async def mapped(*args, of=show, **kwargs):
    """What the calls that `map` makes give."""

    @flow
    async def maps():
        return [await future for future in of.map(*args, **kwargs)]

    return await maps()


@pytest.mark.behaviour("MP-03", "MP-08", "MP-09")
async def test_iterables_are_walked_side_by_side_and_the_rest_goes_to_every_call(client):
    assert await mapped([1, 2], "ab") == [[1, ["a", "b"], {}], [2, ["a", "b"], {}]]
    assert await mapped(iter("ab"), [[3], [4]]) == [["a", [3], {}], ["b", [4], {}]]
    assert await mapped(range(2)) == [[0, [1, 2], {}], [1, [1, 2], {}]]
    assert await mapped([1, 2], unmapped([3])) == [[1, [3], {}], [2, [3], {}]]


@pytest.mark.behaviour("MP-02")
async def test_keyword_parameters_are_mapped_over_too_and_collected_again(client):
    assert await mapped(0, z=[1, 2], w="w") == [
        [0, [1, 2], {"z": 1, "w": "w"}],
        [0, [1, 2], {"z": 2, "w": "w"}],
    ]


@pytest.mark.behaviour("MP-01")
async def test_the_elements_may_be_futures(client):
    @flow
    async def maps():
        futures = show.map([1, 2], y=unmapped([]))
        return [await future for future in show.map(futures, y=unmapped([]))]

    assert await maps() == [[[1, [], {}], [], {}], [[2, [], {}], [], {}]]


@pytest.mark.behaviour("MP-04")
async def test_annotations_are_put_around_each_element(client):
    @task
    async def takes(x):
        return repr(x)

    @flow
    async def maps():
        failed = fail.map([1, 2])
        allowed = takes.map(allow_failure(failed))
        quoted = takes.map(quote([[1], [2]]))
        return [await future for future in (*allowed, *quoted)]

    assert await maps() == ["ValueError(1)", "ValueError(2)", "[1]", "[2]"]


@pytest.mark.behaviour("MP-05")
async def test_without_an_iterable_there_is_nothing_to_map_over(client):
    with pytest.raises(MappingMissingIterable) as refused:
        await mapped(1, y="ab")

    assert str(refused.value) == (
        "No iterable parameters were received. Parameters for map must include at least one iterable. "
        "Parameters: x=1, y='ab'"
    )


@pytest.mark.behaviour("MP-06")
async def test_iterables_of_different_lengths_are_refused(client):
    with pytest.raises(MappingLengthMismatch, match=r"Got lengths: \{'x': 2, 'y': 3\}$"):
        await mapped([1, 2], [1, 2, 3])


@pytest.mark.behaviour("MP-07")
async def test_nothing_to_map_over_makes_no_run(books):
    assert await mapped([]) == []
    assert await books.task_runs() == {}


async def test_a_future_cannot_be_mapped_over_and_the_error_says_what_to_do(client):
    @flow
    async def maps():
        show.map(show.submit(1))

    with pytest.raises(
        ParameterError, match=r"map over `await x`, or give it to every call, `unmapped\(x\)`"
    ):
        await maps()


async def test_a_call_that_does_not_fit_the_function_makes_no_run(books):
    with pytest.raises(ParameterError, match="missing a required argument: 'x'"):
        await mapped(y=[1])

    assert await books.task_runs() == {}


@pytest.mark.behaviour("MP-09")
@pytest.mark.parametrize(
    ("runner", "most", "seconds"),
    [(None, 20, 1), (NurseryTaskRunner(max_workers=8), 8, 3), (SequentialTaskRunner(), 1, 20)],
)
async def test_at_most_so_many_run_at_a_time(client, autojump_clock, runner, most, seconds):
    running, counts = set(), []

    @task(task_runner=runner)
    async def slow(x):
        running.add(x)
        counts.append(len(running))
        await trio.sleep(1)
        running.remove(x)
        return x

    assert await mapped(range(20), of=slow) == list(range(20))
    assert (max(counts), trio.current_time()) == (most, seconds)


async def test_every_call_of_a_map_may_wait_for_others(client, autojump_clock):
    @task
    async def slow():
        await trio.sleep(2)

    @flow
    async def maps():
        futures = show.map([1, 2], wait_for=[slow.submit()])
        return [(await future)[0] for future in futures], trio.current_time()

    assert await maps() == ([1, 2], 2)

"""`trioflow limit`: limits are set, listed with what is in use, and taken away."""

from __future__ import annotations

from uuid import UUID

import pytest

from trioflow import clock
from trioflow.core.states import Running
from trioflow.processes import this_process
from trioflow.wire import endpoints, requests


def running_task(number: int, *tags: str) -> tuple[endpoints.Endpoint, requests.BeginTaskRun]:
    """The request that starts a task, which lives as long as this process."""
    begin = requests.BeginTaskRun(
        id=UUID(int=number),
        task_key="query",
        dynamic_key=str(number),
        name=f"query-{number}",
        state=Running(),
        transition_id=clock.new_id(),
        tags=frozenset(tags),
        epoch=1,
        owner=this_process(),
    )
    return endpoints.BEGIN_TASK_RUN, begin


def test_limits_are_listed_by_tag_with_what_is_in_use(shell):
    assert shell("limit", "set", "network", "5").out == "At most 5 at once with tag 'network'\n"
    shell("limit", "set", "database", "2")
    shell.ask(running_task(1, "database"), running_task(2, "database", "network"))

    assert shell("limit", "ls", "--json").data == [
        {"tag": "database", "limit": 2, "in_use": 2},
        {"tag": "network", "limit": 5, "in_use": 1},
    ]
    assert [line.split() for line in shell("limit", "ls").out.splitlines()] == [
        ["TAG", "LIMIT", "IN", "USE"],
        ["database", "2", "2"],
        ["network", "5", "1"],
    ]


def test_a_lowered_limit_ends_nothing_and_shows_that_more_is_in_use(shell):
    shell("limit", "set", "database", "2")
    shell.ask(running_task(1, "database"), running_task(2, "database"))

    shell("limit", "set", "database", "1")

    assert shell("limit", "ls", "--json").data == [{"tag": "database", "limit": 1, "in_use": 2}]


def test_a_limit_is_taken_away(shell):
    shell("limit", "set", "database", "0")

    answer = shell("limit", "remove", "database")

    assert (answer.code, answer.out) == (0, "No limit with tag 'database'\n")
    assert shell("limit", "ls", "--json").data == []


def test_a_limit_that_there_is_not_cannot_be_taken_away(shell):
    answer = shell("limit", "remove", "databse")

    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: there is no limit on tag 'databse': `trioflow limit ls` lists them\n"
    assert not shell.home.exists()


def test_a_home_that_is_not_there_has_no_limits_and_is_not_made(shell):
    assert shell("limit", "ls").err == "No tag has a limit.\n"
    assert shell("limit", "ls", "--json").data == []
    assert not shell.home.exists()


@pytest.mark.parametrize("at_most", ["-1", "two"])
def test_what_is_no_number_of_slots_is_one_line(shell, at_most):
    answer = shell("limit", "set", "database", at_most)

    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith("error: Invalid value")
    assert not shell.home.exists()

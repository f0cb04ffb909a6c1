"""A batch has the effects that its items would have had one after the other, whoever of them fails."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.store.ledger import LEDGER, Refused, enter, entered
from trioflow.store.batch import Request, call, run_batch
from trioflow.store.sqlite import open_memory
from trioflow.store.store import Durability


class Desk:
    """An object whose method is the judge: each look at it makes a new, equal method."""

    def judge(self, tx, names):
        return enter(tx, names)


DESK = Desk()
judges = st.sampled_from(["function", "desk", "single"])
names = st.sampled_from("abcde").flatmap(lambda name: st.sampled_from([name, name, f"bad {name}"]))
durabilities = st.sampled_from(Durability)
programs = st.lists(st.lists(st.tuples(judges, names, durabilities), max_size=8), max_size=4)


def request(kind, name, durability):
    match kind:
        case "function":
            return Request(enter, name, durability)
        case "desk":
            return Request(DESK.judge, name, durability)
        case _:
            return Request(call, partial(lambda name, tx: enter(tx, [name])[0], name), durability)


def sequentially(batches):
    """The model: what each item answers, and the ledger, if there were no batches at all."""
    ledger, answers = [], []
    for _, name, _ in (item for batch in batches for item in batch):
        if name.startswith("bad"):
            answers.append("Refused" if name not in ledger else "ConstraintViolated")
        elif name in ledger:
            answers.append("ConstraintViolated")
        else:
            ledger.append(name)
            answers.append(len(ledger))
    return ledger, answers


@given(programs)
@example(
    [
        [
            ("function", "a", Durability.SYNCED),
            ("function", "bad b", Durability.SYNCED),
            ("desk", "a", Durability.RELAXED),
        ]
    ]
)
def test_a_batch_equals_its_items_one_after_the_other(batches):
    connection = open_memory(migrations=LEDGER)._connection
    answers, newest = [], 0
    for batch in batches:
        requests = [request(*item) for item in batch]
        committed = run_batch(connection, requests)
        assert committed in (0, newest + sum(request.error is None for request in requests))
        newest = max(newest, committed)
        answers += [type(request.error).__name__ if request.error else request.answer for request in requests]
    assert (entered(connection), answers) == sequentially(batches)
    connection.close()


@pytest.mark.parametrize("judge", [enter, DESK.judge])
def test_neighbours_with_the_same_judge_are_judged_as_one_list(judge):
    connection = open_memory(migrations=LEDGER)._connection
    lists = []

    def listen(tx, names):
        lists.append(names)
        return judge(tx, names)

    order = [(listen, "a"), (listen, "b"), (enter, "c"), (listen, "d"), (listen, "e"), (listen, "f")]
    run_batch(connection, [Request(judge, name, Durability.SYNCED) for judge, name in order])
    assert lists == [["a", "b"], ["d", "e", "f"]]
    assert entered(connection) == ["a", "b", "c", "d", "e", "f"]


def test_when_a_judge_raises_its_items_are_judged_singly():
    connection = open_memory(migrations=LEDGER)._connection
    requests = [Request(enter, name, Durability.SYNCED) for name in ("a", "bad", "b")]
    run_batch(connection, requests)
    assert entered(connection) == ["a", "b"]
    assert [request.answer if request.error is None else request.error.args for request in requests] == [
        1,
        ("bad",),
        2,
    ]


def test_single_functions_are_run_once_each_and_alone():
    connection = open_memory(migrations=LEDGER)._connection
    runs = []

    def note(name, tx):
        runs.append(name)
        enter(tx, [name])

    requests = [Request(call, partial(note, name), Durability.SYNCED) for name in ("a", "bad", "b")]
    run_batch(connection, requests)
    assert runs == ["a", "bad", "b"]
    assert [type(request.error) for request in requests] == [type(None), Refused, type(None)]

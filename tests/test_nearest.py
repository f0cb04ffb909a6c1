"""Names that nothing has: the nearest is said where one is near, or else what there is."""

from __future__ import annotations

import pytest

from trioflow.nearest import nearest, there_is


@pytest.mark.parametrize(
    ("asked", "known", "near"),
    [
        ("nigthly", ["audit", "nightly"], "nightly"),
        ("NIGHTLY", ["audit", "Nightly"], "Nightly"),
        ("quarterly", ["audit", "nightly"], None),
        ("a", [], None),
    ],
)
def test_only_a_near_name_is_meant(asked, known, near):
    assert nearest(asked, known) == near


def test_what_there_is_is_said_up_to_five_names():
    assert there_is(["a"]) == "there is a"
    assert there_is(list("abcde")) == "there is a, b, c, d, e"
    assert there_is(list("abcdefg")) == "there is a, b, c, d, e and 2 more"

"""Behaviours and promises are counted and guarded: the ids exist, and what was shown stays shown."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.behaviours import REGISTERS, Register, faults, marks

each_register = pytest.mark.parametrize("register", REGISTERS, ids=[register.mark for register in REGISTERS])


@each_register
def test_every_id_that_a_test_names_is_listed_and_none_that_was_shown_is_lost(register: Register):
    assert faults(register) == []


@each_register
def test_the_table_says_what_the_tests_show(register: Register):
    """Run `python tests/architecture/behaviours.py --write` after marking a test."""
    assert register.text() == register.renewed()


@each_register
def test_no_id_is_listed_twice(register: Register):
    ids = register.ids()

    assert sorted(set(ids)) == sorted(ids)


def test_marks_are_found_on_tests_classes_parameters_and_files():
    source = """
pytestmark = pytest.mark.behaviour("FL-01")

@pytest.mark.behaviour("FL-02", "FL-03")
async def test_one(): ...

@pytest.mark.promise("P1")
class TestMany:
    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.behaviour("FL-04"))])
    def test_two(self, x): ...
"""

    assert list(marks(ast.parse(source), "behaviour")) == [
        ("", "FL-01"),
        ("test_one", "FL-02"),
        ("test_one", "FL-03"),
        ("TestMany::test_two", "FL-04"),
    ]
    assert list(marks(ast.parse(source), "promise")) == [("TestMany", "P1")]

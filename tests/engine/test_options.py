"""Options: what a decorator takes, what it refuses, and what the rest is when it is not said."""

from __future__ import annotations

import hashlib

import pytest

from trioflow import exponential_backoff, flow, task
from trioflow.core.runs import RetryPolicy
from trioflow.engine.hooks import Hooks
from trioflow.errors import FlowDefinitionError, FlowDefinitionTypeError


async def my_function(x):
    """Say what it does."""


def hook(**_):
    pass


def test_a_bare_decorator_takes_every_default_from_the_function():
    made = flow(my_function)

    assert (made.name, made.options.description, made.fn) == ("my-function", "Say what it does.", my_function)
    assert (made.__name__, made.__doc__) == ("my_function", "Say what it does.")


@pytest.mark.behaviour("FL-27")
def test_a_flow_is_named_after_its_function_with_dashes_and_a_task_as_it_is():
    assert (flow(my_function).name, task(my_function).name) == ("my-function", "my_function")


@pytest.mark.behaviour("FL-27")
def test_a_flows_version_is_a_hash_of_its_source_file_unless_given(tmp_path):
    source = "async def f(): pass"
    (tmp_path / "one.py").write_text(source)
    namespace = {}
    exec(compile(source, str(tmp_path / "one.py"), "exec"), namespace)

    assert flow(namespace["f"]).version == hashlib.sha256(source.encode()).hexdigest()[:32]
    assert flow(version="7")(namespace["f"]).version == "7"


def test_a_flow_whose_source_cannot_be_read_has_no_version():
    namespace = {}
    exec("async def f(): pass", namespace)

    assert flow(namespace["f"]).version is None


def test_options_are_kept_as_what_they_mean():
    options = task(
        tags=["a", "b"],
        retries=2,
        retry_delay_seconds=exponential_backoff(1),
        retry_jitter_factor=0.5,
        timeout_seconds=3,
        persist_result=False,
        on_completion=[hook],
    )(my_function).options

    assert (options.tags, options.timeout, options.persist) == ({"a", "b"}, 3.0, False)
    assert options.retry == RetryPolicy(retries=2, delays=(1.0, 2.0), jitter=0.5)
    assert options.hooks == Hooks(on_completion=(hook,))


def test_with_options_changes_some_and_none_puts_one_back():
    first = flow(name="one", retries=3, timeout_seconds=5)(my_function)

    second = first.with_options(name="two", timeout_seconds=None)

    assert (second.name, second.options.retry.retries, second.options.timeout) == ("two", 3, None)
    assert (first.name, first.options.timeout, second.fn) == ("one", 5.0, first.fn)


@pytest.mark.behaviour("FL-26")
@pytest.mark.parametrize(
    ("option", "value", "kind", "message"),
    [
        ("on_completion", [], ValueError, "Empty list passed for 'on_completion'"),
        ("on_failure", hook, TypeError, "Expected a list of functions for 'on_failure'"),
        (
            "on_running",
            [hook, "hook"],
            TypeError,
            "Expected functions in the list for 'on_running', not 'hook'",
        ),
        ("name", 5, TypeError, "Expected a string for the name, not 5"),
        ("name", "a/b%c", ValueError, "the name 'a/b%c' contains % /, which no name can"),
        ("flow_run_name", 5, TypeError, "Expected string or callable for the run name, not 5"),
        ("timeout_seconds", 0, ValueError, "a timeout is a number of seconds above 0, not 0"),
        ("timeout_seconds", "1", TypeError, "Expected a number for timeout_seconds, not '1'"),
        (
            "result_serializer",
            "yaml",
            ValueError,
            "result_serializer must be one of json, pickle, not 'yaml'",
        ),
        ("retries", -1, ValueError, "retries must be 0 or more, not -1"),
        ("timeout_secs", 1, TypeError, "@flow has no option 'timeout_secs': did you mean timeout_seconds?"),
        ("colour", 1, TypeError, "@flow has no option 'colour'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_when_the_flow_is_defined(option, value, kind, message):
    with pytest.raises(FlowDefinitionError) as refused:
        flow(**{option: value})(my_function)

    assert isinstance(refused.value, kind)
    assert str(refused.value).startswith(message)


@pytest.mark.behaviour("FL-26")
@pytest.mark.parametrize("name", ["return_state", "wait_for"])
@pytest.mark.parametrize("decorate", [flow, task])
def test_a_function_cannot_have_parameters_that_calls_reserve(decorate, name):
    namespace = {}
    exec(f"async def f({name}): pass", namespace)

    with pytest.raises(FlowDefinitionError, match=f"cannot have a parameter {name}"):
        decorate(namespace["f"])


@pytest.mark.behaviour("FL-26")
@pytest.mark.parametrize("decorate", [flow, task])
def test_what_cannot_be_called_is_no_flow(decorate):
    with pytest.raises(FlowDefinitionTypeError, match=r"is made of a function, not of a int$"):
        decorate(5)


@pytest.mark.parametrize("decorate", [flow, task])
def test_an_async_generator_is_refused(decorate):
    async def numbers():
        yield 1

    with pytest.raises(FlowDefinitionTypeError, match="cannot be an async generator: return a list"):
        decorate(numbers)

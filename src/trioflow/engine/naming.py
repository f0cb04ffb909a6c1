"""Names of runs: from a template, from a callable, or drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trioflow import clock
from trioflow.errors import FlowDefinitionError, FlowDefinitionTypeError

NameTemplate = str | Callable[[], str]
"""``"import-{day}"`` over the parameters, or a function without parameters that gives the whole name."""


def run_name(template: NameTemplate, parameters: Mapping[str, Any]) -> str:
    """The name that a run is given.

    Raises:
        FlowDefinitionTypeError: a callable that gives no string, or a template of another type.
        FlowDefinitionError: the template speaks of something that is no parameter.
    """
    match template:
        case str():
            return _filled(template, parameters)
        case Callable():
            return _called(template)
        case _:
            raise FlowDefinitionTypeError(
                f"Expected string or callable for a run's name; got {type(template).__name__} instead."
            )


def _filled(template: str, parameters: Mapping[str, Any]) -> str:
    try:
        return template.format(**parameters)
    except Exception as error:  # A parameter's own formatting may raise whatever it likes.
        known = ", ".join(parameters) or "none"
        raise FlowDefinitionError(
            f"the run name {template!r} cannot be filled in ({error!r}); the parameters are: {known}"
        ) from error


def _called(template: Callable[[], Any]) -> str:
    name = template()
    if not isinstance(name, str):
        raise FlowDefinitionTypeError(
            f"Callable {template!r} returned type {type(name).__name__} but a string is required."
        )
    return name


_ADJECTIVES = (  # noqa: SIM905 - a paragraph is easier to read than a column of quotes
    "able amber ample apt bold brave bright brisk calm candid clear clever cosy crisp daring deft eager "
    "early exact fair famous fine firm fleet fresh gentle glad golden good grand green happy hardy hearty "
    "honest humble jolly keen kind lively loyal lucid lucky mellow merry mighty mild modest neat nimble "
    "noble patient placid plucky polite proud quick quiet rapid ready robust rosy royal sage serene sharp "
    "silent silver simple smart snug sober solid sound sprightly steady stout sturdy subtle sunny sure "
    "swift tidy tranquil trusty upbeat vivid warm wise witty worthy zealous"
).split()
_ANIMALS = (  # noqa: SIM905 - a paragraph is easier to read than a column of quotes
    "adder albatross alpaca ant badger bat bear beaver bee bison boar buzzard camel carp cat cheetah "
    "cobra condor crab crane cricket crow deer dingo dolphin dove dragonfly duck eagle eel elk falcon "
    "ferret finch fox frog gazelle gecko gibbon goose gull hare hawk hedgehog heron hornet horse ibex "
    "ibis iguana jackal jaguar jay kestrel koala lark lemur leopard lion lizard lobster lynx magpie "
    "marmot marten mole moose moth newt octopus orca osprey otter owl panda panther parrot pelican "
    "penguin pike puffin puma quail rabbit raccoon raven robin salmon seal shark sparrow spider squid "
    "stoat stork swan swift tapir tiger toad trout turtle viper vole walrus wasp weasel whale wolf wombat "
    "wren yak"
).split()


def drawn_name() -> str:
    """A name for a run that nobody named: ``brave-otter``."""
    return f"{_drawn(_ADJECTIVES)}-{_drawn(_ANIMALS)}"


def _drawn(words: Sequence[str]) -> str:
    return words[int(clock.draw() * len(words))]

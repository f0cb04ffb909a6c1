"""The reference has every public name, once."""

from __future__ import annotations

import re
from collections import Counter

import trioflow
from tests.architecture.sources import ROOT

SHOWN = re.findall(
    r"^::: trioflow\.(\w+)$", (ROOT / "docs/reference.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_every_public_name_is_in_the_reference_once():
    public = set(trioflow.__all__) - {"__version__"} | {"errors"}

    assert Counter(SHOWN) == Counter(public)

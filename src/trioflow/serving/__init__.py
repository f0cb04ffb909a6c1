"""Serving: store, scheduler and runner in one nursery, for scripts (`serve`) and for nurseries (`aserve`).

Knows: how the parts are put together, in which order they end, and which signals end them.
May import: everything but cli and testing.
Never: policy of its own; each part keeps its own.
"""

from __future__ import annotations

from trioflow.serving.assembly import Serving, aserve, serve
from trioflow.serving.home import in_home, serve_home

__all__ = ["Serving", "aserve", "in_home", "serve", "serve_home"]

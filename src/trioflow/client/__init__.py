"""Carries calls to whoever answers them: in this process, or over a wire.

Knows: the two methods that every client has, and which one fits where the run's words go.
May import: wire, core, errors; local.py and connect.py also orchestrator and store; httpx only in remote.py.
Never: rules, tables, user code.
"""

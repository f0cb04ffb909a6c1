"""Runs user code: binds, calls, records and reports flows and tasks, each in a nursery of its own.

Knows: flows, tasks, futures, the runs around the current code, what a function's outcome means as a state.
May import: client, task_runners, wire, core, settings, clock, errors.
Never: stores, rules, tables, processes of others; what is decided is asked of the client.
"""

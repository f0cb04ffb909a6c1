"""Starts a process for a flow run, owns its tree to the end, and hands on what it says.

Knows: commands, environments, process trees, pipes, exit statuses.
May import: core, processes, settings, clock, errors.
Never: flows, clients, what a run's state should be.
"""

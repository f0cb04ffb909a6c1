"""Places a call: here and now, in a nursery at its turn, or elsewhere.

Knows: a callable, a nursery, how many calls may run at once.
May import: core, settings, clock, errors.
Never: flows, tasks, clients.
"""

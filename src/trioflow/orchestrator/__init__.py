"""Judges: loads the facts, lets the core decide, writes what was decided; one transaction for all that waits.

Knows: which facts a request needs, what every effect means for the store, what to tell those who wait for changes.
May import: store, wire, core, errors.
Never: a policy of its own (that is core's), user code, clients.
"""

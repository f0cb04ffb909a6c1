"""The pure heart: what a run is, which transitions are allowed, what happens next.

Knows: states, runs, proposals, the two tables and the rules in their cells.
May import: errors, attrs, pendulum and the pure parts of the standard library.
Never: I/O, the clock, randomness, threads, trio.
"""

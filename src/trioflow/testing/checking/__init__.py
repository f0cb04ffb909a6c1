"""How a rule is checked: small worlds, trials in them, what must hold, how it is told that it does not.

Knows: the tables, the lifecycle, what an orchestrator is asked; what a rule's code reaches.
May import: core, wire, orchestrator, store, clock, errors, the testing kit's strategies; Hypothesis.
Never: a rule's own business; what users call is one floor up.
"""

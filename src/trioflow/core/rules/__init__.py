"""The conditional rules: one pure function each, named as the sentence that it enforces.

Knows: a proposal and the facts that came with it.
May import: core's values and the retry arithmetic.
Never: the tables, another rule's answer, anything that acts.
"""

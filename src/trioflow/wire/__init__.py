"""How what the core knows is said to others: requests, replies, filters, the table of endpoints, JSON.

Knows: the shape of every message and of its JSON.
May import: core, errors, and cattrs (nowhere else).
Never: stores, clients, servers, I/O, trio.
"""

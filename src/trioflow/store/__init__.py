"""Remembers: runs one synchronous function in one transaction.

Knows: transactions, durability, who writes when, the schema and its versions.
May import: core, wire, errors, settings, clock; apsw only in sqlite.py, psycopg only in postgres.py.
Never: decides anything about a run; awaits inside a transaction.
"""

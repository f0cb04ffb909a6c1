"""Describes a flow so that someone else can run it: where it is, what it is called with, and when.

Knows: deployments as they are written, files of flows, the schema of a flow's parameters.
May import: engine, client, wire, core, settings, clock, errors.
Never: runners, schedulers, stores; nothing here runs a flow.
"""

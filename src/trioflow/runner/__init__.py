"""Claims flow runs and supervises the processes that run them.

Knows: how many runs this process may have at once.
May import: deployments, infrastructure, client, wire, core, errors.
Never: runs user code in its own process.
"""

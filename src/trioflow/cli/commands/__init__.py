"""What each command does; imported only when it is called.

Knows: what a command takes, asks and shows.
May import: whatever cli may.
Never: another command.
"""

"""The command line: one function per command, and how what is known is put on the screen.

Knows: the words that people type, the lines that they read, the exit codes that scripts read.
May import: everything but testing; cyclopts and rich nowhere else.
Never: a decision about a run; whatever it shows or asks for goes through a Client.
"""

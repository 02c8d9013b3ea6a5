"""Exit codes of a service, for whoever supervises it."""

EXIT_FAILED = 1
"""A component failed: whoever supervises the process starts it again."""
EXIT_UNUSABLE = 2
"""A setting or the machine is wrong: starting again does not help."""

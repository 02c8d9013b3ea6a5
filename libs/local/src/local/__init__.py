"""The local stack, and what tests start."""

"""The outside as the trainer meets it: one technology a module."""

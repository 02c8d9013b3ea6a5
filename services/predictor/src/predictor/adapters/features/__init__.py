"""Stored features."""

"""Scores whole tables, by the same steps as a request."""

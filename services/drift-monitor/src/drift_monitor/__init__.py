"""Joins predictions with late labels, measures every arm, and says when the world changed."""

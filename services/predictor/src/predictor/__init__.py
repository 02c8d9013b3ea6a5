"""Answers predictions over HTTP with the champion or the canary, and logs each of them."""

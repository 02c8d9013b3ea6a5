"""The demo of any model: cases that its folder brings, replayed against the running platform."""

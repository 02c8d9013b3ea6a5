"""The demo: a year of flights, replayed against the running platform."""

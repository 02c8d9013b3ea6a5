"""Writes what is made from the models: JSON Schema, AsyncAPI and the page for people.

Run `python -m event_schemas.generate`; `--check` says what is stale, `--against` what would break
the readers of the last release. It works on a checkout; services never import it.
"""

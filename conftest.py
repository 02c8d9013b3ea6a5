"""Fixtures for every suite: one broker and one Valkey a session, started when first asked for."""

pytest_plugins = ["local.fixtures"]

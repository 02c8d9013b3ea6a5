"""Each server's command line, configuration and readiness, for the local stack and for tests."""

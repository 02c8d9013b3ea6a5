"""The tailrace command, for people."""

"""What clients of a platform do: ask, send, and read along until something has come about."""

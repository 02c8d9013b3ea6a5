"""The rules of a rollout, as pure functions on frozen state."""

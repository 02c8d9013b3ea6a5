"""The drill: a stack with traffic is lost, comes back from its backup, and goes on."""

"""The deployer: rolls approved models out in steps, judges each step, and rolls back."""

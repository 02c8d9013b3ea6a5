"""What the trainer does with events."""

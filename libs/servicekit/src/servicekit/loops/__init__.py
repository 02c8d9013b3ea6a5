"""The loops that carry events through a service, over any bus."""

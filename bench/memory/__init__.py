"""Five million events through every service, and what memory does meanwhile."""

"""What the topics should be, and what it takes to make them so."""

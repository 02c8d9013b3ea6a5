"""What a record has to look like, and what a table already holds: plain Python."""

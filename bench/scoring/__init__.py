"""What scoring a table costs, and how much memory it takes."""

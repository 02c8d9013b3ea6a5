"""What the ports are in production."""

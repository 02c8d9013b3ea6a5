"""What the trainer decides and computes: plain Python and numpy, no events, no clock."""

"""What each part of the platform costs for each prediction, label and record."""

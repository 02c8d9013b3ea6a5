"""Takes records and labels in, checks them, and writes the lake and the feature store."""

"""Where ingest meets files, the lake and the feature store."""

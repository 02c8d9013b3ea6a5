"""`drift-monitor watch`: live and light, in memory; nothing relies on it."""

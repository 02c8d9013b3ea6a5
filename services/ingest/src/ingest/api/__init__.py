"""Records and labels over HTTP."""

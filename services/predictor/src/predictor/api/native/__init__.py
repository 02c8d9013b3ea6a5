"""The predictor's own API."""

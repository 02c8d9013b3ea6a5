"""The predictor under more than it can take."""

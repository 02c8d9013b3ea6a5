"""Decides on retraining, trains, gates and registers models."""

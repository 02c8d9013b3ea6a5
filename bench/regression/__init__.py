"""Holds new results of the benchmarks against those that are committed."""

"""Benchmarks of one file, which take a minute or two: `make bench`."""

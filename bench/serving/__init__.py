"""The predictor beside other Python model servers: `make bench-serving`."""

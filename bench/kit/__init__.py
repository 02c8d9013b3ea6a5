"""What `bench/kit_throughput.py` measures."""

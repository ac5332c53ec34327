"""Benchmarks on a CPU: ``python -m benchmarks.compare``."""

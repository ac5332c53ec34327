"""Benchmarks on a CUDA device: ``python -m benchmarks.compare --device cuda``."""

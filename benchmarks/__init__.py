"""Benchmarks: gpuols beside its rivals, in one run, answers checked first."""

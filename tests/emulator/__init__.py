"""CUDA kernels executed on a CPU: one fiber a thread, every access to memory looked at."""

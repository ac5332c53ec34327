"""The CUDA device that a run takes place on, or why there is none."""

import gc
import os
import sys

import gpuols
from benchmarks.machine import Machine


def missing() -> str | None:
    """Why there is no CUDA device to measure on, or None."""
    state = gpuols.info().engines["cuda"]
    return None if state.startswith("ready") else state


def cuda() -> Machine:
    """The current CUDA device. JAX, if it comes later, then leaves the others some memory.

    JAX keeps what it took and has no call to give it back; its allocator that does so asks the
    driver each time, which would be part of its times.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import cupy

    def free() -> None:
        gc.collect()
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()

    return Machine(cupy, "cuda", cupy.cuda.Device().synchronize, free)

"""What the arrays of a run live on: CuPy and its device, or NumPy where there is none."""

import gc
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gpuols


@dataclass(frozen=True)
class Machine:
    """Where a run takes place.

    Attributes
    ----------
    xp : module
        The namespace of the arrays.
    device : str
        gpuols' option of that name.
    wait : callable
        Returns once all work that was started is done.
    free : callable
        Gives back memory that libraries keep without using it.
    """

    xp: Any
    device: str
    wait: Callable[[], None]
    free: Callable[[], None]


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


def on_host(array: Any) -> Any:
    """A NumPy array of the values of a CuPy, torch, JAX or NumPy array."""
    import numpy as np

    if hasattr(array, "get"):
        return array.get()
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)

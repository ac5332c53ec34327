"""What the arrays of a run live on: CuPy and its device, or NumPy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


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


def on_host(array: Any) -> Any:
    """A NumPy array of the values of a CuPy, torch, JAX or NumPy array."""
    if hasattr(array, "get"):
        return array.get()
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)

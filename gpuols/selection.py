"""Selection: ranges of a count, one index for many arrays, a key as a list of one."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def picker(lead: tuple[int, ...], where: Any) -> Callable[[Any], Any]:
    """Function that indexes the leading axes L of any array by `where`, which is on the host."""
    if isinstance(where, slice) and len(lead) == 1:
        return lambda a: a[where]
    count = math.prod(lead)
    places = np.arange(count).reshape(lead)[where]

    def pick(a: Any) -> Any:
        tail = a.shape[len(lead) :]
        flat = a.reshape((count, *tail))
        return flat[np.asarray(places.ravel(), like=a)].reshape(places.shape + tail)

    return pick


def ranges(count: int, step: int) -> list[slice]:
    """Ranges of `step`, the last one shorter, that cover ``range(count)``."""
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def listed(key: Any) -> Array:
    """Array (1,) of one key, of its own dtype where it is NumPy's, else of objects."""
    return np.array([key], None if isinstance(key, np.generic) else object)

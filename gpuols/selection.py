"""Selection: one index for the leading axes of many arrays."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def picker(lead: tuple[int, ...], where: Any) -> Callable[[Array], Array]:
    """Function that indexes the leading axes L of any array by `where`."""
    if isinstance(where, slice) and len(lead) == 1:
        return lambda a: a[where]
    count = math.prod(lead)
    places = np.arange(count).reshape(lead)[where]

    def pick(a: Array) -> Array:
        tail = a.shape[len(lead) :]
        return np.asarray(a.reshape((count, *tail))[places.ravel()].reshape(places.shape + tail))

    return pick

"""Refined: the moments, in double-double, of the designs that had a second look."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.moments import Moments


@dataclass(frozen=True, eq=False)
class Refined:
    """Moments in double-double of some regressions of a batch.

    Attributes
    ----------
    places : (r,)
        Their numbers in the flattened batch, ascending; on the host.
    moments : Moments
        L = (r,).
    """

    places: NDArray[np.int64]
    moments: Moments

    def map(self, change: Callable[[Any], Any]) -> Self:
        """The same with every array of the moments changed by one function."""
        return type(self)(self.places, self.moments.map(change))

    def take(self, chosen: NDArray[np.int64]) -> Self | None:
        """Those among some regressions, given by number in the order they are to have."""
        if not len(self.places):
            return None
        found = np.minimum(np.searchsorted(self.places, chosen), len(self.places) - 1)
        here = np.flatnonzero(self.places[found] == chosen)
        if not len(here):
            return None
        return type(self)(here, self.moments[found[here]])

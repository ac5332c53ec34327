"""Moments: all that a regression needs to know of its rows, small and additive.

Moments are taken about an anchor near the data (zero where there is no intercept), then about
the mean. Two sets of rows are joined by Chan's update from their means, never by adding raw
sums of products, in double-double: a stream of a million pieces loses no digits. The mean steps
from the heavier side, because from the lighter one the step itself can exceed the data's spread.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.errors import InputError
from gpuols.numerics import chan
from gpuols.records import filled
from gpuols.sums import Low, Sums
from gpuols.units import exponents

Array = NDArray[np.float64]

_ANY = np.iinfo(np.int32).min


@filled
@dataclass(frozen=True, eq=False, repr=False)
class Moments(Sums):
    """Moments of the rows of one or many regressions; ``a + b`` joins two sets of rows.

    L is the shape of the batch, k the number of columns of X, m of responses, q = k + m; the
    arrays are those of `gpuols.sums.Sums`.
    """

    def with_responses(self, m: int) -> Self:
        """Moments of one design, L = (), with room for m responses instead of its own."""
        return self._on_responses(lambda a: np.zeros((*a.shape[:-1], m), a.dtype))

    def take_responses(self, columns: NDArray[np.int64]) -> Self:
        """Moments of some responses of a design they share, L = ()."""
        names = self.responses and tuple(self.responses[i] for i in columns)
        return replace(
            self._on_responses(lambda a: a[..., np.asarray(columns, like=a)]), responses=names
        )

    def _on_responses(self, change: Callable[[Array], Array]) -> Self:
        """Moments of one design, what belongs to the responses, on the last axis, changed."""
        k = self.k

        def vector(a: Array) -> Array:
            return np.concatenate([a[:k], change(a[k:])])

        def units(a: Array) -> Array:
            return np.concatenate([a[:k], change(a[k:-1]), a[-1:]])

        vectors = dict.fromkeys(("anchor", "mean", "raw"), vector)
        return self._changed({**vectors, "sxy": change, "syy": change, "units": units})

    def store_responses(self, columns: Any, part: Self) -> None:
        """Write the moments of some responses into their places, L = ()."""
        k = self.k
        for mine, theirs in ((self, part), (self.low, part.low)):
            if mine is None or theirs is None:
                continue
            for name in ("anchor", "mean", "raw"):
                if hasattr(mine, name):
                    getattr(mine, name)[k:][columns] = getattr(theirs, name)[k:]
            mine.sxy[:, columns] = theirs.sxy
            mine.syy[columns] = theirs.syy
        if self.units is not None and part.units is not None:
            self.units[k:-1][columns] = part.units[k:-1]

    def by_response(self) -> Self:
        """Moments of one design, L = (), as a batch of its m responses, L = (m,)."""
        k, m = self.k, self.m

        def spread(a: Array) -> Array:
            return np.broadcast_to(a, (m, *a.shape))

        def vector(a: Array) -> Array:
            return np.concatenate([spread(a[:k]), a[k:, None]], axis=1)

        def units(a: Array) -> Array:
            return np.concatenate([spread(a[:k]), a[k:-1, None], spread(a[-1:])], axis=1)

        return self._changed(
            {
                **dict.fromkeys(("nobs", "sumw", "sum_log_w", "sxx"), spread),
                **dict.fromkeys(("anchor", "mean", "raw"), vector),
                "sxy": lambda a: a.T[:, :, None],
                "syy": lambda a: a[:, None],
                "units": units,
            }
        )

    def __add__(self, other: Self) -> Self:
        """Moments of both sets of rows together.

        Source: Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance.
        """
        if not isinstance(other, Moments):
            return NotImplemented
        _check_alike(self, other)
        units = None
        if self.units is not None or other.units is not None:
            units = np.maximum(self._needed_units, other._needed_units)
            units = np.where(units == _ANY, 0, units)
        a, b = self.in_units(units), other.in_units(units)
        joined, low = chan.join(a, b)
        high: dict[str, Any] = dict(joined)
        return replace(
            a,
            nobs=a.nobs + b.nobs,
            sum_log_w=a.sum_log_w + b.sum_log_w,
            low=Low(**low),
            precise=a.precise and b.precise,
            **high,
        )

    @property
    def _own_units(self) -> NDArray[np.int32]:
        return np.zeros(1, np.int32) if self.units is None else self.units

    @property
    def _needed_units(self) -> NDArray[np.int32]:
        """Exponents of the units, `_ANY` for columns and weights that are zero throughout."""
        zero = [(self.raw == 0) & (self.anchor == 0), np.asarray(self.sumw == 0)[..., None]]
        return np.where(np.concatenate(zero, axis=-1), _ANY, self._own_units)

    def in_units(self, units: NDArray[np.int32] | None) -> Self:
        """Moments with the columns and weights divided by other powers of two, L+(q+1,)."""
        if units is None or (units == self._own_units).all():
            return self
        shift = np.broadcast_to(self._own_units - units, units.shape)
        changes = {
            name: partial(_scaled, exponent=exponent)
            for name, exponent in exponents(shift, self.k).items()
        }
        return replace(self._changed(changes), units=units)

    def __radd__(self, other: object) -> Self:
        """Sum of a list starts from zero."""
        return self if other == 0 else NotImplemented


def _scaled(a: Array, exponent: NDArray[np.int32]) -> Array:
    return np.ldexp(a, exponent)


def _check_alike(a: Moments, b: Moments) -> None:
    words = {"apart": 'missing="drop"', "lead": "batch shape", "k": "columns", "m": "responses"}
    words |= {
        "centered": "add_intercept",
        "terms": "names of columns",
        "responses": "names of responses",
        "single": "y (n,)",
    }
    for name, what in words.items():
        mine, theirs = getattr(a, name), getattr(b, name)
        if mine != theirs:
            came, expected = f"{what} = {theirs} on the right of +", f"{mine} as on its left"
            remedy = "add moments of the same regressions, formed with the same options"
            raise InputError("moments", came, expected, remedy)

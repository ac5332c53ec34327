"""Sums: the arrays that moments are made of, for many regressions at a time.

They lie in memory with the regressions last, whatever their shape says, because everything that
reads them works on many regressions at a time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.numerics.lanes import to_first
from gpuols.records import changed
from gpuols.selection import picker

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Low:
    """Low parts of the double-double moments; shapes as in `Sums`."""

    sumw: Array
    mean: Array
    sxx: Array
    sxy: Array
    syy: Array


@dataclass(frozen=True, eq=False, repr=False)
class Sums:
    """Moments of the rows of one or many regressions.

    L is the shape of the batch, k the number of columns of X, m of responses, q = k + m;
    vectors of length q list the columns of X first, then the responses.

    Attributes
    ----------
    nobs : L
        Rows of positive weight.
    sumw, sum_log_w : L
        Sum of the weights, and of their logarithms, over those rows.
    anchor : L+(q,)
        The point about which the rows were shifted.
    mean : L+(q,)
        Weighted mean, minus the anchor.
    sxx, sxy, syy : L+(k,k), L+(k,m), L+(m,)
        Weighted sums of squares and products, about the mean where `centered`, else about zero.
    raw : L+(q,)
        Weighted sums of squares about the anchor, before centring: they scale the error bound.
    low : Low or None
        Low parts, where sums were joined or formed in double-double.
    units : L+(q+1,) or None
        Exponents of the powers of two by which the columns, and last the weights, were divided
        before anything was summed; None where by none.
    precise : bool
        Whether the rows themselves were summed in double-double.
    centered : bool
        Whether the model has an intercept.
    single : bool
        Whether y came without an axis of responses.
    apart : bool
        Whether the last axis of L counts responses, of one regression each (m = 1), because
        each keeps rows of its own.
    terms, responses : tuple of str or None
        Names of the columns of X and of y, where they came with some.
    """

    nobs: Array
    sumw: Array
    sum_log_w: Array
    anchor: Array
    mean: Array
    sxx: Array
    sxy: Array
    syy: Array
    raw: Array
    low: Low | None = None
    units: NDArray[np.int32] | None = None
    precise: bool = False
    centered: bool = False
    single: bool = False
    apart: bool = False
    terms: tuple[str, ...] | None = None
    responses: tuple[str, ...] | None = None

    @classmethod
    def empty(cls, count: int, k: int, m: int, *, centered: bool, precise: bool = False) -> Self:
        """Room for the moments of `count` regressions, L = (count,)."""

        def room(*shape: int) -> Array:
            return to_first(np.zeros((*shape, count)))

        def sums() -> tuple[Array, ...]:
            return room(), room(k + m), room(k, k), room(k, m), room(m)

        sumw, mean, sxx, sxy, syy = sums()
        vectors = room(k + m), mean, sxx, sxy, syy, room(k + m)
        empty = cls(room(), sumw, room(), *vectors, centered=centered)
        if not precise:
            return empty
        units = np.zeros((count, k + m + 1), np.int32)
        return changed(empty, low=Low(*sums()), units=units, precise=True)

    @property
    def lead(self) -> tuple[int, ...]:
        """Shape L of the batch."""
        return self.sxy.shape[:-2]

    @property
    def k(self) -> int:
        """Number of columns of X."""
        return int(self.sxy.shape[-2])

    @property
    def m(self) -> int:
        """Number of responses."""
        return int(self.sxy.shape[-1])

    @property
    def batch(self) -> tuple[int, ...]:
        """Shape of the batch without an axis of responses."""
        return self.lead[:-1] if self.apart else self.lead

    @property
    def means(self) -> tuple[Array, ...]:
        """Parts whose sum is the weighted mean, L+(q,) each."""
        low = () if self.low is None else (self.low.mean,)
        return self.anchor, self.mean, *low

    def map(self, change: Callable[[Array], Array]) -> Self:
        """Moments with every array, low parts included, changed by one function."""
        low, own = self.low, _arrays(self)
        if low is not None:
            low = changed(low, **{name: change(array) for name, array in vars(low).items()})
        return changed(self, low=low, **{name: change(array) for name, array in own.items()})

    def store(self, where: Any, part: Self) -> None:
        """Write the moments of some regressions into their places of the first axis."""
        for mine, theirs in ((self, part), (self.low, part.low)):
            if mine is not None and theirs is not None:
                for name, array in _arrays(mine).items():
                    array[where] = getattr(theirs, name)

    def __getitem__(self, where: Any) -> Self:
        """Moments of a subset of the batch, indexed as an array of its shape."""
        if not self.batch:
            raise IndexError("the moments of a single design have no batch axis to index")
        return self.map(picker(self.batch, where))

    def with_room_for(self, part: Self) -> Self:
        """Moments that can hold the units of some others."""
        if self.units is not None or part.units is None or not part.units.any():
            return self
        return changed(self, units=np.zeros((*self.lead, self.k + self.m + 1), np.int32))

    def reshape(self, lead: tuple[int, ...]) -> Self:
        """Moments with another shape L, of which no axis counts responses."""
        depth = len(self.lead)
        if lead == self.lead and not self.apart:
            return self
        reshaped = self.map(lambda a: a.reshape(lead + a.shape[depth:]))
        return changed(reshaped, apart=False) if self.apart else reshaped

    def _changed(self, changes: Mapping[str, Callable[[Array], Array]]) -> Self:
        """Moments with some arrays, and their low parts, each changed by its own function."""

        def of(part: Sums | Low) -> dict[str, Any]:
            present = _arrays(part).items()
            return {name: changes[name](array) for name, array in present if name in changes}

        low = None if self.low is None else changed(self.low, **of(self.low))
        return changed(self, low=low, **of(self))

    def __repr__(self) -> str:
        """Shapes, without the numbers."""
        rows = f"{self.nobs.sum():,.0f}"
        m = self.lead[-1] if self.apart else self.m
        return f"{type(self).__name__}(lead={self.batch}, k={self.k}, m={m}, rows={rows})"


_NUMBERS = ("nobs", "sumw", "sum_log_w", "anchor", "mean", "sxx", "sxy", "syy", "raw", "units")


def _arrays(part: Sums | Low) -> dict[str, Any]:
    own = vars(part)
    return {name: own[name] for name in _NUMBERS if own.get(name) is not None}

"""Moments: all that a regression needs to know of its rows, small and additive.

Moments are taken about an anchor near the data (zero where there is no intercept), then about
the mean. Two sets of rows are joined by Chan's update from their means, never by adding raw
sums of products, in double-double: a stream of a million pieces loses no digits. The mean steps
from the heavier side, because from the lighter one the step itself can exceed the data's spread.

Arrays lie in memory with the regressions last, whatever their shape says, because everything
that reads them works on many regressions at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.errors import InputError
from gpuols.numerics import chan
from gpuols.numerics import doubledouble as dd
from gpuols.numerics.lanes import to_first
from gpuols.selection import picker

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Low:
    """Low parts of the double-double moments; shapes as in `Moments`."""

    sumw: Array
    mean: Array
    sxx: Array
    sxy: Array
    syy: Array


@dataclass(frozen=True, eq=False, repr=False)
class Moments:
    """Moments of the rows of one or many regressions; ``a + b`` joins two sets of rows.

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
    centered : bool
        Whether the model has an intercept.
    single : bool
        Whether y came without an axis of responses.
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
    centered: bool = False
    single: bool = False
    terms: tuple[str, ...] | None = None
    responses: tuple[str, ...] | None = None

    @classmethod
    def empty(cls, count: int, k: int, m: int, *, centered: bool) -> Self:
        """Room for the moments of `count` regressions, L = (count,)."""

        def room(*shape: int) -> Array:
            return to_first(np.zeros((*shape, count)))

        return cls(
            nobs=room(),
            sumw=room(),
            sum_log_w=room(),
            anchor=room(k + m),
            mean=room(k + m),
            sxx=room(k, k),
            sxy=room(k, m),
            syy=room(m),
            raw=room(k + m),
            centered=centered,
        )

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
    def means(self) -> tuple[Array, ...]:
        """Parts whose sum is the weighted mean, L+(q,) each."""
        low = () if self.low is None else (self.low.mean,)
        return self.anchor, self.mean, *low

    def map(self, change: Callable[[Array], Array]) -> Self:
        """Moments with every array, low parts included, changed by one function."""
        return self._changed(dict.fromkeys(_NUMBERS, change))

    def store(self, where: Any, part: Self) -> None:
        """Write the moments of some regressions into their places of the first axis."""
        for name, array in _arrays(self).items():
            array[where] = getattr(part, name)

    def __getitem__(self, where: Any) -> Self:
        """Moments of a subset of the batch, indexed as an array of shape L."""
        if not self.lead:
            raise IndexError("the moments of a single design have no batch axis to index")
        return self.map(picker(self.lead, where))

    def reshape(self, lead: tuple[int, ...]) -> Self:
        """Moments with another shape of the batch."""
        depth = len(self.lead)
        return self.map(lambda a: a.reshape(lead + a.shape[depth:]))

    def with_responses(self, m: int) -> Self:
        """Moments of one design, L = (), with room for m responses instead of its own."""
        k = self.k

        def widened(a: Array) -> Array:
            return np.concatenate([a[:k], np.zeros(m)])

        return self._changed(
            {
                **dict.fromkeys(("anchor", "mean", "raw"), widened),
                "sxy": lambda a: np.zeros((k, m)),
                "syy": lambda a: np.zeros(m),
            }
        )

    def take_responses(self, columns: NDArray[np.int64]) -> Self:
        """Moments of some responses of a design they share, L = ()."""
        k = self.k

        def vector(a: Array) -> Array:
            return np.concatenate([a[:k], a[k:][columns]])

        def last(a: Array) -> Array:
            return a[..., columns]

        names = self.responses and tuple(self.responses[i] for i in columns)
        taken = self._changed(
            {"mean": vector, "anchor": vector, "raw": vector, "sxy": last, "syy": last}
        )
        return replace(taken, responses=names)

    def store_responses(self, columns: slice, part: Self) -> None:
        """Write the moments of some responses into their places, L = ()."""
        k = self.k
        for name in ("anchor", "mean", "raw"):
            getattr(self, name)[k:][columns] = getattr(part, name)[k:]
        self.sxy[:, columns] = part.sxy
        self.syy[columns] = part.syy

    def by_response(self) -> Self:
        """Moments of one design, L = (), as a batch of its m responses, L = (m,)."""
        k, m = self.k, self.m

        def spread(a: Array) -> Array:
            return np.broadcast_to(a, (m, *np.shape(a)))

        def vector(a: Array) -> Array:
            return np.concatenate([spread(a[:k]), a[k:, None]], axis=1)

        return self._changed(
            {
                **dict.fromkeys(("nobs", "sumw", "sum_log_w", "sxx"), spread),
                **dict.fromkeys(("anchor", "mean", "raw"), vector),
                "sxy": lambda a: a.T[:, :, None],
                "syy": lambda a: a[:, None],
            }
        )

    def _changed(self, changes: dict[str, Callable[[Array], Array]]) -> Self:
        """Moments with some arrays, and their low parts, each changed by its own function."""

        def changed(part: Moments | Low) -> dict[str, Any]:
            present = _arrays(part)
            return {
                name: change(present[name]) for name, change in changes.items() if name in present
            }

        low = None if self.low is None else replace(self.low, **changed(self.low))
        return replace(self, low=low, **changed(self))

    def __add__(self, other: Self) -> Self:
        """Moments of both sets of rows together.

        Source: Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance.
        """
        if not isinstance(other, Moments):
            return NotImplemented
        _check_alike(self, other)
        a, b = self, other
        union = chan.Union.of(_pair(a, "sumw"), _pair(b, "sumw"), _mean(a), _mean(b))
        mean = union.mean(_pair(a, "mean"))
        sums = {}
        for name, (left, right) in _outer(self.k).items():
            joined = dd.add(_pair(a, name), _pair(b, name))
            if self.centered:
                joined = dd.add(joined, union.between(left, right))
            sums[name] = joined
        high: dict[str, Any] = {name: pair[0] for name, pair in sums.items()}
        return replace(
            self,
            nobs=a.nobs + b.nobs,
            sumw=union.total[0],
            sum_log_w=a.sum_log_w + b.sum_log_w,
            mean=mean[0],
            raw=a.raw + b.raw + (union.between(..., ...)[0] if self.centered else 0.0),
            low=Low(
                sumw=union.total[1],
                mean=mean[1],
                **{name: pair[1] for name, pair in sums.items()},
            ),
            **high,
        )

    def __radd__(self, other: object) -> Self:
        """Sum of a list starts from zero."""
        return self if other == 0 else NotImplemented

    def __repr__(self) -> str:
        """Shapes, without the numbers."""
        rows = f"{self.nobs.sum():,.0f}"
        return f"Moments(lead={self.lead}, k={self.k}, m={self.m}, rows={rows})"


_NUMBERS = ("nobs", "sumw", "sum_log_w", "anchor", "mean", "sxx", "sxy", "syy", "raw")


def _arrays(part: Moments | Low) -> dict[str, Array]:
    return {name: getattr(part, name) for name in _NUMBERS if hasattr(part, name)}


def _check_alike(a: Moments, b: Moments) -> None:
    words = {"lead": "batch shape", "k": "columns", "m": "responses", "centered": "add_intercept"}
    words |= {"terms": "names of columns", "responses": "names of responses", "single": "y (n,)"}
    for name, what in words.items():
        mine, theirs = getattr(a, name), getattr(b, name)
        if mine != theirs:
            came, expected = f"{what} = {theirs} on the right of +", f"{mine} as on its left"
            remedy = "add moments of the same regressions, formed with the same options"
            raise InputError("moments", came, expected, remedy)


def _outer(k: int) -> dict[str, tuple[Any, Any]]:
    """Where the factors of each sum of products stand in a vector of length q."""
    x, y = slice(None, k), slice(k, None)
    return {
        "sxx": ((..., x, None), (..., None, x)),
        "sxy": ((..., x, None), (..., None, y)),
        "syy": ((..., y), (..., y)),
    }


def _pair(part: Moments, name: str) -> dd.Pair:
    high = getattr(part, name)
    return chan.exact(high) if part.low is None else (high, getattr(part.low, name))


def _mean(part: Moments) -> dd.Pair:
    return dd.add(chan.exact(part.anchor), _pair(part, "mean"))

"""Rows of many regressions in five shapes, as they lie in memory: float64, in C order.

Each has the slopes' columns as gpuols wants them, and the whole design, whose column of ones comes
first, as others do: k = p - 1. Of answers, the axis that counts regressions is the first, or the
last where responses are the columns of Y; `axis` says which.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
One = tuple[Array, Array, Array | None]
"""A regression by itself: design (n, p), y (n,) or (n, m), and weights (n,) or None."""


@dataclass(frozen=True, eq=False)
class Data:
    """Rows of many regressions.

    Attributes
    ----------
    slopes : (..., k)
        The columns beside the intercept.
    design : (..., p)
        The same with the column of ones.
    y : array
        Responses.
    """

    slopes: Array
    design: Array
    y: Array
    axis: ClassVar[int] = 0

    @property
    def count(self) -> int:
        """Regressions."""
        return self.y.shape[self.axis]

    @property
    def nbytes(self) -> int:
        """Bytes that gpuols is given."""
        return self.slopes.nbytes + self.y.nbytes

    def one(self, index: int) -> One:
        """A regression by itself, its rows complete."""
        raise NotImplementedError

    def each(self) -> Iterator[One]:
        """All of them, one after the other."""
        return (self.one(index) for index in range(self.count))

    def part(self, count: int) -> "Data":
        """The first so many, in memory of their own unless they are all."""
        raise NotImplementedError


class Batch(Data):
    """Designs (B, n, p) with y (B, n) or (B, n, m)."""

    def one(self, index: int) -> One:
        return self.design[index], self.y[index], None

    def part(self, count: int) -> "Batch":
        return Batch(self.slopes[:count], self.design[:count], self.y[:count])


class Shared(Data):
    """One design (n, p) and the columns of y (n, B)."""

    axis = -1

    def one(self, index: int) -> One:
        return self.design, self.y[:, index], None

    def part(self, count: int) -> "Shared":
        return type(self)(self.slopes, self.design, np.ascontiguousarray(self.y[:, :count]))


class Masked(Shared):
    """One design (n, p) and the columns of y (n, B), each with values missing: NaN."""

    def one(self, index: int) -> One:
        there = ~np.isnan(self.y[:, index])
        return self.design[there], self.y[there, index], None


@dataclass(frozen=True, eq=False)
class Weighted(Data):
    """One design (n, p), one response y (n,), and vectors of weights (B, n)."""

    weights: Array

    @property
    def count(self) -> int:
        return len(self.weights)

    @property
    def nbytes(self) -> int:
        return super().nbytes + self.weights.nbytes

    def one(self, index: int) -> One:
        return self.design, self.y, self.weights[index]

    def part(self, count: int) -> "Weighted":
        return Weighted(self.slopes, self.design, self.y, self.weights[:count])


@dataclass(frozen=True, eq=False)
class Groups(Data):
    """A long table: design (N, p), y (N,) and the key of each row (N,), in no order.

    The regressions are counted in the order of their keys.
    """

    keys: np.ndarray[Any, np.dtype[np.int64]]

    @cached_property
    def _lots(self) -> tuple[Any, Any]:
        """Keys (B,) in order, and the group of each row (N,)."""
        return np.unique(self.keys, return_inverse=True)

    @property
    def count(self) -> int:
        return len(self._lots[0])

    @property
    def nbytes(self) -> int:
        return super().nbytes + self.keys.nbytes

    def one(self, index: int) -> One:
        rows = np.flatnonzero(self._lots[1] == index)
        return self.design[rows], self.y[rows], None

    def each(self) -> Iterator[One]:
        """All groups, after the rows are put in order: nothing that was found before is used."""
        order = np.argsort(self.keys, kind="stable")
        starts = np.flatnonzero(np.diff(self.keys[order])) + 1
        design, y = self.design[order], self.y[order]
        for first, last in zip([0, *starts], [*starts, len(order)], strict=True):
            yield design[first:last], y[first:last], None

    def part(self, count: int) -> "Groups":
        if count == self.count:
            return self
        rows = self._lots[1] < count
        return Groups(self.slopes[rows], self.design[rows], self.y[rows], self.keys[rows])

"""Sums of products in double-double, over many lanes at once.

The factors are double-doubles themselves. Each product counts both low parts, and the sum is
renormalised after each: one term costs 24 operations, in place, on memory that is there already.

Source: Dekker (1971); Hida, Li & Bailey (2001), Algorithms for quad-double precision arithmetic.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from gpuols.numerics import doubledouble as dd
from gpuols.numerics.doubledouble import Array, Pair


@dataclass(frozen=True)
class Split:
    """Numbers high + low, low zero where None, and high cut in two halves of 26 bits."""

    high: Array
    low: Array | None
    head: Array
    tail: Array

    @classmethod
    def of(cls, number: tuple[Array, Array | None]) -> Self:
        """Cut the high part."""
        return cls(*number, *dd.split(number[0]))

    @property
    def number(self) -> Pair:
        """High and low part."""
        return dd.exact(self.high) if self.low is None else (self.high, self.low)

    def __getitem__(self, where: Any) -> "Split":
        """Part of the arrays."""
        low = None if self.low is None else self.low[where]
        return Split(self.high[where], low, self.head[where], self.tail[where])


def sum_products(left: Split, right: Split) -> Pair:
    """Sums of products over the steps.

    Parameters
    ----------
    left : (1 or c, steps, width)
        Left factors.
    right : (c, steps, width)
        Right factors.

    Returns
    -------
    pair of (c, width)
        The sums.
    """
    shape = len(right.high), right.high.shape[2]
    high, low = np.zeros(shape), np.zeros(shape)
    spare = np.empty((4, *shape))
    for s in range(right.high.shape[1]):
        _accumulate(high, low, left[:, s], right[:, s], spare)
    return high, low


def _accumulate(high: Array, low: Array, a: Split, b: Split, spare: Array) -> None:
    """Add the product of a and b to high + low, in place; `spare` is memory for four arrays."""
    product, error, total, part = spare
    np.multiply(a.high, b.high, out=product)
    np.multiply(a.head, b.head, out=error)
    error -= product
    terms = [(a.head, b.tail), (a.tail, b.head), (a.tail, b.tail)]
    if a.low is not None and b.low is not None:
        terms += [(a.high, b.low), (a.low, b.high)]
    for mine, theirs in terms:
        np.multiply(mine, theirs, out=part)
        error += part
    error += low
    np.add(high, product, out=total)
    np.subtract(total, high, out=part)
    product -= part
    np.subtract(total, part, out=part)
    np.subtract(high, part, out=part)
    product += part
    error += product
    np.add(total, error, out=high)
    np.subtract(high, total, out=part)
    np.subtract(error, part, out=low)

"""Chan's update: what joining two sets of rows does to their means and sums of products.

The mean steps from the heavier side: from the lighter one the step itself can exceed the data's
spread. Everything is in double-double, so that a stream of a million pieces loses no digits.

Source: Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from gpuols.numerics import doubledouble as dd
from gpuols.numerics.doubledouble import Array, Pair


@dataclass(frozen=True)
class Union:
    """Two sets of rows, a and b, joined.

    Attributes
    ----------
    total : pair of L
        Weight of both.
    gap : pair of L+(q,)
        Mean of b minus mean of a.
    moved : pair of L+(q,)
        The gap times W_a W_b / (W_a + W_b).
    step : pair of L
        Share of the gap that the mean moves, from the heavier side.
    from_a : L
        Whether a is the heavier.
    """

    total: Pair
    gap: Pair
    moved: Pair
    step: Pair
    from_a: Any

    @classmethod
    def of(cls, weight_a: Pair, weight_b: Pair, mean_a: Pair, mean_b: Pair) -> Self:
        """Join by weights L and means L+(q,)."""
        total = dd.add(weight_a, weight_b)
        nonzero = np.where(total[0] > 0, total[0], 1.0), total[1]
        share = dd.divide(weight_b, nonzero)
        factor = dd.multiply(weight_a, share)
        gap = dd.subtract(mean_b, mean_a)
        moved = dd.multiply((factor[0][..., None], factor[1][..., None]), gap)
        from_a = weight_a[0] >= weight_b[0]
        back = dd.divide((-weight_a[0], -weight_a[1]), nonzero)
        step = np.where(from_a, share[0], back[0]), np.where(from_a, share[1], back[1])
        return cls(total, gap, moved, step, from_a)

    def mean(self, near: Pair) -> Pair:
        """Mean of both, given that of a, both minus the anchor of a; L+(q,)."""
        far = dd.add(near, self.gap)
        heavy = self.from_a[..., None]
        start = np.where(heavy, near[0], far[0]), np.where(heavy, near[1], far[1])
        step = self.step[0][..., None], self.step[1][..., None]
        return dd.add(start, dd.multiply(step, self.gap))

    def between(self, left: Any, right: Any) -> Pair:
        """What the gap adds to sums of products whose factors stand at `left` and `right`."""
        moved = self.moved[0][left], self.moved[1][left]
        return dd.multiply(moved, (self.gap[0][right], self.gap[1][right]))


def join(a: Any, b: Any) -> tuple[dict[str, Array], dict[str, Array]]:
    """Join the moments of two sets of rows.

    Parameters
    ----------
    a, b : Moments
        Of the same regressions, in the same units.

    Returns
    -------
    high, low : dict
        The arrays that change, by name, and the low parts of those that have one; means are
        relative to the anchor of a.
    """
    with np.errstate(all="ignore"):
        return _join(a, b)


def _join(a: Any, b: Any) -> tuple[dict[str, Array], dict[str, Array]]:
    union = Union.of(_pair(a, "sumw"), _pair(b, "sumw"), _mean(a), _mean(b))
    sums = {"sumw": union.total, "mean": union.mean(_pair(a, "mean"))}
    for name, (left, right) in _outer(a.sxy.shape[-2]).items():
        sums[name] = dd.add(_pair(a, name), _pair(b, name))
        if a.centered:
            sums[name] = dd.add(sums[name], union.between(left, right))
    high, low = ({name: pair[part] for name, pair in sums.items()} for part in (0, 1))
    between = union.between(..., ...)[0] if a.centered else 0.0
    return high | {"raw": a.raw + b.raw + between}, low


def _outer(k: int) -> dict[str, tuple[Any, Any]]:
    """Where the factors of each sum of products stand in a vector of length q."""
    x, y = slice(None, k), slice(k, None)
    return {
        "sxx": ((..., x, None), (..., None, x)),
        "sxy": ((..., x, None), (..., None, y)),
        "syy": ((..., y), (..., y)),
    }


def _pair(part: Any, name: str) -> Pair:
    high = getattr(part, name)
    return dd.exact(high) if part.low is None else (high, getattr(part.low, name))


def _mean(part: Any) -> Pair:
    return dd.add(dd.exact(part.anchor), _pair(part, "mean"))

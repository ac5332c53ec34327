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


def exact(a: Array) -> Pair:
    """Numbers without a low part."""
    return a, np.zeros_like(a)

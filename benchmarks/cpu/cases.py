"""The cases: what is fitted, and the least that has to be read and computed for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.cpu.data import Array, Batch, Data, Groups, Masked, Shared, Weighted

_LEAST, _MOST = 20, 500
_MISSING = 0.1


@dataclass(frozen=True)
class Case:
    """Regressions of like shape, an intercept among their p coefficients.

    Attributes
    ----------
    letter : str
        What it is called for short.
    kind : type
        How the rows lie.
    count, n, p : int
        Regressions, rows of each (of groups: of all) and coefficients.
    m : int
        Responses of each.
    """

    letter: str
    kind: type[Data]
    count: int
    n: int
    p: int
    m: int = 1

    @property
    def name(self) -> str:
        """Letter and sizes."""
        return f"{self.letter}: {_NAMES[self.kind].format(**vars(self))}" + (
            f", {self.m} responses" if self.m > 1 else ""
        )

    def bytes(self) -> int:
        """Bytes of the slopes' columns, responses, weights and keys, each read once."""
        k, m = self.p - 1, self.m
        numbers = {
            Batch: self.count * self.n * (k + m),
            Shared: self.n * (k + self.count),
            Masked: self.n * (k + self.count),
            Weighted: self.n * (k + 1 + self.count),
            Groups: self.n * (k + 2),
        }
        return 8 * numbers[self.kind]

    def flops(self) -> int:
        """Operations for the sums of products that differ from regression to regression."""
        squares = 0 if self.kind is Shared else self.p * (self.p + 1)
        rows = self.n if self.kind is Groups else self.count * self.n
        return rows * (squares + 2 * self.p * self.m + 2 * self.m)

    def make(self) -> Data:
        """The rows, well conditioned, about half of y noise; the same ones each time."""
        return _MAKERS[self.kind](self, np.random.default_rng(ord(self.letter[-1])))


_NAMES = {
    Batch: "{count:,} x ({n:,} x {p})",
    Shared: "one ({n:,} x {p}), {count:,} responses",
    Masked: "one ({n:,} x {p}), {count:,} responses, a tenth of each missing",
    Weighted: "one ({n:,} x {p}), {count:,} vectors of weights",
    Groups: "{n:,} rows in no order, {count:,} groups, p = {p}",
}


def _with_ones(slopes: Array) -> Array:
    return np.concatenate([np.ones((*slopes.shape[:-1], 1)), slopes], axis=-1)


def _batch(case: Case, rng: np.random.Generator) -> Data:
    slopes = rng.standard_normal((case.count, case.n, case.p - 1))
    design = _with_ones(slopes)
    y = design @ (rng.standard_normal((case.count, case.p, case.m)) / case.p**0.5)
    y += rng.standard_normal(y.shape)
    return Batch(slopes, design, y if case.m > 1 else y[:, :, 0])


def _shared(case: Case, rng: np.random.Generator) -> Data:
    slopes = rng.standard_normal((case.n, case.p - 1))
    design = _with_ones(slopes)
    y = rng.standard_normal((case.n, case.count))
    y += design @ (rng.standard_normal((case.p, case.count)) / case.p**0.5)
    if case.kind is Masked:
        y[rng.random(y.shape) < _MISSING] = np.nan
    return case.kind(slopes, design, y)


def _weighted(case: Case, rng: np.random.Generator) -> Data:
    slopes = rng.standard_normal((case.n, case.p - 1))
    design = _with_ones(slopes)
    y = design.sum(axis=1) / case.p**0.5 + rng.standard_normal(case.n)
    return Weighted(slopes, design, y, 0.5 + rng.random((case.count, case.n)))


def _groups(case: Case, rng: np.random.Generator) -> Data:
    """Groups of many sizes, their keys anywhere among the integers."""
    names = rng.choice(2**62, case.count, replace=False) * rng.choice([-1, 1], case.count)
    group = rng.permutation(np.repeat(np.arange(case.count), _sizes(case, rng)))
    slopes = rng.standard_normal((case.n, case.p - 1))
    design = _with_ones(slopes)
    y = (design * rng.standard_normal((case.count, case.p))[group]).sum(axis=1) / case.p**0.5
    return Groups(slopes, design, y + rng.standard_normal(case.n), names[group])


def _sizes(case: Case, rng: np.random.Generator) -> np.ndarray:
    """Rows of each group: from _LEAST to _MOST, that make up all rows."""
    sizes = rng.integers(_LEAST, 2 * case.n // case.count - _LEAST + 1, case.count)
    while surplus := int(sizes.sum()) - case.n:
        step = -np.sign(surplus)
        able = np.flatnonzero((sizes + step >= _LEAST) & (sizes + step <= _MOST))
        sizes[rng.permutation(able)[: abs(surplus)]] += step
    return sizes


_MAKERS: dict[type[Data], Callable[[Case, np.random.Generator], Data]] = {
    Batch: _batch,
    Shared: _shared,
    Masked: _shared,
    Weighted: _weighted,
    Groups: _groups,
}

CASES = (
    Case("W1", Batch, 10_000, 100, 5),
    Case("W2", Batch, 100_000, 60, 4),
    Case("W3", Batch, 2_000, 1_000, 20),
    Case("W4", Batch, 200, 5_000, 50, 4),
    Case("W5", Shared, 200_000, 500, 10),
    Case("W7", Groups, 20_000, 5_000_000, 4),
    Case("W9", Weighted, 10_000, 1_000, 10),
    Case("W10", Masked, 50_000, 200, 6),
    Case("A", Batch, 1, 1_000_000, 10),
)

_QUICK = {
    **{"W1": 20, "W2": 30, "W3": 4, "W4": 2, "W5": 20},
    **{"W7": 12, "W9": 12, "W10": 20, "A": 1},
}
_QUICK_ROWS = 200
"""Regressions, and their rows at most, to see that everything runs, not how fast."""


def every(quick: bool) -> list[Case]:
    """All cases; few regressions of each where quick."""
    return [_small(case) for case in CASES] if quick else list(CASES)


def _small(case: Case) -> Case:
    count = _QUICK[case.letter]
    rows = case.n * count // case.count if case.kind is Groups else min(case.n, _QUICK_ROWS)
    return replace(case, count=count, n=rows)

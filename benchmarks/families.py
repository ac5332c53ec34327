"""Families of hard regressions, each with a difficulty d from easy (1e2) to hopeless (1e14)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gpuols

Array = np.ndarray[Any, np.dtype[np.float64]]
Generator = np.random.Generator
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Batch:
    """Regressions of equal size, or responses that share one design (then without the B axis).

    Attributes
    ----------
    X : (B, n, k) or (n, k)
        Regressors.
    y : (B, n, m) or (n, m)
        Responses.
    add_intercept : bool
        Whether there is an intercept.
    weights : (B, n) or (n,), optional
        Inverse variances.
    ridge : (B,) or float
        Penalties.
    """

    X: Array
    y: Array
    add_intercept: bool
    weights: Array | None = None
    ridge: Array | float = 0.0

    def fit(self, **options: Any) -> gpuols.Result:
        """Fit by gpuols."""
        given = {"weights": self.weights, "ridge": self.ridge, "add_intercept": self.add_intercept}
        return gpuols.fit(self.X, self.y, **given, **options)

    def singles(self) -> list["Batch"]:
        """Each design with its responses, weights and penalty: X (n, k), y (n, m)."""
        if self.X.ndim == 2:
            return [self]
        ridge = np.broadcast_to(self.ridge, len(self.X))
        weights = [None] * len(self.X) if self.weights is None else self.weights
        parts = zip(self.X, self.y, weights, ridge, strict=True)
        return [Batch(X, y, self.add_intercept, w, float(r)) for X, y, w, r in parts]


# Designs: from a generator, a difficulty and a shape (count, n, k) to X.


def condition(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """Singular values from 1 to 1/d, evenly on a logarithmic scale."""
    return _with_singular_values(rng, np.geomspace(1.0, 1.0 / difficulty, shape[2]), shape)


def one_direction(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """All singular values 1, but for one of 1/d."""
    return _with_singular_values(rng, np.r_[np.ones(shape[2] - 1), 1.0 / difficulty], shape)


def badly_scaled(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """Condition d in columns of units between 1e-8 and 1e8."""
    units = 10.0 ** rng.uniform(-8.0, 8.0, (shape[0], 1, shape[2]))
    return condition(rng, difficulty, shape) * units


def near_duplicate(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """The last column is the first but for a d-th part."""
    X = rng.standard_normal(shape)
    X[:, :, -1] = X[:, :, 0] + X[:, :, -1] / difficulty
    return X


def near_duplicates(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """The first half of the columns are one column but for a d-th part."""
    X = rng.standard_normal(shape)
    half = max(1, shape[2] // 2)
    X[:, :, :half] = X[:, :, :1] + X[:, :, :half] / difficulty
    return X


def far_from_zero(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """Columns whose mean is about d standard deviations."""
    return rng.standard_normal(shape) + difficulty * rng.uniform(0.5, 2.0, (shape[0], 1, shape[2]))


def timestamps(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """The first column counts seconds since 1970, all within 1.7e9 / d of them, or one."""
    X = rng.standard_normal(shape)
    X[:, :, 0] = 1.7e9 - np.sort(rng.uniform(0.0, max(1.7e9 / difficulty, 1.0), shape[:2]))
    return X


def years(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """A year and its square, within a range that shrinks with d from 600 years to less than one."""
    X = rng.standard_normal(shape)
    year = 2000.0 + rng.uniform(0.0, 2000.0 / difficulty**0.25, shape[:2])
    X[:, :, 0] = year
    if shape[2] > 1:
        X[:, :, 1] = year**2
    return X


def polynomial(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """Powers of x between c and c + 1 for c = d^(1/6)."""
    x = difficulty ** (1 / 6) + rng.uniform(0.0, 1.0, (*shape[:2], 1))
    return np.asarray(x ** np.arange(1, shape[2] + 1))


def outlier_first(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """The first row is d times the size of the others."""
    X = rng.standard_normal(shape)
    X[:, 0] *= difficulty
    return X


def dummies(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """Years, a dummy, their product, the years' square."""
    X = rng.standard_normal(shape)
    year = 2000.0 + rng.integers(0, 20, shape[:2])
    dummy = (rng.random(shape[:2]) < 0.3).astype(float)
    for j, column in enumerate((year, dummy, year * dummy, year**2)[: shape[2]]):
        X[:, :, j] = column
    return X


def counts(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """Whole numbers around the root of d."""
    return rng.poisson(1.0 + difficulty**0.5, shape).astype(float)


def single_precision(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """Nearly collinear columns, rounded to float32."""
    return near_duplicate(rng, difficulty, shape).astype(np.float32).astype(float)


def prices(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """Random walks at a level of the root of d, in cents."""
    steps = 0.01 * rng.standard_normal(shape)
    return np.asarray(np.round(100.0 * np.exp(np.cumsum(steps, axis=1)) * difficulty**0.5, 2))


def lags(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """One random walk around the root of d, and its past."""
    count, n, k = shape
    walk = difficulty**0.5 + np.cumsum(rng.standard_normal((count, n + k)), axis=1)
    return np.stack([walk[:, k - j : k - j + n] for j in range(k)], axis=2)


def few_values(rng: Generator, difficulty: float, shape: Shape) -> Array:
    """Multiples of 0.1, which round the same way in every row, beside a large constant."""
    level = np.round(difficulty**0.25, 1)
    return np.asarray(level + rng.choice([0.0, 0.1, 0.3], shape))


DESIGNS: dict[str, Callable[[Generator, float, Shape], Array]] = {
    "condition": condition,
    "one direction": one_direction,
    "badly scaled": badly_scaled,
    "near duplicate": near_duplicate,
    "near duplicates": near_duplicates,
    "far from zero": far_from_zero,
    "timestamps": timestamps,
    "year, year²": years,
    "polynomial": polynomial,
    "outlier first": outlier_first,
    "dummies": dummies,
    "counts": counts,
    "single precision": single_precision,
    "prices": prices,
    "lags": lags,
    "few values": few_values,
}


def _uniform(rng: Generator, shape: tuple[int, int]) -> Array:
    return rng.uniform(0.1, 10.0, shape)


def _with_row(rng: Generator, shape: tuple[int, int], row: int | None, weight: float) -> Array:
    w = _uniform(rng, shape)
    rows = rng.integers(0, shape[1], shape[0]) if row is None else row
    w[np.arange(shape[0]), rows] = weight
    return w


WEIGHTS: dict[str, Callable[[Generator, tuple[int, int]], Array]] = {
    "uniform": _uniform,
    "lognormal": lambda rng, shape: np.exp(rng.standard_normal(shape)),
    "wide lognormal": lambda rng, shape: np.exp(5.0 * rng.standard_normal(shape)),
    "a third zero": lambda rng, shape: _uniform(rng, shape) * (rng.random(shape) > 0.3),
    "all large": lambda rng, shape: _uniform(rng, shape) * 1e100,
    "all small": lambda rng, shape: _uniform(rng, shape) * 1e-100,
    "1e±8": lambda rng, shape: 10.0 ** rng.uniform(-8, 8, shape),
    "1e±100": lambda rng, shape: 10.0 ** rng.uniform(-100, 100, shape),
    "one heavy": lambda rng, shape: _with_row(rng, shape, None, 1e8),
    "one very heavy": lambda rng, shape: _with_row(rng, shape, None, 1e20),
    "first light": lambda rng, shape: _with_row(rng, shape, 0, 1e-12),
    "whole numbers": lambda rng, shape: rng.integers(1, 20, shape).astype(float),
    "all 0.1": lambda rng, shape: np.full(shape, 0.1),
}


def respond(rng: Generator, X: Array, noise: float, responses: int = 1) -> Array:
    """Responses to columns of equal weight, with noise relative to the signal; (..., n, m)."""
    centered = X - X.mean(axis=-2, keepdims=True)
    spread = centered.std(axis=-2, keepdims=True)
    alike = centered / np.where(spread > 0, spread, 1.0)
    signal = alike @ rng.standard_normal((*X.shape[:-2], X.shape[-1], responses))
    size = signal.std(axis=-2, keepdims=True)
    return np.asarray(signal + noise * size * rng.standard_normal(signal.shape))


def _with_singular_values(rng: Generator, values: Array, shape: Shape) -> Array:
    count, n, k = shape
    left = np.linalg.qr(rng.standard_normal((count, n, k)))[0]
    right = np.linalg.qr(rng.standard_normal((count, k, k)))[0]
    return np.asarray((left * values) @ right.swapaxes(1, 2) * np.sqrt(n))

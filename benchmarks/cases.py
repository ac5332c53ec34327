"""The cases: data, what gpuols does with it, and the rival or floor it is measured against.

All fit the same p coefficients, the intercept among them. A rival does what a careful user writes
in plain NumPy, on a design with its column of ones at hand: no standard errors, no shift, no
bound, no statuses. `limit` is the largest ratio of medians, gpuols over rival, that is accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gpuols

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    name : str
        What is fitted.
    make : callable
        Makes the data.
    fit : callable
        What gpuols does, up to the standard errors.
    rival : callable
        What it is compared with; returns coefficients or None.
    rival_name : str
        What the rival is.
    limit : float
        Largest accepted ratio to the rival.
    """

    name: str
    make: Callable[[], tuple[Any, ...]]
    fit: Callable[..., gpuols.Result]
    rival: Callable[..., Array | None]
    rival_name: str
    limit: float

    def check(self, data: tuple[Any, ...]) -> None:
        """Raise unless gpuols' answers, on some regressions, are those of the rival."""
        found = self.fit(*data)
        expected = self.rival(*data)
        if expected is not None:
            np.testing.assert_allclose(found.params, expected, rtol=1e-8, atol=1e-10)
        found.check()


def _batch(count: int, n: int, p: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(1)
    slopes = rng.standard_normal((count, n, p - 1))
    design = np.concatenate([np.ones((count, n, 1)), slopes], axis=2)
    y = np.einsum("bnp,bp->bn", design, rng.standard_normal((count, p)))
    return slopes, design, y + rng.standard_normal((count, n))


def _fit_batch(slopes: Array, design: Array, y: Array) -> gpuols.Result:
    return _with_errors(gpuols.fit(slopes, y, add_intercept=True))


def _solve_batch(slopes: Array, design: Array, y: Array) -> Array:
    transposed = design.swapaxes(1, 2)
    gram, right = transposed @ design, transposed @ y[:, :, None]
    return np.asarray(np.linalg.solve(gram, right)[:, :, 0], dtype=np.float64)


def _shared() -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(5)
    slopes = rng.standard_normal((500, 9))
    design = np.concatenate([np.ones((500, 1)), slopes], axis=1)
    y = rng.standard_normal((500, 200_000))
    y += design @ rng.standard_normal((10, 200_000))
    return slopes, design, y


def _gemm(slopes: Array, design: Array, y: Array) -> Array:
    return np.asarray(np.linalg.pinv(design) @ y, dtype=np.float64)


def _table() -> tuple[Array, Any, Array]:
    rng = np.random.default_rng(7)
    rows, count = 5_000_000, 20_000
    keys = rng.integers(-(2**62), 2**62, count)[rng.integers(0, count, rows)]
    slopes = rng.standard_normal((rows, 3))
    return slopes, keys, slopes.sum(axis=1) + rng.standard_normal(rows)


def _fit_table(slopes: Array, keys: Array, y: Array) -> gpuols.Result:
    return _with_errors(gpuols.fit_groups(slopes, y, keys, add_intercept=True))


def _sort_keys(slopes: Array, keys: Array, y: Array) -> None:
    np.unique(keys, return_inverse=True)


def _with_errors(result: gpuols.Result) -> gpuols.Result:
    result.bse  # noqa: B018  (computed on first access)
    return result


def _fit_fast(slopes: Array, design: Array, y: Array) -> Array:
    result = gpuols.fit(slopes, y, add_intercept=True, solver="cholesky")
    return np.asarray(_with_errors(result).params)


def _fit_accurate(slopes: Array, design: Array, y: Array) -> gpuols.Result:
    return _with_errors(gpuols.fit(slopes, y, add_intercept=True, solver="accurate"))


def _loop(slopes: Array, design: Array, y: Array) -> Array:
    pairs = zip(design, y, strict=True)
    return np.stack([np.linalg.lstsq(own, response)[0] for own, response in pairs])


_PLAIN = "matmul + batched solve in NumPy"

CASES = (
    Case(
        "10,000 x (100 x 5)",
        lambda: _batch(10_000, 100, 5),
        _fit_batch,
        _solve_batch,
        _PLAIN,
        2.0,
    ),
    Case(
        "100,000 x (60 x 4)",
        lambda: _batch(100_000, 60, 4),
        _fit_batch,
        _solve_batch,
        _PLAIN,
        2.0,
    ),
    Case(
        "2,000 x (1,000 x 20)",
        lambda: _batch(2_000, 1_000, 20),
        _fit_batch,
        _solve_batch,
        _PLAIN,
        2.0,
    ),
    Case(
        "one (500 x 10), 200,000 responses",
        _shared,
        _fit_batch,
        _gemm,
        "one GEMM, pinv(X) @ Y",
        3.0,
    ),
    Case(
        "5,000,000 rows, 20,000 unsorted groups, p = 4",
        _table,
        _fit_table,
        _sort_keys,
        "numpy.unique of the keys alone",
        2.0,
    ),
    Case(
        '100,000 x (60 x 4), solver="auto"',
        lambda: _batch(100_000, 60, 4),
        _fit_batch,
        _fit_fast,
        'gpuols with solver="cholesky"',
        1.15,
    ),
    Case(
        '1,000 x (100 x 5), solver="accurate"',
        lambda: _batch(1_000, 100, 5),
        _fit_accurate,
        _loop,
        "a loop over numpy.linalg.lstsq",
        2.0,
    ),
    Case(
        'one 1,000,000 x 10, solver="accurate"',
        lambda: _batch(1, 1_000_000, 10),
        _fit_accurate,
        _loop,
        "numpy.linalg.lstsq",
        8.0,
    ),
)

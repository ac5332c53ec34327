"""Responses on one design, each with missing rows or weights of its own, on the device."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import gpuols
from benchmarks.cuda import solo
from benchmarks.machine import Machine, on_host
from benchmarks.timing import Deadline
from benchmarks.turns import OURS

Row = dict[str, Any]
Data = tuple[Any, Any, Any]

_SAMPLE = 64
_MISSING = 0.1


@dataclass(frozen=True)
class Masked:
    """One design, and responses or vectors of weights.

    Attributes
    ----------
    letter : str
        What it is called for short.
    count, n, k : int
        Regressions, rows and columns of the design.
    weighted : bool
        Whether one response has many vectors of weights; without, each response misses a tenth.
    design_ms : dict
        Floor by device that was designed for: none was.
    """

    letter: str
    count: int
    n: int
    k: int
    weighted: bool
    design_ms: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Letter and sizes."""
        each = "vectors of weights" if self.weighted else "responses, a tenth of each missing"
        return f"{self.letter}: one ({self.n:,} x {self.k}), {self.count:,} {each}"

    def bytes(self) -> int:
        """Bytes of X, y and the weights, each read once."""
        return self.n * (self.k + self.count + self.weighted) * 8

    def flops(self) -> int:
        """Operations for a product of the weights with [1, z, z z'] and one of w u with [1, z]."""
        return 2 * self.count * self.n * ((self.k + 1) * (self.k + 2) // 2 + self.k + 1)

    def make(self, xp: Any, seed: int = 1) -> Data:
        """X (n, k), y (count, n) or (1, n), and weights (count, n) or None."""
        rng = xp.random.default_rng(seed)
        X = rng.standard_normal((self.n, self.k))
        y = rng.standard_normal((1 if self.weighted else self.count, self.n)) + X.sum(axis=1)
        if self.weighted:
            return X, y, 0.5 + rng.random((self.count, self.n))
        y[rng.random(y.shape) < _MISSING] = xp.nan
        return X, y, None


MASKED = (Masked("M", 50_000, 200, 6, False), Masked("V", 10_000, 1_000, 10, True))
QUICK = (Masked("M", 500, 200, 6, False), Masked("V", 100, 1_000, 10, True))
"""The same with fewer responses: to see that everything runs, not how fast."""


def measure(
    case: Masked, machine: Machine, floors: dict[str, Any], rounds: int, deadline: Deadline
) -> list[Row]:
    """A row for each way to fit them, and one for the two products of matrices alone."""
    machine.free()
    X, y, weights = data = case.make(machine.xp)
    other = X, *(None if a is None else machine.xp.asarray(a.T.copy()).T for a in (y, weights))
    host = tuple(None if a is None else on_host(a) for a in data)
    work: dict[str, Callable[[], Any]] = {
        OURS: partial(fit, *data, machine.device),
        "gpuols, rows after rows": partial(fit, *other, machine.device),
        "gpuols, host to host": partial(fit, *host, machine.device),
        "the two products alone": products(machine.xp, *data),
    }
    return solo.measure(case, machine, floors, rounds, deadline, work, partial(errors, data=data))


def fit(X: Any, y: Any, weights: Any, device: str) -> gpuols.Result:
    """All responses or vectors of weights, with an intercept."""
    missing = "drop" if weights is None else "nan"
    options = {"weights": weights, "missing": missing, "add_intercept": True}
    return gpuols.fit(X[None], y, device=device, **options)


def products(xp: Any, X: Any, y: Any, weights: Any) -> Callable[[], Any]:
    """W [1, X, X * X] and (W * y) [1, X], with the table formed and the holes filled beforehand."""
    first, second = np.triu_indices(X.shape[1] + 1)
    ones = xp.concatenate([xp.ones((len(X), 1)), X], axis=1)
    table = ones[:, first] * ones[:, second]
    w = xp.where(xp.isnan(y), 0.0, 1.0) if weights is None else weights
    weighted = w * xp.nan_to_num(y)
    return lambda: (xp.matmul(w, table), xp.matmul(weighted, ones))


def errors(result: gpuols.Result, data: Data) -> dict[str, float]:
    """Largest relative error of each answer over a sample of the responses, against the CPU."""
    X, y, weights = (None if a is None else on_host(a) for a in data)
    which = np.unique(np.linspace(0, len(result.params) - 1, _SAMPLE).astype(int))
    some = y if weights is not None else y[which]
    right = fit(X, some, None if weights is None else weights[which], "cpu:numpy")
    return solo.against(right, result, which)

"""Libraries that fit one regression at a time, or one with many responses."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cpu.answers import WHOLE, Answers
from benchmarks.cpu.data import Array, Data, Shared

Solve = Callable[[Array, Array, Array | None], dict[str, Any]]


def one_by_one(solve: Solve) -> Callable[[Data], Answers]:
    """What solves all, given what solves a regression: design (n, p), y, weights (n,) or None."""

    def run(data: Data) -> Answers:
        found = [solve(*rows) for rows in data.each()]
        return {name: np.stack([one[name] for one in found], axis=data.axis) for name in found[0]}

    return run


def numpy_lstsq(design: Array, y: Array, weights: Array | None) -> dict[str, Any]:
    """NumPy's least squares, by SVD."""
    return {"params": np.linalg.lstsq(*_scaled(design, y, weights))[0]}


def scipy_lstsq(design: Array, y: Array, weights: Array | None) -> dict[str, Any]:
    """SciPy's least squares, by pivoted QR, the faster of its drivers."""
    from scipy.linalg import lstsq

    return {"params": lstsq(*_scaled(design, y, weights), lapack_driver="gelsy")[0]}


def scikit_learn(design: Array, y: Array, weights: Array | None) -> dict[str, Any]:
    """scikit-learn's estimator, the column of ones being one of the features."""
    from sklearn.linear_model import LinearRegression

    found = LinearRegression(fit_intercept=False).fit(design, y, sample_weight=weights)
    return {"params": found.coef_.T}


def statsmodels(design: Array, y: Array, weights: Array | None) -> dict[str, Any]:
    """statsmodels' fit, one response at a time, with its standard errors."""
    from statsmodels.api import OLS, WLS

    model, own = (OLS, {}) if weights is None else (WLS, {"weights": weights})
    fits = [model(column, design, **own).fit() for column in y.reshape(len(y), -1).T]
    found = {name: np.stack([getattr(one, name) for one in fits], -1) for name in WHOLE}
    return found if y.ndim == 2 else {name: a[..., 0] for name, a in found.items()}


def at_once(solve: Solve) -> Callable[[Shared], Answers]:
    """What solves all responses on one design as those of one regression."""
    return lambda data: solve(data.design, data.y, None)


def _scaled(design: Array, y: Array, weights: Array | None) -> tuple[Array, Array]:
    if weights is None:
        return design, y
    root = np.sqrt(weights)
    return design * root[:, None], y * root

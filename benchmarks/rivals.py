"""Other people's least squares on one design X (n, k) and y (n,), for the table of digits.

Each gives coefficients, the intercept first, and standard errors or None where it has none.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Answer = tuple[Array, Array | None]
Rival = Callable[[Array, Array, bool], Answer]


def householder(design: Array, y: Array) -> tuple[Array, Array]:
    """Coefficients and standard errors by QR: designs (..., n, p), y (..., n, m)."""
    n, p = design.shape[-2:]
    factor = np.linalg.qr(np.concatenate([design, y], axis=-1), mode="r")
    # Partial pivoting leaves a triangle as it is: this is back substitution.
    inverse = np.linalg.solve(factor[..., :p, :p], np.broadcast_to(np.eye(p), (p, p)))
    b = np.linalg.solve(factor[..., :p, :p], factor[..., :p, p:])
    noise = (factor[..., p:, p:] ** 2).sum(axis=-2, keepdims=True) / (n - p)
    return b, np.sqrt((inverse**2).sum(axis=-1)[..., None] * noise)


def with_ones(X: Array, add_intercept: bool) -> Array:
    """The design with its column of ones, if any: (..., n, p)."""
    return np.concatenate([np.ones((*X.shape[:-1], int(add_intercept))), X], axis=-1)


def _qr(X: Array, y: Array, add_intercept: bool) -> Answer:
    b, se = householder(with_ones(X, add_intercept), y[:, None])
    return b[:, 0], se[:, 0]


def _numpy(X: Array, y: Array, add_intercept: bool) -> Answer:
    return np.linalg.lstsq(with_ones(X, add_intercept), y)[0], None


def _scipy(X: Array, y: Array, add_intercept: bool) -> Answer:
    from scipy.linalg import lstsq

    return lstsq(with_ones(X, add_intercept), y)[0], None


def _statsmodels(method: str) -> Rival:
    def solve(X: Array, y: Array, add_intercept: bool) -> Answer:
        from statsmodels.api import OLS

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that Filip is singular; the digits say more
            found = OLS(y, with_ones(X, add_intercept)).fit(method=method)
        return found.params, found.bse

    return solve


def _scikit_learn(X: Array, y: Array, add_intercept: bool) -> Answer:
    from sklearn.linear_model import LinearRegression

    found = LinearRegression(fit_intercept=add_intercept).fit(X, y)
    return np.r_[[found.intercept_] * add_intercept, found.coef_], None


def _torch(driver: str) -> Rival:
    def solve(X: Array, y: Array, add_intercept: bool) -> Answer:
        import torch

        design = torch.from_numpy(with_ones(X, add_intercept))
        found = torch.linalg.lstsq(design, torch.from_numpy(y[:, None]), driver=driver)
        return found.solution[:, 0].numpy(), None

    return solve


RIVALS: dict[str, Rival] = {
    "Householder QR": _qr,
    "numpy lstsq": _numpy,
    "scipy lstsq": _scipy,
    "statsmodels pinv": _statsmodels("pinv"),
    "statsmodels qr": _statsmodels("qr"),
    "scikit-learn": _scikit_learn,
    "torch gelsy": _torch("gelsy"),
    "torch gels": _torch("gels"),
}
LIBRARIES = ("statsmodels", "scikit-learn", "torch", "python-flint")

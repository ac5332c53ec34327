"""Tests of linear combinations of the coefficients."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols import arrays, inference
from gpuols.engines.transfer import to_host
from gpuols.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contrast:
    """Outcome of a test of linear combinations R b of the coefficients.

    Attributes
    ----------
    effect : L+(r,m)
        Values of the combinations.
    sd : L+(r,m) or None
        Their standard errors, where each was tested alone.
    statistic : L+(r,m) for t, L+(m,) for F
        The test statistic.
    pvalue : as statistic
        Its p-value, two-sided for t.
    df_num : int or None
        Combinations tested together, for F.
    df_denom : L+(m,)
        Residual degrees of freedom.
    """

    effect: Any
    sd: Any
    statistic: Any
    pvalue: Any
    df_num: int | None
    df_denom: Any

    def map(self, change: Callable[[Array], Any]) -> Self:
        """Outcome with every array changed by one function."""
        return replace(
            self,
            **{
                name: change(value)
                for name, value in vars(self).items()
                if isinstance(value, np.ndarray)
            },
        )


def t_test(
    weights: Array, params: Array, cov: Array, exponent: NDArray[np.int64], df: Array
) -> Contrast:
    """Test each combination against zero.

    Parameters
    ----------
    weights : (r, p)
        Weights of the coefficients, one combination a row.
    params : L+(p,m)
        Coefficients.
    cov : L+(m,r,r)
        Covariances of the combinations, over powers of two.
    exponent : L+(r,m) or (1,)
        Exponents of those.
    df : L+(m,)
        Residual degrees of freedom.

    Returns
    -------
    Contrast
        Arrays L+(r,m).
    """
    with np.errstate(all="ignore"):
        effect = _combine(weights, params)
        sd = np.ldexp(np.sqrt(np.einsum("...mrr->...rm", cov)), exponent)
        statistic = effect / sd
    pvalue = inference.t_pvalues(statistic, df[..., None, :])
    return Contrast(effect, sd, statistic, pvalue, None, df)


def f_test(
    weights: Array, params: Array, cov: Array, exponent: NDArray[np.int64], df: Array
) -> Contrast:
    """Test all combinations against zero together.

    Parameters
    ----------
    weights : (r, p)
        Weights of the coefficients, linearly independent rows.
    params : L+(p,m)
        Coefficients.
    cov : L+(m,r,r)
        Covariances of the combinations, over powers of two.
    exponent : L+(r,m) or (1,)
        Exponents of those.
    df : L+(m,)
        Residual degrees of freedom.

    Returns
    -------
    Contrast
        Statistic and p-value L+(m,).

    Raises
    ------
    InputError
        If the rows are linearly dependent.
    """
    number = len(weights)
    if np.linalg.matrix_rank(weights) < number:
        raise InputError(
            "R",
            f"{number} rows of rank {np.linalg.matrix_rank(weights)}",
            "linearly independent rows",
            "leave out the redundant ones",
        )
    with np.errstate(all="ignore"):
        effect = _combine(weights, params)
        sd = np.sqrt(np.einsum("...rr->...r", cov))
        correlation = cov / (sd[..., :, None] * sd[..., None, :])
        usable = np.isfinite(correlation).all(axis=(-2, -1)) & (df > 0)
        correlation = np.where(usable[..., None, None], correlation, np.eye(number))
        inverse = np.linalg.pinv(correlation, hermitian=True)
        units = (effect / np.ldexp(sd.swapaxes(-1, -2), exponent)).swapaxes(-1, -2)
        statistic = np.einsum("...mr,...mrs,...ms->...m", units, inverse, units) / number
    statistic = np.where(usable, statistic, np.nan)
    return Contrast(
        effect, None, statistic, inference.f_pvalues(statistic, np.float64(number), df), number, df
    )


def _combine(weights: Array, params: Array) -> Array:
    """Values of combinations (r, p) of coefficients L+(p,m), NaN where one in it is."""
    unknown = np.isnan(params)
    value = weights @ np.where(unknown, 0.0, params)
    involved = (weights != 0).astype(np.float64) @ unknown.astype(np.float64) > 0
    return np.where(involved, np.nan, value)


def read(combinations: Any, p: int) -> Array:
    """Read weights of p coefficients, (p,) or (r, p), as (r, p)."""
    weights = np.atleast_2d(to_host(arrays.read("R", combinations).array).astype(np.float64))
    if weights.ndim != 2 or weights.shape[1] != p:
        raise InputError(
            "R",
            f"shape {weights.shape}",
            f"({p},) or (r, {p}): one weight a coefficient",
            "count the intercept first",
        )
    return weights

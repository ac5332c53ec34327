"""Inference: p-values of t and F statistics, their logarithms, and quantiles of Student's t.

Everything rests on P(F > f) = I_x(d₂/2, d₁/2), x = 1/(1 + f·d₁/d₂), and a two-sided t-test is
F = t² with d₁ = 1.

From |t| = 32 on, p of t comes from its logarithm, by Gauss's continued fraction. There t² cannot
overflow, and six terms of the fraction do: all are positive, the k-th is at most k/t², so that
7!/32¹⁴ < 1e-17 is left. The better known fraction for I_x (DLMF 8.17.22) subtracts near-equal
numbers where df is large. Below 32 no df lets p underflow.

Quantiles start from SciPy, which errs by up to 1e-5 for some df below 20 and is zero or infinite
for others. Newton steps in log t mend them, on whichever of log P(|T| > t) and log P(|T| < t)
belongs to the smaller probability. Both are concave in log t: no step diverges. Each element
stops by itself, so that no result depends on what else is in the array.

Results are NaN where an argument is, or where degrees of freedom are not positive and finite.
The errors in the docstrings were measured against mpmath; SciPy's expansions set that of F.

P-values of CuPy arrays, all on the current device, are computed there. The errors in the docstrings
are those of NumPy arrays: on a device the relative error of P grows with the degrees of freedom, by
1e-16 for each, and has that of CuPy's incomplete beta function on top.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpuols.engines.transfer import to_host, to_place
from gpuols.places import CPU, place_of
from gpuols.special import beta_tail, gammaln

Array = NDArray[np.float64]

_LOG10_E, _LOG_SQRT_PI = float(np.log10(np.e)), float(np.log(np.pi)) / 2
_FAR, _FRACTION_TERMS = 32.0, 6
_NEWTON_STEPS, _NEWTON_DONE = 50, 1e-9
_STIRLING_FROM = 20.0


def t_pvalues(t: Any, df: Any) -> Any:
    """Compute two-sided p-values of Student's t.

    Parameters
    ----------
    t : T
        Statistics, of either sign.
    df : D
        Degrees of freedom, not necessarily whole.

    Returns
    -------
    T and D broadcast
        P(|T| > |t|), with a relative error below 5e-13 where it is above 1e-300.

    Source: A&S 26.7.1; DLMF 8.17.2, 8.17.4, 8.17.8, 15.7.1, 15.8.1.
    """
    size, df = _prepare(t, df)
    with np.errstate(all="ignore"):
        near = beta_tail(size * size / df, df / 2, np.full_like(df, 0.5))
        return np.where(size < _FAR, near, np.exp(_far_log_pvalues(size, df)))


def t_log10_pvalues(t: Any, df: Any) -> Any:
    """Compute log₁₀ of two-sided p-values of Student's t, however small.

    Parameters
    ----------
    t : T
        Statistics, of either sign.
    df : D
        Degrees of freedom.

    Returns
    -------
    T and D broadcast
        log₁₀ P(|T| > |t|), with a relative error below 5e-15 for |t| above 1e-150.

    Source: as `t_pvalues`, before exponentiation.
    """
    size, df = _prepare(t, df)
    with np.errstate(all="ignore"):
        odds, half = size * size / df, np.full_like(df, 0.5)
        tail = beta_tail(odds, df / 2, half)
        near = np.where(tail > 0.5, np.log1p(-beta_tail(1 / odds, half, df / 2)), np.log(tail))
        return np.where(size < _FAR, near, _far_log_pvalues(size, df)) * _LOG10_E


def t_quantile(probability: ArrayLike, df: ArrayLike) -> Array:
    """Compute quantiles of Student's t.

    Parameters
    ----------
    probability : P
        Lower-tail probabilities, from 0 to 1.
    df : D
        Degrees of freedom, not necessarily whole.

    Returns
    -------
    P and D broadcast
        The t with P(T < t) = `probability`, with a relative error below 1e-12.

    Source: Newton's method on A&S 26.7.1.
    """
    probability, df = np.broadcast_arrays(np.asarray(probability, float), _positive(df))
    with np.errstate(all="ignore"):
        signed = 2 * probability - 1
        outside = 2 * np.minimum(probability, 1 - probability)
        size = _invert_two_sided(outside, np.abs(signed), df)
        return np.where((signed == 0) & (df > 0), 0.0, np.copysign(size, signed))


def t_quantile_where(probability: float, df: Any) -> Any:
    """Compute quantiles of Student's t where the degrees of freedom are.

    Each distinct number of degrees of freedom is asked for once, on the host.

    Parameters
    ----------
    probability : float
        Lower-tail probability, from 0 to 1.
    df : D
        Degrees of freedom: a NumPy array, or a CuPy array on the current device.

    Returns
    -------
    D
        As `t_quantile`.
    """
    distinct = np.unique(df)
    found = to_place(t_quantile(probability, to_host(distinct)), place_of(df))
    return found[np.searchsorted(distinct, df)]


def f_pvalues(f: Any, df_num: Any, df_den: Any) -> Any:
    """Compute upper-tail p-values of F.

    Parameters
    ----------
    f : F
        Statistics; one below zero, which only rounding makes, counts as zero.
    df_num, df_den : N, D
        Degrees of freedom of numerator and denominator, not necessarily whole.

    Returns
    -------
    F, N and D broadcast
        P(F > f), with a relative error below 5e-12 where it is above 1e-290.

    Source: A&S 26.6.2; DLMF 8.17.2, 8.17.4.
    """
    ratio = np.maximum(_floats(f), 0.0)
    num, den = _positive(df_num), _positive(df_den)
    with np.errstate(all="ignore"):
        return beta_tail(ratio * (num / den), den / 2, num / 2)


def _floats(value: Any) -> Any:
    return np.asarray(value, float) if place_of(value) == CPU else value


def _positive(df: Any) -> Any:
    """Put NaN for degrees of freedom that are not positive and finite."""
    df = _floats(df)
    return np.where((df > 0) & np.isfinite(df), df, np.nan)


def _prepare(t: Any, df: Any) -> tuple[Any, Any]:
    """Broadcast |t| and the degrees of freedom."""
    size, df = np.broadcast_arrays(np.abs(_floats(t)), _positive(df))
    return size, df


def _far_log_pvalues(size: Any, df: Any) -> Any:
    """Compute log P(|T| > size) for sizes of at least `_FAR`."""
    ratio, a = df / size / size, df / 2
    fraction = np.ones_like(ratio)
    for k in range(_FRACTION_TERMS, 0, -1):
        fraction = 1 + k / 2 * ratio * (a + (k - 1) / 2) / (a + k - 1) / (a + k) / fraction
    return np.log1p(ratio) / 2 - a * _log1p_odds(size, df) - _log_scaled_beta(a) - np.log(fraction)


def _log1p_odds(size: Any, df: Any) -> Any:
    """Compute log(1 + size²/df), where size² may overflow."""
    huge = 2 * np.log(size) - np.log(df) + np.log1p(df / size / size)
    return np.where(size > 1e100, huge, np.log1p(size / df * size))


def _log_scaled_beta(a: Any) -> Any:
    """Compute log(a·B(a, ½)) = log Γ(a + 1) + log Γ(½) - log Γ(a + ½) (DLMF 5.11.8)."""
    u = 1 / (a * a)
    series = (1 / 8 - u * (1 / 192 - u * (1 / 640 - u * (17 / 14336 - u * 31 / 18432)))) / a
    gammas = gammaln(a + 1) - gammaln(a + 0.5)
    return np.where(a < _STIRLING_FROM, gammas, np.log(a) / 2 + series) + _LOG_SQRT_PI


def _invert_two_sided(outside: Array, inside: Array, df: Array) -> Array:
    """Find the size that |T| exceeds with the first probability, and not with the second."""
    from scipy import special

    a, half = df / 2, np.full_like(df, 0.5)
    scale = _log_scaled_beta(a) - np.log(a) + np.log(df) / 2
    central = outside > 0.5
    target = np.where(central, inside, outside)
    usual = np.abs(special.stdtrit(df, outside / 2))
    power = np.sqrt(df) * np.exp(-(np.log(outside) + _log_scaled_beta(a)) / df)
    outer = np.where((usual > 0) & np.isfinite(usual), usual, power)
    size: Array = np.where(central, inside * np.exp(scale) / 2, outer)
    moving = size < np.inf
    for _ in range(_NEWTON_STEPS):
        mass = np.where(central, beta_tail(df / size / size, half, a), t_pvalues(size, df))
        kernel = np.log(size) - scale - (a + 0.5) * _log1p_odds(size, df)
        slope = np.where(central, 2.0, -2.0) * np.exp(kernel - np.log(mass))
        step = np.log(mass / target) / slope
        size = np.where(moving, size * np.exp(-step), size)
        moving = moving & (np.abs(step) > _NEWTON_DONE) & (size < np.inf)
        if not np.any(moving):
            break
    return size

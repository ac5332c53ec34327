"""The statistics of fitted regressions, each computed when it is first asked for.

Inside, arrays are NumPy with an axis of responses always there; what is handed out has the
caller's kind of array, without that axis where y came without it. Names are statsmodels'.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols import arrays, covariance, inference, units
from gpuols.engines.solution import Solution
from gpuols.errors import Status
from gpuols.moments import Moments
from gpuols.refined import Refined

Array = NDArray[Any]
Keys = Array | tuple[Array, ...] | None


def _statistic(function: Callable[[Any], Array]) -> cached_property[Any]:
    """Property that computes on the plain result and hands out the caller's kind."""
    name = function.__name__

    def get(self: "Statistics") -> Any:
        plain = self._plain
        if plain is not self:
            return self._give(getattr(plain, name))
        with np.errstate(all="ignore"):
            part = self._moments
            if part.units is not None and name in units.SCALED:
                value = getattr(self._in_units, name)
                return units.scale_back(name, value, part.units, part.m, self._intercept)
            return function(self)

    get.__doc__ = function.__doc__
    return cached_property(get)


@dataclass(frozen=True, eq=False, repr=False)
class Statistics:
    """Statistics of the regressions of a batch of shape L, p coefficients, m responses each.

    Attributes
    ----------
    engine : str
        The engine that ran, e.g. "cpu:numpy".
    terms : tuple of str
        Names of the p coefficients, the intercept first.
    keys : array, tuple of arrays or None
        Key of each group, where there were groups.
    kind : str
        Kind of array handed out: "numpy", "torch" or "jax".
    single : bool
        Whether y came without an axis of responses.
    tol : float
        Largest error bound that was called OK.
    singular : str
        What redundant columns got.
    apart : bool
        Whether every response has rows of its own: then moments and solution are those of a
        batch of shape L+(m,), of one response each, handed out as if they shared a design.
    """

    engine: str
    terms: tuple[str, ...]
    keys: Keys
    kind: str
    single: bool
    tol: float
    singular: str
    _moments: Moments
    _solution: Solution
    _ridge: Array
    apart: bool = False
    _refined: Refined | None = None

    @cached_property
    def _plain(self) -> Self:
        """NumPy arrays as moments and solution have them, with an axis of responses."""
        if not self.apart:
            return self._shown
        return replace(self, kind=arrays.NUMPY, apart=False)

    @cached_property
    def _shown(self) -> Self:
        """NumPy arrays as they are handed out, with an axis of responses."""
        if self.kind == arrays.NUMPY and not self.single:
            return self
        return replace(self, kind=arrays.NUMPY, single=False)

    @cached_property
    def _in_units(self) -> Self:
        """The same regressions, with columns, responses and weights in the moments' own units."""
        return replace(self, _moments=replace(self._moments, units=None))

    def _give(self, array: Array, axis: int = -1) -> Any:
        """Hand out an array of `_plain` whose `axis` counts responses."""
        if self.apart:
            last = len(self._moments.batch)
            return arrays.give(np.moveaxis(array.take(0, axis=axis), last, axis), self.kind)
        return self._hand(array, axis)

    def _hand(self, array: Array, axis: int = -1) -> Any:
        """Hand out an array of `_shown` whose `axis` counts responses."""
        return arrays.give(array.take(0, axis=axis) if self.single else array, self.kind)

    def _by_response(self, array: Array) -> Array:
        return np.broadcast_to(np.asarray(array)[..., None], self._solution.ssr.shape)

    @cached_property
    def responses(self) -> tuple[str, ...]:
        """Names of the m responses."""
        named, count = self._moments.responses, self._shown.status.shape[-1]
        if named is not None:
            return named
        return ("y",) if self._moments.single else tuple(f"y{j}" for j in range(count))

    @property
    def _intercept(self) -> int:
        return int(self._moments.centered)

    @_statistic
    def params(self) -> Array:
        """Coefficients, the intercept first; L+(p,m)."""
        return self._solution.params

    @_statistic
    def bse(self) -> Array:
        """Standard errors of the coefficients; L+(p,m)."""
        roots = np.sqrt(self._solution.variances), np.sqrt(self.scale)
        return np.asarray(roots[0][..., None] * roots[1][..., None, :])

    @_statistic
    def tvalues(self) -> Array:
        """Coefficients in units of their standard errors; L+(p,m)."""
        return np.asarray(self.params / self.bse)

    @_statistic
    def pvalues(self) -> Array:
        """Two-sided p-values of Student's t; L+(p,m)."""
        return inference.t_pvalues(self.tvalues, self.df_resid[..., None, :])

    @_statistic
    def log10_pvalues(self) -> Array:
        """Decimal logarithm of the p-values, right where they underflow; L+(p,m)."""
        return inference.t_log10_pvalues(self.tvalues, self.df_resid[..., None, :])

    @_statistic
    def ssr(self) -> Array:
        """Weighted sum of squared residuals; L+(m,)."""
        return self._solution.ssr

    @_statistic
    def scale(self) -> Array:
        """Residual variance, ssr / df_resid; L+(m,)."""
        df = self.df_resid
        return np.asarray(self.ssr / np.where(df > 0, df, np.nan))

    @_statistic
    def centered_tss(self) -> Array:
        """Weighted sum of squares of y about its weighted mean; L+(m,).

        Without an intercept it is a difference, and loses digits where y is far from zero.
        """
        between = 0.0 if self._intercept else self._mean_square
        return self._finite(np.maximum(self._moments.syy - between, 0.0))

    @_statistic
    def uncentered_tss(self) -> Array:
        """Weighted sum of squares of y; L+(m,)."""
        return self._finite(self._moments.syy + (self._mean_square if self._intercept else 0.0))

    @property
    def _mean_square(self) -> Array:
        part = self._moments
        mean = np.sum(part.means, axis=0)[..., part.k :]
        return np.asarray(np.asarray(part.sumw)[..., None] * mean * mean)

    def _finite(self, array: Array) -> Array:
        return np.where(self.status == Status.NONFINITE, np.nan, array)

    @property
    def _tss(self) -> Array:
        plain = self._plain
        total = plain.centered_tss if self._intercept else plain.uncentered_tss
        return np.asarray(np.where(total > 0, total, np.nan))

    @_statistic
    def rsquared(self) -> Array:
        """Share of the sum of squares explained, about the mean with an intercept; L+(m,)."""
        return np.asarray(1.0 - self.ssr / self._tss)

    @_statistic
    def rsquared_adj(self) -> Array:
        """R² corrected for the degrees of freedom; L+(m,)."""
        df = np.where(self.df_resid > 0, self.df_resid, np.nan)
        return np.asarray(1.0 - (1.0 - self.rsquared) * (self.nobs - self._intercept) / df)

    @_statistic
    def fvalue(self) -> Array:
        """F statistic of all coefficients but the intercept, NaN with a penalty; L+(m,)."""
        tested = (self.df_model > 0) & (self._by_response(self._ridge) == 0)
        explained = (self._tss - self.ssr) / np.where(tested, self.df_model, np.nan)
        return np.asarray(explained / self.scale)

    @_statistic
    def f_pvalue(self) -> Array:
        """P-value of `fvalue`; L+(m,)."""
        return inference.f_pvalues(self.fvalue, self.df_model, self.df_resid)

    @_statistic
    def llf(self) -> Array:
        """Log-likelihood at the maximum over the variance; L+(m,)."""
        n = np.where(self.nobs > 0, self.nobs, np.nan)
        spread = np.log(2.0 * np.pi * self._in_units.ssr / n) + 1.0
        if self._moments.units is not None:
            exponent = units.exponent_of_squares(self._moments.units, self._moments.m)
            spread = spread + np.log(2.0) * exponent
        return np.asarray(0.5 * (self._by_response(self._moments.sum_log_w) - n * spread))

    @_statistic
    def aic(self) -> Array:
        """Akaike's information criterion; L+(m,)."""
        return np.asarray(2.0 * (self.nobs - self.df_resid) - 2.0 * self.llf)

    @_statistic
    def bic(self) -> Array:
        """Schwarz's information criterion; L+(m,)."""
        n = np.where(self.nobs > 0, self.nobs, np.nan)
        return np.asarray(np.log(n) * (n - self.df_resid) - 2.0 * self.llf)

    @_statistic
    def nobs(self) -> Array:
        """Rows of positive weight; L+(m,)."""
        return self._by_response(self._moments.nobs)

    @_statistic
    def df_model(self) -> Array:
        """Effective number of coefficients, without the intercept; L+(m,)."""
        return np.asarray(self.nobs - self.df_resid - self._intercept)

    @_statistic
    def df_resid(self) -> Array:
        """Residual degrees of freedom; L+(m,)."""
        return self._by_response(self._solution.df_resid)

    @_statistic
    def rank(self) -> Array:
        """Rank of the design, -1 where it is not known; L+(m,)."""
        return self._by_response(self._solution.rank)

    @_statistic
    def status(self) -> Array:
        """Codes of `gpuols.Status`; L+(m,)."""
        return self._solution.status

    @_statistic
    def error_bound(self) -> Array:
        """Bound on every number's error in units of max(|coefficient|, SE), inf if none; L+(m,).

        It bounds the relative error of every standard error, too; where the fit is exact, so that
        they are zero, their error in units of the coefficients. With singular="min_norm" it
        covers the choice of the shortest solution, too.
        """
        return self._solution.error_bound

    @_statistic
    def solved_precisely(self) -> Array:
        """Whether summed and solved in double-double; L+(m,)."""
        return self._solution.precise

    @cached_property
    def normalized_cov(self) -> Any:
        """Covariance divided by `scale`; L+(p,p), L+(m,p,p) where rows differ by response."""
        return arrays.give(self._covariance(np.eye(len(self.terms))), self.kind)

    def _covariance(self, weights: Array, exponent: Array | None = None) -> Array:
        """Covariance of combinations (r,p) of the coefficients divided by `scale`; L+(r,r)."""
        fitted = self._moments, self._refined, self._ridge
        found = covariance.unscaled(self.engine, self.singular, *fitted, weights, exponent)
        return covariance.without(found, np.isnan(self._solution.variances), weights)

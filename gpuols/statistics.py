"""The statistics of fitted regressions, each computed when it is first asked for.

They are computed where the moments and the solution lie, on the host or on a device. Names are
statsmodels'.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import arrays, covariance, inference, units
from gpuols.engines.transfer import to_place
from gpuols.errors import Status
from gpuols.holding import Holding, held, statistic
from gpuols.lazy import lazy
from gpuols.places import place_of

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Statistics(Holding):
    """Statistics of the regressions of a batch of shape L, p coefficients, m responses each."""

    @lazy
    def responses(self) -> tuple[str, ...]:
        """Names of the m responses."""
        named, count = self._moments.responses, self._shown.status.shape[-1]
        if named is not None:
            return named
        return ("y",) if self._moments.single else tuple(f"y{j}" for j in range(count))

    @held
    def params(self) -> Any:
        """Coefficients, the intercept first; L+(p,m)."""
        return self._solution.params

    @statistic
    def bse(self) -> Any:
        """Standard errors of the coefficients; L+(p,m)."""
        errors = np.sqrt(self._solution.variances)[..., None]
        in_place = errors if self.scale.shape[-1] == 1 else None
        return np.multiply(errors, np.sqrt(self.scale)[..., None, :], out=in_place)

    @statistic
    def tvalues(self) -> Any:
        """Coefficients in units of their standard errors; L+(p,m)."""
        return self.params / self.bse

    @statistic
    def pvalues(self) -> Any:
        """Two-sided p-values of Student's t; L+(p,m)."""
        return inference.t_pvalues(self.tvalues, self.df_resid[..., None, :])

    @statistic
    def log10_pvalues(self) -> Any:
        """Decimal logarithm of the p-values, right where they underflow; L+(p,m)."""
        return inference.t_log10_pvalues(self.tvalues, self.df_resid[..., None, :])

    @held
    def ssr(self) -> Any:
        """Weighted sum of squared residuals; L+(m,)."""
        return self._solution.ssr

    @statistic
    def scale(self) -> Any:
        """Residual variance, ssr / df_resid; L+(m,)."""
        df = self._solution.df_resid[..., None]
        return self.ssr / np.where(df > 0, df, np.nan)

    @statistic
    def centered_tss(self) -> Any:
        """Weighted sum of squares of y about its weighted mean; L+(m,).

        Without an intercept it is a difference, and loses digits where y is far from zero.
        """
        between = 0.0 if self._intercept else self._mean_square
        return self._finite(np.maximum(self._moments.syy - between, 0.0))

    @statistic
    def uncentered_tss(self) -> Any:
        """Weighted sum of squares of y; L+(m,)."""
        return self._finite(self._moments.syy + (self._mean_square if self._intercept else 0.0))

    @property
    def _mean_square(self) -> Any:
        part = self._moments
        mean = reduce(np.add, part.means)[..., part.k :]
        return part.sumw[..., None] * mean * mean

    def _finite(self, array: Any) -> Any:
        return np.where(self.status == int(Status.NONFINITE), np.nan, array)

    @property
    def _tss(self) -> Any:
        plain = self._plain
        total = plain.centered_tss if self._intercept else plain.uncentered_tss
        return np.where(total > 0, total, np.nan)

    @statistic
    def rsquared(self) -> Any:
        """Share of the sum of squares explained, about the mean with an intercept; L+(m,)."""
        return 1.0 - self.ssr / self._tss

    @statistic
    def rsquared_adj(self) -> Any:
        """R² corrected for the degrees of freedom; L+(m,)."""
        df = np.where(self.df_resid > 0, self.df_resid, np.nan)
        return 1.0 - (1.0 - self.rsquared) * (self.nobs - self._intercept) / df

    @statistic
    def fvalue(self) -> Any:
        """F statistic of all coefficients but the intercept, NaN with a penalty; L+(m,)."""
        # Where columns have units, moments and solution came back to the host.
        free = to_place(self._ridge == 0, place_of(self._solution.df_resid))
        tested = (self.df_model > 0) & self._by_response(free)
        explained = (self._tss - self.ssr) / np.where(tested, self.df_model, np.nan)
        return explained / self.scale

    @statistic
    def f_pvalue(self) -> Any:
        """P-value of `fvalue`; L+(m,)."""
        return inference.f_pvalues(self.fvalue, self.df_model, self.df_resid)

    @statistic
    def llf(self) -> Any:
        """Log-likelihood at the maximum over the variance; L+(m,)."""
        n = np.where(self.nobs > 0, self.nobs, np.nan)
        spread = np.log(2.0 * np.pi * self._in_units.ssr / n) + 1.0
        if self._moments.units is not None:
            exponent = units.exponent_of_squares(self._moments.units, self._moments.m)
            spread = spread + np.log(2.0) * exponent
        return 0.5 * (self._by_response(self._moments.sum_log_w) - n * spread)

    @statistic
    def aic(self) -> Any:
        """Akaike's information criterion; L+(m,)."""
        return 2.0 * (self.nobs - self.df_resid) - 2.0 * self.llf

    @statistic
    def bic(self) -> Any:
        """Schwarz's information criterion; L+(m,)."""
        n = np.where(self.nobs > 0, self.nobs, np.nan)
        return np.log(n) * (n - self.df_resid) - 2.0 * self.llf

    @held
    def nobs(self) -> Any:
        """Rows of positive weight; L+(m,)."""
        return self._by_response(self._moments.nobs)

    @statistic
    def df_model(self) -> Any:
        """Effective number of coefficients, without the intercept; L+(m,)."""
        return self.nobs - self.df_resid - self._intercept

    @held
    def df_resid(self) -> Any:
        """Residual degrees of freedom, NaN where the rank is not known; L+(m,)."""
        return self._by_response(self._solution.df_resid)

    @statistic
    def rank(self) -> Any:
        """Rank of the design, -1 where it is not known; L+(m,)."""
        return self._by_response(self._solution.rank.astype(np.int64, copy=False))

    @held
    def status(self) -> Any:
        """Codes of `gpuols.Status`; L+(m,)."""
        return self._solution.status

    @held
    def error_bound(self) -> Any:
        """Bound on every number's error in units of max(|coefficient|, SE), inf if none; L+(m,).

        It bounds the relative error of every standard error, too; where the fit is exact, so that
        they are zero, their error in units of the coefficients. With singular="min_norm" it
        covers the choice of the shortest solution, too.
        """
        return self._solution.error_bound

    @held
    def solved_precisely(self) -> Any:
        """Whether summed and solved in double-double; L+(m,)."""
        return self._solution.precise

    @lazy
    def normalized_cov(self) -> Any:
        """Covariance divided by `scale`; L+(p,p), L+(m,p,p) where rows differ by response.

        It is computed on the host.
        """
        found = self._on_host._covariance(np.eye(len(self.terms)))
        return arrays.give(found, self.kind, self.place)

    def _covariance(self, weights: Array, exponent: Array | None = None) -> Array:
        """Covariance of combinations (r,p) of the coefficients divided by `scale`; L+(r,r)."""
        fitted = self._moments, self._refined, self._ridge
        found = covariance.unscaled(self.singular, *fitted, weights, exponent)
        return covariance.without(found, np.isnan(self._solution.variances), weights)

"""Result: what a fit found, and what to do with it.

The numbers are those of `gpuols.statistics`; here one tests, predicts, shows, indexes and keeps.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from os import PathLike
from typing import Any, Self

import numpy as np

from gpuols import coefficients, contrasts, inference, prediction, storage, summary, units
from gpuols.engines.transfer import to_host
from gpuols.errors import FitError, InputError, Status
from gpuols.places import CPU, place_of
from gpuols.records import filled
from gpuols.selection import picker
from gpuols.statistics import Statistics


@filled
@dataclass(frozen=True, eq=False, repr=False)
class Result(Statistics):
    """Fitted regressions of a batch of shape L, p coefficients and m responses each.

    Where y came without an axis of responses, the m axis is left out everywhere. All numbers are
    float64 in the kind of array that came in, and on its device; `status` holds the codes of
    `gpuols.Status`. On a device the statistics are computed there; covariances, tests of contrasts,
    predictions and text on the host, from one copy of what the statistics are made of.
    """

    def cov_params(self) -> Any:
        """Covariance of the coefficients, L+(m,p,p)."""
        return self._give(self._on_host._plain._cov(np.eye(len(self.terms))), axis=-3)

    def _cov(self, weights: Any, less: Any = 0) -> Any:
        """Covariance of combinations (r,p) of the coefficients over 2^less, L+(m,r,r).

        Exponents `less` are L+(r,m), and only looked at where the moments have units.
        """
        own, m = self._moments.units, self._moments.m
        with np.errstate(all="ignore"):
            if own is None:
                return self.scale[..., None, None] * self._covariance(weights)[..., None, :, :]
            found = np.empty((*self._moments.lead, m, len(weights), len(weights)))
            for j, scale in enumerate(np.moveaxis(self._in_units.scale, -1, 0)):
                raised = own[..., len(self.terms) - self._intercept + j] + own[..., -1] // 2
                exponent = np.broadcast_to(raised[..., None], (*raised.shape, len(weights)))
                exponent = exponent - np.broadcast_to(less, (*exponent.shape, m))[..., j]
                found[..., j, :, :] = scale[..., None, None] * self._covariance(weights, exponent)
            return found

    def conf_int(self, alpha: float = 0.05) -> Any:
        """Confidence intervals of the coefficients.

        Parameters
        ----------
        alpha : float
            One minus the level of confidence.

        Returns
        -------
        L+(p,m,2)
            Lower and upper ends.

        Raises
        ------
        InputError
            If alpha is not between 0 and 1.
        """
        if not (isinstance(alpha, Real) and 0 < float(alpha) < 1):
            raise InputError("alpha", repr(alpha), "a number between 0 and 1", "use 0.05 for 95%")
        plain = self._plain
        with np.errstate(all="ignore"), self._there():
            quantile = inference.t_quantile_where(float(alpha) / 2.0, plain.df_resid)
            reach = -quantile[..., None, :] * plain.bse
            ends = np.stack([plain.params - reach, plain.params + reach], axis=-1)
        return self._give(ends, axis=-2)

    def t_test(self, R: Any) -> contrasts.Contrast:
        """Test each of some linear combinations of the coefficients against zero.

        Parameters
        ----------
        R : (p,) or (r, p)
            Weights of the coefficients, one combination a row.

        Returns
        -------
        Contrast
            Arrays L+(r,m).
        """
        return self._test(R, contrasts.t_test)

    def f_test(self, R: Any) -> contrasts.Contrast:
        """Test some linear combinations of the coefficients against zero together.

        Parameters
        ----------
        R : (p,) or (r, p)
            Weights of the coefficients, linearly independent rows.

        Returns
        -------
        Contrast
            Arrays L+(m,).
        """
        return self._test(R, contrasts.f_test)

    def _test(self, R: Any, test: Callable[..., contrasts.Contrast]) -> contrasts.Contrast:
        plain = self._on_host._plain
        weights = contrasts.read(R, len(self.terms))
        less, part = np.zeros(1, np.int64), plain._moments
        if part.units is not None:
            size = units.magnitude(weights, part.units, part.m, self._intercept)
            less = size[..., None] + part.units[..., None, part.k : -1]
        cov = plain._cov(weights, less)
        return test(weights, plain.params, cov, less, plain.df_resid).map(self._give)

    @property
    def _usable(self) -> Any:
        """Coefficients L+(p,m), zero for dropped ones."""
        params = self._on_host._shown.params
        unknown = np.isnan(params)
        return np.where(unknown & ~unknown.all(axis=-2, keepdims=True), 0.0, params)

    def predict(self, X: Any, groups: Any = None) -> Any:
        """Fitted values at new rows.

        Parameters
        ----------
        X : (..., n, k)
            Regressors, leading axes as L; (N, k) with groups. A dropped coefficient counts as zero.
            What lies on a device is copied to the host.
        groups : array-like, optional
            Key of each row, where the fit had groups; an unseen key gives NaN.

        Returns
        -------
        L+(n,m), or (N,m) with groups
            The values.
        """
        return self._hand(prediction.predict(X, self._usable, self._intercept, self.keys, groups))

    def resid(self, X: Any, y: Any, groups: Any = None) -> Any:
        """Residuals y - predict(X).

        Parameters
        ----------
        X : (..., n, k)
            Regressors, as in `predict`.
        y : (..., n) or (..., n, m)
            Responses.
        groups : array-like, optional
            Key of each row, where the fit had groups.

        Returns
        -------
        L+(n,m), or (N,m) with groups
            The residuals.
        """
        fitted = prediction.predict(X, self._usable, self._intercept, self.keys, groups)
        return self._hand(prediction.residuals(y, fitted, self.single))

    def check(self) -> Self:
        """Raise unless every regression is OK.

        Returns
        -------
        Result
            This one.

        Raises
        ------
        FitError
            Naming how many are not, the first few, and what to do.
        """
        status = to_host(self._shown.status)
        if (status != Status.OK).any():
            raise FitError(summary.complaint(status, self.keys, self.single))
        return self

    def summary(self) -> str:
        """Table of the coefficients of one regression, or an overview of many."""
        return summary.summarize(self._on_host._shown)

    def to_frame(self, backend: str | None = None) -> Any:
        """Coefficients as a data frame, one row each.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow"}, optional
            Library of the frame; that of the frame that came in, else the first that is installed.

        Returns
        -------
        data frame
            Columns: the keys, in the library that they came from of the types that they had, or
            where there are none the index of the regression; response, term, coef, std_err, t,
            p_value, nobs, rsquared, and the name of the status. A key of one of these names gets
            "_key" after it.

        Raises
        ------
        ImportError, InputError
            If narwhals, or the library, is not installed or not known.
        """
        return coefficients.to_frame(self._on_host._shown, backend or self.frame)

    def __repr__(self) -> str:
        """Counts of statuses."""
        counts = summary.count(to_host(self._plain.status))
        dropped = f"; {summary.rows(self.rows_dropped)} dropped" if self.rows_dropped else ""
        return f"Result({counts}{dropped}; p={len(self.terms)}, engine={self.engine!r})"

    def __len__(self) -> int:
        """Number of regressions along the first axis of L, or of responses where L = ()."""
        if self._moments.batch:
            return self._moments.batch[0]
        if self.single:
            raise TypeError("a single regression has no length")
        return int(self._shown.status.shape[-1])

    def __getitem__(self, where: Any) -> Self:
        """Some of the regressions, indexed along L, or along the responses where L = ()."""
        if not self._moments.batch:
            return self._some_responses(where)
        where = _host_index(where)
        pick = picker(self._moments.batch, where)
        keys = self.keys
        if isinstance(keys, tuple):
            keys = tuple(key[where] for key in keys)
        elif keys is not None:
            keys = keys[where]
        rows = self.key_rows if self.key_rows is None else self.key_rows[where]
        return replace(self, keys=keys, key_rows=rows, **self._mapped(pick))

    def _mapped(self, pick: Callable[[Any], Any]) -> dict[str, Any]:
        """Fields that hold numbers, every array changed by one function."""
        chosen = pick(np.arange(self._ridge.size).reshape(self._ridge.shape))
        with self._there():
            return {
                "_moments": self._moments.map(pick),
                "_solution": self._solution.map(pick),
                "_ridge": pick(self._ridge),
                "_refined": self._refined and self._refined.take(chosen.ravel()),
            }

    def _some_responses(self, where: Any) -> Self:
        if self.single:
            raise TypeError("a single regression has nothing to index")
        chosen = np.arange(len(self))[_host_index(where)]
        columns, single = np.atleast_1d(chosen), np.ndim(chosen) == 0
        if self.apart:
            numbers = self._mapped(picker(self._moments.lead, chosen))
        else:
            with self._there():
                numbers = {
                    "_moments": self._moments.take_responses(columns),
                    "_solution": self._solution.take_responses(columns),
                }
        apart, named = self.apart and not single, self._moments.responses
        names = tuple(named[i] if named else f"y{i}" for i in columns)
        numbers["_moments"] = replace(numbers["_moments"], responses=names, apart=apart)
        return replace(self, single=single, apart=apart, **numbers)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the result to one .npz file, whole or not at all, all as NumPy has it.

        Parameters
        ----------
        path : path
            The file.
        """
        storage.save(path, self._on_host._fields)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a result that `save` wrote.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        Result
            The same in host memory, with NumPy arrays.
        """
        return cls(**storage.load(path))


def _host_index(where: Any) -> Any:
    """An index, parts of which may be arrays on a device, for arrays of the host."""
    if isinstance(where, tuple):
        return tuple(map(_host_index, where))
    return where if place_of(where) == CPU else to_host(where)

"""`gpuols.fit` as an estimator of scikit-learn.

What scikit-learn takes, it checks: lists, NumPy arrays, data frames. Arrays of torch, JAX and CuPy
pass it by: `gpuols.fit` reads them where they are, and what is learned is of their kind, there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from gpuols import arrays
from gpuols.engines.transfer import at, to_host
from gpuols.errors import DeviceError, InputError, InputTypeError, Status
from gpuols.fit import fit
from gpuols.result import Result
from gpuols.rows import read_table

try:
    from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
    from sklearn.metrics import r2_score
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        'gpuols.LinearRegression needs scikit-learn 1.6 or newer: pip install "gpuols[sklearn]"'
    ) from error

_OWN_NAMES = {"add_intercept": "fit_intercept", "ridge": "alpha", "weights": "sample_weight"}


class LinearRegression(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares, with a ridge penalty if one is given, for one target or many at once.

    Minimises Σ w (y - Xβ - b)² + alpha ‖β‖² for each target, b not penalised: what
    sklearn.linear_model.LinearRegression and Ridge minimise. Options other than the first two are
    those of `gpuols.fit`.

    Parameters
    ----------
    fit_intercept : bool
        Whether to fit an intercept b.
    alpha : float
        Penalty, not negative, one for all targets; in units of Σ w x².
    solver : {"auto", "cholesky", "accurate"}
        As in `gpuols.fit`.
    tol : float
        As in `gpuols.fit`.
    singular : {"min_norm", "drop", "nan", "raise"}
        What redundant features get. "min_norm": the shortest β, always finite. The others as in
        `gpuols.fit`; a coefficient that is NaN counts as zero in predictions if others are not.
    device : str
        As in `gpuols.fit`.
    batch_size : int, optional
        As in `gpuols.fit`.

    Attributes
    ----------
    coef_ : (n_features,) or (n_targets, n_features)
        β, in units of the target per unit of the feature; float32 where X was, else float64.
    intercept_ : scalar or (n_targets,)
        b, in units of the target; 0.0 without one.
    rank_ : int
        Rank of X, about its mean where there is an intercept; n_features with a penalty, -1 where
        it is not known.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : (n_features,)
        Their names, where X was a data frame with strings for names.
    result_ : Result
        All else that is known of the fit, in double: standard errors, tests, statuses, bounds.

    Examples
    --------
    >>> import gpuols
    >>> X, y = [[0.0, 1.0], [1.0, 1.0], [2.0, 3.0], [3.0, 2.0]], [1.0, 3.0, 8.0, 8.0]
    >>> model = gpuols.LinearRegression().fit(X, y)
    >>> model.coef_.round(3), model.intercept_.round(3)
    (array([1.767, 1.667]), np.float64(-0.567))
    >>> model.result_.bse.round(3)
    array([0.213, 0.111, 0.149])
    >>> model.predict([[4.0, 0.0]])
    array([6.5])
    """

    def __init__(
        self,
        fit_intercept: bool = True,
        *,
        alpha: float = 0.0,
        solver: str = "auto",
        tol: float = 1e-10,
        singular: str = "min_norm",
        device: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self.solver = solver
        self.tol = tol
        self.singular = singular
        self.device = device
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit all targets.

        Parameters
        ----------
        X : (n_samples, n_features)
            Features.
        y : (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : (n_samples,), optional
            Inverse variances up to a factor; a sample of zero weight is not there.

        Returns
        -------
        LinearRegression
            This one.

        Raises
        ------
        ValueError, TypeError
            If the data or an option can't be used; missing and infinite values can't.
        DeviceError, FitError
            As `gpuols.fit`.
        """
        with _own_names():
            read = self._read if _passes_by(X, y, sample_weight) else self._validate
            X, y, weights, dtype = read(X, y, sample_weight)
            names = getattr(self, "feature_names_in_", None)
            result = fit(
                X,
                y,
                weights=weights,
                add_intercept=_flag(self.fit_intercept),
                ridge=self.alpha,
                solver=self.solver,
                tol=self.tol,
                singular=self.singular,
                device=self.device,
                batch_size=self.batch_size,
                names=None if names is None else names.tolist(),
            )
        _refuse_useless(result)
        first = int(self.fit_intercept)
        self.result_ = result
        self.rank_ = int(np.max(to_host(result.rank), initial=first - 1)) - first
        with np.errstate(over="ignore"):
            b = _changed(result, result.params, lambda b: b.astype(dtype))
        if self.singular == "min_norm":
            _refuse_unbounded(b)
        self.coef_ = _changed(result, b, lambda b: b[first:].T)
        self.intercept_ = _changed(result, b, lambda b: b[0]) if first else 0.0
        return self

    def predict(self, X: Any) -> Any:
        """Predict the targets.

        Parameters
        ----------
        X : (n_samples, n_features)
            Features. What lies on a device is copied to the host.

        Returns
        -------
        (n_samples,) or (n_samples, n_targets)
            Of the kind of array that `coef_` is; float32 where both it and X are.

        Raises
        ------
        ValueError, TypeError
            If X can't be used.
        """
        check_is_fitted(self)
        X = validate_data(self, _on_host("X", X), reset=False)
        dtype = np.result_type(X.dtype, arrays.read("coef_", self.coef_).array.dtype)
        fitted = self.result_.predict(X)
        return _changed(self.result_, fitted, lambda values: values.astype(dtype, copy=False))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² of the predictions, averaged over the targets, as scikit-learn's r2_score.

        Parameters
        ----------
        X : (n_samples, n_features)
            Features.
        y : (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : (n_samples,), optional
            Weights of the samples.

        Returns
        -------
        float
            At most 1; 0 for the mean of y.
        """
        came = {"y": y, "prediction": self.predict(X), "sample_weight": sample_weight}
        y, fitted, weights = (_on_host(argument, value) for argument, value in came.items())
        return float(r2_score(y, fitted, sample_weight=weights))

    def _validate(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, np.dtype[Any]]:
        """What scikit-learn reads, checked by it, and the dtype of coefficients."""
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        return X, y, sample_weight, _dtype_for(X)

    def _read(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, np.dtype[Any]]:
        """What passes scikit-learn by, as it came, and the dtype of coefficients."""
        rows = read_table(X, y, sample_weight, None)
        if not rows.n:
            raise InputError("X", "no samples", "at least one", "look how it was made")
        validate_data(self, X, y, skip_check_array=True)
        return X, y, sample_weight, _dtype_for(rows.x)


def _flag(value: Any) -> Any:
    """NumPy's True and False as Python's."""
    return bool(value) if isinstance(value, np.bool_) else value


def _passes_by(*values: Any) -> bool:
    """Whether any of the arrays is of a kind that scikit-learn does not read in place."""
    return any(arrays.kind_of(value) != arrays.NUMPY for value in values)


def _on_host(argument: str, value: Any) -> Any:
    """An argument that scikit-learn reads."""
    return to_host(arrays.read(argument, value).array) if _passes_by(value) else value


def _dtype_for(x: Any) -> np.dtype[Any]:
    return np.dtype(np.float32 if x.dtype == np.float32 else np.float64)


def _changed(result: Result, value: Any, change: Callable[[Any], Any]) -> Any:
    """An array that a result handed out, changed where it is, of the same kind."""
    with at(result.place, result.kind):
        return arrays.give(change(arrays.read("result", value).array), result.kind, result.place)


def _refuse_useless(result: Result) -> None:
    """Raise where the data leaves nothing to learn from."""
    if (to_host(result.status) == Status.NONFINITE).any():
        raise InputError(
            "X, y or sample_weight",
            Status.NONFINITE.cause,
            "finite numbers",
            "fill in missing values or leave such samples out, or rescale the features",
        )
    if not to_host(result.nobs).all():
        raise InputError(
            "sample_weight", "no sample of positive weight", "at least one", "give it some samples"
        )


def _refuse_unbounded(coefficients: Any) -> None:
    """Raise where the shortest solution is not finite."""
    array = to_host(arrays.read("coef_", coefficients).array)
    if not np.isfinite(array).all():
        raise InputError(
            "X, y",
            f"coefficients that {array.dtype} can't hold",
            "numbers of ordinary size",
            'rescale the features or the target, use float64, or solver="auto"',
        )


@contextmanager
def _own_names() -> Iterator[None]:
    """Errors of `gpuols.fit` in the estimator's names of the arguments."""
    try:
        yield
    except (DeviceError, InputError, InputTypeError) as error:
        own = _OWN_NAMES.get(error.argument, error.argument)
        raise type(error)(*(part.replace(error.argument, own) for part in error.args)) from None

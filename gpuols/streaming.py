"""The verbs for rows that come in pieces: reduce each to moments, add, fit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gpuols import plan
from gpuols.arrays import NUMPY
from gpuols.call import reduce_rows, wrap
from gpuols.engines import choose
from gpuols.errors import InputError, InputTypeError
from gpuols.moments import Moments
from gpuols.options import Options, Progress
from gpuols.problems import batch
from gpuols.problems.pipeline import Answer, Job, answer_moments
from gpuols.result import Result
from gpuols.rows import read_names, read_ridge, read_rows


def moments(
    X: Any,
    y: Any,
    *,
    weights: Any = None,
    add_intercept: bool = False,
    missing: str = "nan",
    solver: str = "auto",
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = False,
    names: Sequence[str] | None = None,
) -> Moments:
    """Reduce rows to their moments, which add: ``a + b`` are those of both sets of rows.

    A stream, a file too large for memory, or several machines are sums of moments.

    Parameters
    ----------
    X : (..., n, k)
        Regressors, as in `fit`.
    y : (..., n) or (..., n, m)
        Responses.
    weights : (..., n), optional
        As in `fit`.
    add_intercept : bool
        As in `fit`; it decides what the moments are about.
    missing : {"nan", "drop", "raise"}
        As in `fit`. With "drop" and an axis of responses, the arrays of the result have a shape
        of L+(m,), of one response each.
    solver : {"auto", "cholesky", "accurate"}
        "accurate" sums in double-double, so that `fit_moments` solves and decides rank in it;
        the others in double, since the rows can't be looked at again.
    device : str
        As in `fit`.
    batch_size : int, optional
        As in `fit`.
    progress : bool or callable
        As in `fit`.
    names : sequence of k str, optional
        As in `fit`.

    Returns
    -------
    Moments
        Of the batch's shape L, NumPy arrays.

    Raises
    ------
    InputError, InputTypeError, DeviceError
        As `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> import gpuols
    >>> x = np.arange(8.0)[:, None]
    >>> y = np.array([1.0, 3.0, 5.0, 8.0, 9.0, 11.0, 12.0, 15.0])
    >>> pieces = [
    ...     gpuols.moments(x[i : i + 2], y[i : i + 2], add_intercept=True) for i in (0, 2, 4, 6)
    ... ]
    >>> total = pieces[0] + pieces[1] + pieces[2] + pieces[3]
    >>> gpuols.fit_moments(total).params.round(3)
    array([1.25 , 1.929])
    """
    options = Options(
        add_intercept,
        missing,
        solver,
        device=device,
        batch_size=batch_size,
        progress=progress,
        names=names,
    )
    rows = read_rows(X, y, weights, names)
    return reduce_rows(rows, options, batch.answer, load=batch.load)


def fit_moments(
    moments: Moments,
    *,
    add_intercept: bool | None = None,
    ridge: Any = 0.0,
    tol: float = 1e-10,
    singular: str = "drop",
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = False,
    names: Sequence[str] | None = None,
) -> Result:
    """Fit regressions whose rows have been reduced to moments.

    Parameters
    ----------
    moments : Moments
        From `moments`, or a sum of such.
    add_intercept : bool, optional
        As the moments were formed, which is also the default.
    ridge : scalar or array broadcastable to L
        As in `fit`.
    tol : float
        As in `fit`.
    singular : {"drop", "min_norm", "nan", "raise"}
        As in `fit`; redundant columns are known where the moments were formed with
        solver="accurate".
    device : str
        As in `fit`.
    batch_size : int, optional
        As in `fit`.
    progress : bool or callable
        As in `fit`.
    names : sequence of k str, optional
        Names of the columns of X, instead of those the moments carry.

    Returns
    -------
    Result
        As `fit`, NumPy arrays.

    Raises
    ------
    InputError, InputTypeError, DeviceError, FitError
        As `fit`.
    """
    if not isinstance(moments, Moments):
        raise InputTypeError(
            "moments", type(moments).__name__, "Moments", "form them with gpuols.moments(X, y)"
        )
    centered = moments.centered
    options = Options(
        centered if add_intercept is None else add_intercept,
        tol=tol,
        singular=singular,
        device=device,
        batch_size=batch_size,
        progress=progress,
        names=names,
    )
    if options.add_intercept != centered:
        raise InputError(
            "add_intercept",
            repr(add_intercept),
            f"{centered}, as the moments were formed",
            f"form them with gpuols.moments(..., add_intercept={add_intercept})",
        )
    responses = moments.lead[-1] if moments.apart else None
    job = Job(choose(device), options, read_ridge(ridge, moments.batch, responses))
    job.engine.check_moments()
    named = replace(moments, terms=read_names(names, moments.terms, moments.k))
    solution = answer_moments(job, moments, plan.reporter(progress))
    return wrap(Answer(named, solution, helped=True), job, NUMPY)

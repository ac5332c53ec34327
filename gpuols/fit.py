"""The verbs for rows at hand: one table, a batch, or many groups in one long table."""

from collections.abc import Sequence
from typing import Any

from gpuols import keys as grouping_keys
from gpuols.call import call
from gpuols.engines import compiles
from gpuols.errors import InputError
from gpuols.options import Options, Progress
from gpuols.plan import Load
from gpuols.problems import batch
from gpuols.problems import groups as grouped
from gpuols.problems.pipeline import Answer, Job
from gpuols.result import Result
from gpuols.rows import Rows, read_rows, read_table


def fit(
    X: Any,
    y: Any,
    *,
    weights: Any = None,
    add_intercept: bool = False,
    ridge: Any = 0.0,
    missing: str = "nan",
    solver: str = "auto",
    tol: float = 1e-10,
    singular: str = "drop",
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = False,
    names: Sequence[str] | None = None,
) -> Result:
    """Fit one, many or millions of least-squares regressions of equal size.

    With y of as many axes as X, the last axis of y counts responses that share each design;
    with one axis fewer there is one response. The leading axes L of X, y and weights broadcast.

    Parameters
    ----------
    X : (..., n, k)
        Regressors: n rows, k columns. NumPy, torch, JAX, CuPy or xarray's arrays, lists or data
        frames. Axes and rows are matched by position; arrays of xarray that name a shared axis
        otherwise, or disagree in its coordinates, are refused.
        What lives on a CUDA device stays there, and so do the results: X, y and weights together.
        It is worked on in torch's current stream where it is torch's, else in CuPy's.
    y : (..., n) or (..., n, m)
        Responses.
    weights : (..., n), optional
        Inverse variances up to a factor; a row of zero weight is not there.
    add_intercept : bool
        Whether to fit an intercept, which comes first among the coefficients. Better than a
        column of ones: the data is then shifted to where its digits are.
    ridge : scalar or array broadcastable to L
        Penalty λ of Σ w r² + λ ‖slopes‖²; the intercept is free.
    missing : {"nan", "drop", "raise"}
        What a missing value (NaN) in X, y or weights does. "nan": its regression becomes NaN and
        NONFINITE. "drop": its row leaves that regression, for each response by itself, and `nobs`
        counts the rows left; infinity is not missing. "raise": an error says how many values are
        missing and where the first is.
    solver : {"auto", "cholesky", "accurate"}
        "auto": in double, then exactly those regressions that their error bound rejects again in
        double-double, where rank is decided; "cholesky": in double alone, what the bound rejects
        is UNTRUSTED; "accurate": all in double-double, digits better than QR's.
    tol : float
        Largest error bound called OK: every coefficient and standard error is then within tol of
        exact, in units of max(|coefficient|, standard error).
    singular : {"drop", "min_norm", "nan", "raise"}
        What redundant columns get. "drop": NaN, as if they were not there, counted left to right
        after the intercept; "min_norm": all coefficients, of the shortest slopes; "nan": all of
        the regression's coefficients are NaN; "raise": an error, after all is computed.
    device : str
        "auto": where the data is; data in host memory is fitted on the CPU, or on the first CUDA
        device where the time for copies and work, by rates measured there once, is expected to be
        clearly less. "cpu": by compiled code where Numba is installed, else by NumPy;
        "cpu:numba", "cpu:numpy": one of them. Code is compiled by the first fit of a kind, for
        some seconds, and kept on disk: `gpuols.precompile` does that ahead. "cuda", "cuda:1": data
        in host memory is copied over, and the results are copied back; "cuda:all": the same with
        every device that CUDA shows, a share each, while data on a device is fitted there. What
        the error bound rejects is summed again on its device, and solved there but beyond 64
        columns and for responses on one design. `Result.engine` says what ran: "cuda:0+cpu:numpy"
        or "cpu:numba+cpu:numpy" where NumPy summed or solved a part, as it does where columns and
        responses are more than 128. An engine that can't be had raises, saying why.
    batch_size : int, optional
        Regressions worked on together, instead of what a memory budget of 256 MiB allows.
    progress : bool or callable
        True for a line on stderr, or a function called with (done, total).
    names : sequence of k str, optional
        Names of the columns of X, without the intercept.

    Returns
    -------
    Result
        Coefficients and statistics, with a status for each regression. Without rows (n = 0) each
        is TOO_FEW_ROWS; without columns (k = 0) only the intercept, if any, is fitted; an empty
        batch or m = 0 gives empty arrays.

    Raises
    ------
    InputError, InputTypeError
        If an argument can't be used (subclasses of ValueError and TypeError).
    DeviceError
        If the device can't be had.
    FitError
        If singular="raise" and a regression is RANK_DEFICIENT.

    Examples
    --------
    >>> import numpy as np
    >>> import gpuols
    >>> X = np.array([[[0.0], [1.0], [2.0], [3.0]], [[0.0], [1.0], [2.0], [4.0]]])
    >>> y = np.array([[1.0, 3.0, 5.0, 8.0], [0.0, 1.0, 4.0, 7.0]])
    >>> result = gpuols.fit(X, y, add_intercept=True)
    >>> result
    Result(2 regressions: 2 OK; p=2, engine='cpu:...')
    >>> result.params.round(3)
    array([[ 0.8  ,  2.3  ],
           [-0.2  ,  1.829]])
    """
    options = Options(
        add_intercept, missing, solver, tol, singular, device, batch_size, progress, names
    )
    rows = read_rows(X, y, weights, names)
    return call(rows, options, batch.answer, rows.lead, ridge, load=batch.load)


def fit_groups(
    X: Any,
    y: Any,
    groups: Any = None,
    *,
    offsets: Any = None,
    weights: Any = None,
    add_intercept: bool = False,
    ridge: Any = 0.0,
    missing: str = "nan",
    solver: str = "auto",
    tol: float = 1e-10,
    singular: str = "drop",
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = False,
    names: Sequence[str] | None = None,
) -> Result:
    """Fit one regression for each group of rows of a long table, rows in any order.

    The options are those of `fit`; L = (G,), one regression a group.

    Parameters
    ----------
    X : (N, k)
        Regressors.
    y : (N,) or (N, m)
        Responses.
    groups : (N,) or tuple of (N,)
        Key of each row, of any dtype; a tuple for several keys. Rows whose key is missing form a
        group of their own, which comes last.
    offsets : (G+1,), optional
        Instead of groups: group g is the rows offsets[g] to offsets[g+1].
    weights : (N,), optional
        As in `fit`.
    add_intercept : bool
        As in `fit`.
    ridge : scalar or (G,)
        As in `fit`.
    missing : {"nan", "drop", "raise"}
        As in `fit`.
    solver : {"auto", "cholesky", "accurate"}
        As in `fit`.
    tol : float
        As in `fit`.
    singular : {"drop", "min_norm", "nan", "raise"}
        As in `fit`.
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
    Result
        Its `keys` are the distinct keys, sorted as numpy.unique sorts them.

    Raises
    ------
    InputError, InputTypeError, DeviceError, FitError
        As `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> import gpuols
    >>> x = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    >>> y = np.array([1.0, 5.0, 2.5, 4.0, 3.0, 3.0])
    >>> result = gpuols.fit_groups(x[:, None], y, ["a", "b"] * 3, add_intercept=True)
    >>> result.keys
    array(['a', 'b'], dtype='<U1')
    >>> result.params.round(3)
    array([[ 1.167,  1.   ],
           [ 5.   , -1.   ]])
    """
    options = Options(
        add_intercept, missing, solver, tol, singular, device, batch_size, progress, names
    )
    rows = read_table(X, y, weights, names)
    grouping = _group(groups, offsets, rows.n, device).for_rows(rows.place)

    def answer(rows: Rows, job: Job) -> Answer:
        return grouped.answer(rows, grouping, job)

    def load(rows: Rows, drop: bool) -> Load:
        return grouped.load(rows, drop, grouping)

    lead, keys = grouping.counts.shape, grouping.keys
    return call(rows, options, answer, lead, ridge, keys, load=load)


def _group(groups: Any, offsets: Any, rows: int, device: str) -> grouping_keys.Grouping:
    if isinstance(groups, grouping_keys.Grouping):
        return groups
    if (groups is None) == (offsets is None):
        raise InputError(
            "groups",
            "neither groups nor offsets" if groups is None else "groups and offsets",
            "exactly one of them",
            "pass groups= for a key a row, or offsets= for rows already in order",
        )
    if groups is not None:
        return grouping_keys.group_by_keys(groups, rows, compiled=compiles(device))
    return grouping_keys.group_by_offsets(offsets, rows)

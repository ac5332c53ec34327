"""Frame: regressions of data frames, by formula and by group."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gpuols import formula as formulas
from gpuols.columns import Columns
from gpuols.engines import compiles
from gpuols.errors import InputError, InputTypeError
from gpuols.fit import fit, fit_groups
from gpuols.keys import group_by_keys
from gpuols.matrix import evaluate
from gpuols.options import Progress
from gpuols.result import Result
from gpuols.table import Table


def fit_frame(
    frame: Any,
    formula: str | tuple[str | Sequence[str], str | Sequence[str]],
    *,
    by: str | Sequence[str] | None = None,
    weights: str | None = None,
    add_intercept: bool = True,
    ridge: Any = 0.0,
    missing: str = "drop",
    solver: str = "auto",
    tol: float = 1e-10,
    singular: str = "drop",
    device: str = "auto",
    batch_size: int | None = None,
    progress: Progress = False,
) -> Result:
    """Fit a formula to a data frame, one regression for each group of rows if asked to.

    Transforms and the levels of categories are those of all rows of the frame of which nothing is
    missing, whatever their group; a level that a group lacks is a dropped column there. A transform
    sees these rows only: make a column of `x.shift()` or `x.fillna(0)` before the fit.

    Parameters
    ----------
    frame : data frame of N rows
        Of pandas, polars (eager or lazy), pyarrow, or any other library that narwhals knows. Only
        the columns that are named are read.
    formula : str or pair
        A formula in Wilkinson's notation, as "y ~ x1 + np.log(x2) + C(city)", with several
        responses as "y1 + y2 ~ x1"; see the documentation of formulaic for its grammar. Or the
        names of the responses and of the regressors, as ("y", ["x1", "x2"]).
    by : str or sequence of str, optional
        Columns whose values make the groups; a sequence for several. Without, it is one regression.
    weights : str, optional
        Column of inverse variances up to a factor; a row of zero weight is not there.
    add_intercept : bool
        Whether there is an intercept unless the formula says so itself, by "+ 1" or "- 1".
    ridge : scalar or (G,)
        As in `fit`.
    missing : {"drop", "nan", "raise"}
        As in `fit`, but rows with a missing value leave their regression unless told otherwise, and
        rows whose key is missing are in none. `Result.rows_dropped` counts them.
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

    Returns
    -------
    Result
        As `fit_groups` gives it, of NumPy arrays, with the names of the columns;
        `Result.to_frame` makes a frame of it, of the library that came in.

    Raises
    ------
    InputError, InputTypeError
        If a column is not there, or does not hold what is asked of it.
    DeviceError, FitError
        As `fit`.
    ImportError
        If narwhals, or for a formula formulaic, is not installed.

    Source: Wilkinson & Rogers (1973), Symbolic description of factorial models for analysis of
    variance, Applied Statistics 22, for the notation.

    Examples
    --------
    >>> import gpuols
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {
    ...         "shop": ["a", "b"] * 3,
    ...         "price": [0.0, 0.0, 1.0, 1.0, 2.0, 2.0],
    ...         "sold": [1.0, 5.0, 2.5, 4.0, 3.0, 3.0],
    ...     }
    ... )
    >>> result = gpuols.fit_frame(frame, "sold ~ price", by="shop")
    >>> print(result.to_frame()[["shop", "term", "coef", "status"]].round(3).to_string(index=False))
    shop      term  coef status
       a Intercept 1.167     OK
       a     price 1.000     OK
       b Intercept 5.000     OK
       b     price -1.000    OK
    """
    columns = Columns.of(frame)
    keys, weight = _keys(by, columns), _weight(weights, columns)
    model = formulas.read(formula, columns, add_intercept, (*keys, *weight))
    table = columns.select((*model.variables, *model.sources, *keys, *weight))
    if missing == "raise":
        _refuse_missing(table)
    table.check_keys("by", keys)
    whole, lost = table, 0
    if missing == "drop":
        table = table.filter(~table.missing(*keys))
    data = evaluate(model, table, (*keys, *weight))
    if missing == "drop":
        lost = whole.rows - table.rows
        lost += int(np.count_nonzero(data.incomplete | table.missing(*weight)))
        if whole.rows and lost == whole.rows:
            _refuse_empty(whole)
    about: dict[str, Any] = {
        "by": keys,
        "frame": table.backend,
        "rows_dropped": lost,
    }
    groups = tuple(table.native(name) for name in keys)
    if groups:
        key = groups[0] if isinstance(by, str) else groups
        grouping = group_by_keys(key, table.rows, compiled=compiles(device))
        about["key_frame"] = table.rows_of(keys, grouping.first)
        about["key_rows"] = np.arange(len(grouping.counts))
    options: dict[str, Any] = {
        "weights": table.numbers("weights", weight[0]) if weight else None,
        "add_intercept": model.intercept,
        "ridge": ridge,
        "missing": missing,
        "solver": solver,
        "tol": tol,
        "singular": singular,
        "device": device,
        "batch_size": batch_size,
        "progress": progress,
        "names": data.terms,
    }
    del table, whole  # a column that is not a key is not needed any more
    if groups:
        result = fit_groups(data.x, data.y, grouping, **options)
    else:
        result = fit(data.x[:], data.y, **options)
    moments = replace(result._moments, responses=model.responses)
    return replace(result, _moments=moments, **about)


def _keys(by: Any, columns: Columns) -> tuple[str, ...]:
    """Names of the columns that make the groups."""
    names = (by,) if isinstance(by, str) else () if by is None else by
    remedy = 'write by="name" or by=["name", "name"]'
    if not (isinstance(names, Sequence) and all(isinstance(name, str) for name in names)):
        came = f"{by!r}" if isinstance(by, Sequence) else type(by).__name__
        raise InputTypeError("by", came, "names of columns", remedy)
    if by is not None and not 0 < len(names) == len(set(names)):
        raise InputError("by", repr(by), "names, each once", remedy)
    columns.check("by", names)
    return tuple(names)


def _weight(weights: Any, columns: Columns) -> tuple[str, ...]:
    """Name of the column of weights, if there is one."""
    if weights is None:
        return ()
    if not isinstance(weights, str):
        came, remedy = type(weights).__name__, "make a column of them and give its name"
        raise InputTypeError("weights", came, "the name of a column", remedy)
    columns.check("weights", [weights])
    return (weights,)


def _refuse_empty(table: Table) -> None:
    """Raise where a column, by itself, leaves no row to fit."""
    for name in table.frame.columns:
        if table.missing(name).all():
            raise InputError(
                "frame",
                f"column {name!r}, of which every value is missing",
                "values",
                "look how it was read, or leave it out",
            )


def _refuse_missing(table: Table) -> None:
    for name in table.frame.columns:
        missing = table.missing(name)
        if number := int(missing.sum()):
            raise InputError(
                "frame",
                f"missing values in column {name!r}: {number:,}, the first in row "
                f"{int(missing.argmax())}",
                'none with missing="raise"',
                'use missing="drop" to leave such rows out',
            )

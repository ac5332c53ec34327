"""Results as text: the table of one regression, the overview of many, the complaint of check."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.errors import Status

_FIRST = 5
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_HEADINGS = ("coef", "std err", "t", "P>|t|", "[0.025", "0.975]")


def count(status: NDArray[np.int8]) -> str:
    """How many regressions there are, and how many of each status.

    Parameters
    ----------
    status : any shape
        Codes of `Status`.

    Returns
    -------
    str
        For example "1,000 regressions: 990 OK, 10 UNTRUSTED".
    """
    codes, numbers = np.unique(status, return_counts=True)
    parts = (f"{n:,} {Status(c).name}" for c, n in zip(codes, numbers, strict=True))
    noun = "regression" if status.size == 1 else "regressions"
    return f"{status.size:,} {noun}: {', '.join(parts) or 'none'}"


def rows(number: int) -> str:
    """A number of rows, as "1 row" or "2,000 rows"."""
    return f"{number:,} {'row' if number == 1 else 'rows'}"


def complaint(status: NDArray[np.int8], keys: Any, single: bool) -> str:
    """What `Result.check` says of regressions that are not OK.

    Parameters
    ----------
    status : L+(m,)
        Codes of `Status`.
    keys : array, tuple of arrays or None
        Keys of the groups.
    single : bool
        Whether the axis of responses is not shown.

    Returns
    -------
    str
        How many, the first few, and for each status the cause and the remedy.
    """
    bad = status != Status.OK
    places = np.argwhere(bad)[:_FIRST]
    names = [_name(place[:-1] if single else place, keys) for place in places]
    noun = "regression is" if status.size == 1 else "regressions are"
    lines = [f"{bad.sum():,} of {status.size:,} {noun} not OK"]
    if any(names):
        lines[0] += f", the first: {', '.join(names)}"
    for code in np.unique(status[bad]):
        known = Status(code)
        number = int((status == code).sum())
        lines.append(f"{number:,} {known.name}: {known.cause}; {known.remedy}")
    return "\n".join(lines)


def _name(place: NDArray[np.int64], keys: Any) -> str:
    """A regression's index, or its key, and the number of the response where there are several."""
    index = tuple(int(i) for i in place)
    if keys is None:
        return str(index[0] if len(index) == 1 else index) if index else ""
    columns = keys if isinstance(keys, tuple) else (keys,)
    if np.ndim(columns[0]):
        columns, index = tuple(column[index[0]] for column in columns), index[1:]
    key = tuple(_text(value) for value in columns)
    response = f" (response {index[0]})" if index else ""
    return f"{key if isinstance(keys, tuple) else key[0]}{response}"


def _text(key: Any) -> Any:
    return key.item() if isinstance(key, np.generic) else key


def summarize(result: Any) -> str:
    """Table of one regression, or an overview of many.

    Parameters
    ----------
    result : Result
        With NumPy arrays and an axis of responses.

    Returns
    -------
    str
        The text, without a closing newline.
    """
    return _one(result) if result.status.size == 1 else _many(result)


def _one(result: Any) -> str:
    def scalar(array: Any) -> float:
        return float(np.asarray(array).reshape(-1)[0])

    status = Status(int(scalar(result.status)))
    facts = [
        ("status", status.name),
        ("observations", f"{scalar(result.nobs):,.0f}"),
        ("residual df", f"{scalar(result.df_resid):,.6g}"),
        ("R-squared", f"{scalar(result.rsquared):.6g}"),
        ("adj. R-squared", f"{scalar(result.rsquared_adj):.6g}"),
        ("residual std err", f"{np.sqrt(scalar(result.scale)):.6g}"),
        ("F statistic", f"{scalar(result.fvalue):.6g}"),
        ("P(F)", f"{scalar(result.f_pvalue):.3g}"),
        ("log-likelihood", f"{scalar(result.llf):.6g}"),
        ("AIC, BIC", f"{scalar(result.aic):.6g}, {scalar(result.bic):.6g}"),
        ("error bound", f"{scalar(result.error_bound):.1e}"),
        ("engine", result.engine),
    ]
    interval = result.conf_int()
    columns = [
        np.asarray(column).reshape(-1)
        for column in (
            result.params,
            result.bse,
            result.tvalues,
            result.pvalues,
            interval[..., 0],
            interval[..., 1],
        )
    ]
    rows = [
        (term, *(_number(column[i]) for column in columns)) for i, term in enumerate(result.terms)
    ]
    lines = [f"Least squares of {result.responses[0]}", *_pairs(facts), ""]
    lines += _table(("", *_HEADINGS), rows)
    if status is not Status.OK:
        lines += ["", f"{status.name}: {status.cause}; {status.remedy}"]
    return "\n".join(lines)


def _many(result: Any) -> str:
    shape = result.status.shape
    head = [
        count(result.status),
        f"shape {shape[:-1]} x {shape[-1]} responses, {len(result.terms)} coefficients, "
        f"engine {result.engine}",
    ]
    headings = ("", "min", "25%", "median", "75%", "max")
    params = np.moveaxis(result.params, -2, 0)
    rows = [_spread(term, params[i]) for i, term in enumerate(result.terms)]
    rows += [
        _spread(label, getattr(result, name))
        for label, name in (
            ("observations", "nobs"),
            ("R-squared", "rsquared"),
            ("residual variance", "scale"),
            ("error bound", "error_bound"),
        )
    ]
    lines = [*head, "", *_table(headings, rows)]
    for code in np.unique(result.status[result.status != Status.OK]):
        known = Status(code)
        lines += ["", f"{known.name}: {known.cause}; {known.remedy}"]
    lines += ["", "quantiles over the regressions with finite values; result[i].summary() for one"]
    return "\n".join(lines)


def _spread(label: str, values: NDArray[np.float64]) -> tuple[str, ...]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (label, *("-" for _ in _QUANTILES))
    return (label, *(_number(value) for value in np.quantile(finite, _QUANTILES)))


def _number(value: float) -> str:
    return f"{value:.6g}"


def _pairs(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Facts in two columns."""
    half = -(-len(facts) // 2)
    left, right = facts[:half], facts[half:]
    names = [max(len(name) for name, _ in side) for side in (left, right)]
    width = max(len(value) for _, value in left)
    return [
        f"{a:<{names[0]}}  {b:<{width}}    {c:<{names[1]}}  {d}".rstrip()
        for (a, b), (c, d) in zip(left, right, strict=True)
    ]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [headings, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    lines = [
        "  ".join(
            f"{cell:<{width}}" if i == 0 else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return [lines[0], "-" * max(len(line) for line in lines), *lines[1:]]

"""What `gpuols demo` prints: one regression for each aircraft that left New York in 2013."""

import textwrap
from collections.abc import Sequence
from os import PathLike
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from gpuols import flights, inference, picture
from gpuols.errors import Status
from gpuols.fit import fit_groups
from gpuols.flights import Flights
from gpuols.result import Result

_SHOWN = 5
_WIDTH = 100
_DIGITS = {"Intercept": 1}
_SLOPES = {
    "dep_delay": ("minute of dep_delay", 1.0, "1, as late as it left"),
    "air_time": ("minute of air_time", 0.0, "0, no effect"),
    "distance": ("mile of distance", 0.0, "0, no effect"),
}


def run(png: str | PathLike[str] | None = None) -> str:
    """Read the flights, fit them, and say what came out.

    Parameters
    ----------
    png : path, optional
        File to draw the slopes into.

    Returns
    -------
    str
        The text, without a closing newline.

    Raises
    ------
    DataError
        If the flights are not there or can't be read.
    PictureError
        If the slopes can't be drawn or the file can't be written.
    """
    start = perf_counter()
    data = flights.read(flights.find())
    middle = perf_counter()
    result = fit(data)
    text = report(data, result, reading=middle - start, fitting=perf_counter() - middle)
    if png is None:
        return text
    draw(result, png)
    return f"{text}\n\nThe slopes of all aircraft are drawn in {png}"


def fit(data: Flights) -> Result:
    """Fit the delay at arrival, one regression for each aircraft.

    Parameters
    ----------
    data : Flights
        The flights.

    Returns
    -------
    Result
        L = (aircraft,), four coefficients, the intercept first; `keys` are the tail numbers.
    """
    return fit_groups(
        data.X, data.arr_delay, data.tailnum, add_intercept=True, names=flights.REGRESSORS
    )


def draw(result: Result, png: str | PathLike[str]) -> None:
    """Draw the slopes of all aircraft, with their confidence intervals.

    Parameters
    ----------
    result : Result
        From `fit`.
    png : path
        The file to write.

    Raises
    ------
    PictureError
        If they can't be drawn or the file can't be written.
    """
    regressors, intervals = ", ".join(flights.REGRESSORS), result.conf_int()
    title = (
        f"Flights that left New York in 2013\n{flights.RESPONSE} on {regressors} and an intercept, "
        f"one regression for each of {len(result):,} aircraft"
    )
    slopes = []
    for name, (per, reference, meaning) in _SLOPES.items():
        unit, j = f"minutes of {flights.RESPONSE} per {per}", result.terms.index(name)
        slopes.append(
            picture.Slope(name, unit, reference, meaning, result.params[:, j], intervals[:, j])
        )
    picture.draw(png, title, "aircraft", slopes, result.status)


def report(data: Flights, result: Result, *, reading: float, fitting: float) -> str:
    """Say what was read, what came out, and what it is worth.

    Parameters
    ----------
    data : Flights
        The flights.
    result : Result
        From `fit`.
    reading, fitting : float
        Seconds that took.

    Returns
    -------
    str
        The text, without a closing newline.
    """
    used = len(data.arr_delay)
    lines = [
        "Flights that left New York in 2013: does a late departure arrive as late?",
        f"{flights.RESPONSE} on {', '.join(flights.REGRESSORS)} and an intercept, "
        "one regression for each aircraft",
        "",
        f"{used + data.dropped:>9,} rows read in {reading:.2f} s",
        f"{data.dropped:>9,} rows dropped, because a value is missing",
        f"{len(result):>9,} aircraft fitted in {fitting:.2f} s, engine {result.engine}",
        "",
        *_statuses(result),
        "",
        "An aircraft that flew one distance only can't tell distance from the intercept.",
        "",
        f"The first {_SHOWN} aircraft (standard errors in brackets)",
        *_coefficients(result, np.arange(min(_SHOWN, len(result)))),
    ]
    extreme = _extreme(result)
    if len(extreme):
        lines += [
            "",
            "Where a minute late at departure is most clearly not a minute late at arrival",
            "(the smallest p-values of dep_delay = 1 among the OK)",
            *_coefficients(result, extreme),
        ]
        lines += ["", *textwrap.wrap(_promise(result), _WIDTH)]
    return "\n".join(lines)


def _promise(result: Result) -> str:
    """What OK promises, for a result in which there is one."""
    largest = result.error_bound[result.status == Status.OK].max()
    return (
        f"OK promises: {Status.OK.cause}. Here tol is {result.tol:g}, and the largest error bound "
        f"of an OK aircraft is {largest:.1e}. That is about the arithmetic, not about the model."
    )


def _statuses(result: Result) -> list[str]:
    """How many there are of each status, one of them, and what the status means."""
    keys = np.asarray(result.keys)
    codes, places, counts = np.unique(result.status, return_index=True, return_counts=True)
    rows = [
        (Status(code).name, f"{count:,}", str(keys[place]), Status(code).cause)
        for code, place, count in zip(codes, places, counts, strict=True)
    ]
    return _table(("status", "aircraft", "such as", "which means"), rows, left=(0, 2))


def _extreme(result: Result) -> NDArray[np.int64]:
    """Places of the OK regressions whose slope of dep_delay differs most clearly from 1."""
    ok = np.flatnonzero(result.status == Status.OK)
    slope = result.terms.index("dep_delay")
    with np.errstate(all="ignore"):  # a perfect fit has standard errors of zero
        t = (result.params[ok, slope] - 1.0) / result.bse[ok, slope]
    order = np.argsort(inference.t_log10_pvalues(t, result.df_resid[ok]), kind="stable")
    return ok[order[:_SHOWN]]


def _coefficients(result: Result, places: NDArray[np.int64]) -> list[str]:
    """Table of some regressions, a line each."""
    keys = np.asarray(result.keys)
    digits = [_DIGITS.get(term, 3) for term in result.terms]
    rows = []
    for i in places:
        pairs = zip(result.params[i], result.bse[i], digits, strict=True)
        estimates = [f"{_number(b, d)} ({_number(se, d)})" for b, se, d in pairs]
        status = Status(result.status[i]).name
        rows.append(
            (
                str(keys[i]),
                f"{result.nobs[i]:,.0f}",
                *estimates,
                _number(result.rsquared[i], 3),
                status,
            )
        )
    return _table(("tailnum", "flights", *result.terms, "R2", "status"), rows, left=(0,))


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]
) -> list[str]:
    """Lines of a table: the last column wrapped, the others set right but for those in `left`."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)

    def line(cells: Sequence[str]) -> list[str]:
        words = [
            f"{cell:<{width}}" if i in left else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(cells[:-1], widths[:-1], strict=True))
        ]
        last = textwrap.wrap(cells[-1], max(_WIDTH - indent, 20))
        return ["  ".join([*words, last[0]]), *(" " * indent + more for more in last[1:])]

    body = [text for row in rows for text in line(row)]
    top = line(headings)
    return [*top, "-" * max(map(len, [*top, *body])), *body]

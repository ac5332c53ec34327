"""Whether two engines say the same: statuses exactly, numbers to their error bounds.

Whether a nearly singular matrix has a factor in double is up to rounding: where a regression is
UNTRUSTED and its bound leaves no digits, only the status is compared. No bound says so where it is
NONFINITE: its rank and its degrees of freedom are compared unless one result alone knows them.
"""

from collections.abc import Iterator

import numpy as np

import gpuols
from gpuols import Status
from gpuols.engines.transfer import to_host

OF_COEFFICIENTS = ("params", "bse")
OF_RESIDUALS = ("ssr", "scale")
OF_ROWS = ("nobs", "df_resid", "uncentered_tss")
HOPELESS = 1e-3
CLOSE = 1e-9


def disagreements(found: gpuols.Result, expected: gpuols.Result) -> list[str]:
    """What two results of the same fit disagree on, in words.

    A number of either lies within its own error bound of the exact one, so that the two may be
    apart by the sum of both, in units of max(|coefficient|, standard error) for coefficients and
    of itself for a standard error, whose square is what the residuals give.
    """
    return list(_complaints(found, expected))


def _complaints(found: gpuols.Result, expected: gpuols.Result) -> Iterator[str]:
    mine, theirs = (_numbers(result) for result in (found, expected))
    yield from _apart("status", mine, theirs, 0.0)
    hopeless = np.zeros(mine["status"].shape, bool)
    for numbers in (mine, theirs):
        untrusted = numbers["status"] == Status.UNTRUSTED
        hopeless |= untrusted & (numbers["error_bound"] > HOPELESS)
    for numbers in (mine, theirs):
        for name in (*OF_COEFFICIENTS, *OF_RESIDUALS, *OF_ROWS, "rank"):
            where = hopeless[..., None, :] if name in OF_COEFFICIENTS else hopeless
            numbers[name] = np.where(where, 0, numbers[name])
    unknown = (mine["rank"] < 0) != (theirs["rank"] < 0)
    unknown &= mine["status"] == Status.NONFINITE
    for numbers in (mine, theirs):
        for name in ("rank", "df_resid"):
            numbers[name] = np.where(unknown, 0, numbers[name])
    bounds = mine["error_bound"] + theirs["error_bound"]
    yield from _apart("rank", mine, theirs, 0.0)
    for name in OF_COEFFICIENTS:
        size = np.abs(theirs[name])
        if name == "params":
            size = np.fmax(size, theirs["bse"])
        yield from _apart(name, mine, theirs, _times(bounds[..., None, :], size))
    for name in OF_RESIDUALS:
        yield from _apart(name, mine, theirs, _times(2.0 * bounds, np.abs(theirs[name])))
    for name in OF_ROWS:
        yield from _apart(name, mine, theirs, CLOSE * np.abs(theirs[name]))


def _numbers(result: gpuols.Result) -> dict[str, np.ndarray]:
    """What a result says, on the host, with an axis of responses last."""
    names = *OF_COEFFICIENTS, *OF_RESIDUALS, *OF_ROWS, "status", "rank", "error_bound"
    numbers = {name: np.asarray(to_host(getattr(result, name))) for name in names}
    return {name: a[..., None] if result.single else a for name, a in numbers.items()}


def _times(bounds: np.ndarray, size: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(np.isinf(bounds), np.inf, bounds * size)


def _apart(
    name: str, mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray], allowed: np.ndarray
) -> Iterator[str]:
    found, expected = mine[name], theirs[name]
    if found.shape != expected.shape:
        yield f"{name}: shape {found.shape}, not {expected.shape}"
        return
    with np.errstate(invalid="ignore"):
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        same |= np.abs(found - expected) <= allowed
    if not same.all():
        place = tuple(np.argwhere(~same)[0])
        count = np.sum(~same)
        yield f"{name}: {found[place]!r}, not {expected[place]!r} at {place} and {count - 1} more"

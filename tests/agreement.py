"""Whether two engines say the same: statuses exactly, numbers to their error bounds."""

from collections.abc import Iterator

import numpy as np

import gpuols
from gpuols.engines.transfer import to_host

EXACTLY = ("status", "nobs", "rank")
TO_THE_BOUND = ("params", "bse")
CLOSELY = ("ssr", "scale", "df_resid", "uncentered_tss", "llf")
"""To a relative 1e-9, where they are trusted."""


def disagreements(found: gpuols.Result, expected: gpuols.Result) -> list[str]:
    """What two results of the same fit disagree on, in words.

    A number of either lies within its own error bound of the exact one, so that the two may be
    apart by the sum of both, in units of max(|coefficient|, standard error) for coefficients and
    of itself for a standard error.
    """
    return list(_complaints(found, expected))


def _complaints(found: gpuols.Result, expected: gpuols.Result) -> Iterator[str]:
    for name in EXACTLY:
        mine, theirs = (_read(result, name) for result in (found, expected))
        if not np.array_equal(mine, theirs):
            yield f"{name}: {_first(mine, theirs, mine != theirs)}"
    for name in TO_THE_BOUND:
        yield from _beyond_bounds(name, found, expected)
    for name in CLOSELY:
        mine, theirs = (_trusted(result, name) for result in (found, expected))
        yield from _apart(name, mine, theirs, 1e-9 * np.abs(theirs))


def _beyond_bounds(name: str, found: gpuols.Result, expected: gpuols.Result) -> Iterator[str]:
    bounds = _read(found, "error_bound") + _read(expected, "error_bound")
    bounds = bounds[..., None] if found.single else bounds[..., None, :]
    mine, theirs = (_read(result, name) for result in (found, expected))
    size = np.abs(theirs)
    if name == "params":
        size = np.fmax(size, _read(expected, "bse"))
    with np.errstate(invalid="ignore"):
        allowed = np.where(np.isinf(bounds), np.inf, bounds * size)
    yield from _apart(name, mine, theirs, allowed)


def _read(result: gpuols.Result, name: str) -> np.ndarray:
    return np.asarray(to_host(getattr(result, name)))


def _trusted(result: gpuols.Result, name: str) -> np.ndarray:
    """Numbers whose error bound says that they have digits; NaN for others."""
    return np.where(_read(result, "error_bound") < 1e-3, _read(result, name), np.nan)


def _apart(name: str, mine: np.ndarray, theirs: np.ndarray, allowed: np.ndarray) -> Iterator[str]:
    if mine.shape != theirs.shape:
        yield f"{name}: shape {mine.shape}, not {theirs.shape}"
        return
    with np.errstate(invalid="ignore"):
        same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
        same |= np.abs(mine - theirs) <= allowed
    if not same.all():
        yield f"{name}: {_first(mine, theirs, ~same)}"


def _first(mine: np.ndarray, theirs: np.ndarray, wrong: np.ndarray) -> str:
    place = tuple(np.argwhere(wrong)[0])
    return f"{mine[place]!r}, not {theirs[place]!r} at {place} ({np.sum(wrong)} of {wrong.size})"

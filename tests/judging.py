"""Whether a fit says the truth about one regression: status, rank and numbers, against `oracle`.

A regression within a factor 10 of a threshold (of the rank rule, of residuals that count as
zero) may be answered either way and is set aside. UNTRUSTED is right only where the error bound
of a double-double solution, anchored at the mean, is within a factor 10 of tol or above it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import oracle
from case import Regression
from scale import beyond, extreme, felt, out_of_reach, overflow, uneven, vanishing

import gpuols
from gpuols import Status

OF_COEFFICIENTS = ("params", "bse", "tvalues", "pvalues")
OF_RESPONSES = (
    *("status", "rank", "nobs", "df_resid", "df_model", "error_bound", "ssr", "scale"),
    *("centered_tss", "uncentered_tss", "rsquared", "rsquared_adj", "fvalue", "f_pvalue"),
)
SMALL, LARGE = 1e-290, 1e307
"""Outside them a number may lose digits, or overflow, on its way out."""
ROUGH = 1e-3
"""Numbers that are not trusted are worth something where their error bound is below it."""


class Verdict(NamedTuple):
    """What is wrong, in words; how many responses were set aside."""

    complaints: list[str]
    aside: int


def numbers(result: gpuols.Result) -> dict[str, np.ndarray]:
    """What a result says, with an axis of responses last."""
    names = OF_COEFFICIENTS + OF_RESPONSES
    arrays = {name: np.asarray(getattr(result, name)) for name in names}
    return {name: a[..., None] if result.single else a for name, a in arrays.items()}


def said_of(said: Mapping[str, np.ndarray], regression: Regression) -> dict[str, np.ndarray]:
    """What is said of one regression, out of the `numbers` of all."""
    return {name: a[regression.place][..., regression.responses] for name, a in said.items()}


def solve(
    regression: Regression, singular: str | None = "drop", *, rows: bool = True
) -> oracle.Exact:
    """Exact answers to a regression."""
    return oracle.solve(
        regression.X,
        regression.y,
        regression.weights,
        add_intercept=regression.add_intercept,
        ridge=regression.ridge,
        singular=singular,
        rows=rows,
    )


def judge(
    regression: Regression, said: Mapping[str, np.ndarray], options: Mapping[str, Any]
) -> Verdict:
    """Compare what a fit said of the m responses of one regression with the exact answers.

    Parameters
    ----------
    regression : Regression
        The data, X (n, k), y (n, m).
    said : dict
        `numbers` at the regression's place.
    options : dict
        Of the fit: solver, singular and tol matter here; rows = False where only moments were
        there to be solved.

    Returns
    -------
    Verdict
        No complaints where all is right.
    """
    min_norm, rows = options.get("singular", "drop") == "min_norm", options.get("rows", True)
    finite, clean, exact = known(regression, min_norm, rows)
    ranks = _ranks_of_broken(regression, clean, exact, options)
    complaints = [
        f"[{i}] {words}"
        for i in np.flatnonzero(~finite)
        for words in _broken({name: array[..., i] for name, array in said.items()}, ranks)
    ]
    aside = 0
    for place, i in enumerate(np.flatnonzero(finite)):
        mine = {name: array[..., i] for name, array in said.items()}
        if near(exact, place, regression.ridge, rows):
            aside += 1
        else:
            complaints += (f"[{i}] {words}" for words in _judge(clean, exact, place, mine, options))
    return Verdict(complaints, aside)


@lru_cache(64)
def known(
    regression: Regression, min_norm: bool, rows: bool = True
) -> tuple[np.ndarray, Regression, oracle.Exact]:
    """Which responses are finite (m,), the regression of those, and its exact answers."""
    X, y, w = (
        np.asarray(a, float)
        for a in (
            regression.X,
            regression.y,
            np.ones(len(regression.X)) if regression.weights is None else regression.weights,
        )
    )
    X, y, w = X[w != 0], y[w != 0], w[w != 0]
    whole = np.isfinite(X).all() and np.isfinite(w).all()
    finite = np.isfinite(y).all(axis=0) & whole
    clean = replace(regression, X=X if whole else X[:0], y=y[:, finite], weights=w)
    if not whole:
        clean = replace(clean, y=clean.y[:0], weights=w[:0])
    return finite, clean, solve(clean, "min_norm" if min_norm else "drop", rows=rows)


def near(exact: oracle.Exact, i: int, ridge: float, rows: bool) -> bool:
    """Whether a threshold is within a factor 10, or 200 digits are too few."""
    if ridge and exact.nobs and (not exact.kept.all() or exact.df_resid < 1e-6):
        return True
    rank = ridge == 0 and bool((exact.blurred | (np.abs(exact.margins) < 1)).any())
    least, most = exact.noise[i]
    looked = rows and ridge == 0
    return rank or (not looked and least < 1 and most > -1 and exact.df_resid > 0)


def right_statuses(
    exact: oracle.Exact, i: int, ridge: float, options: Mapping[str, Any]
) -> frozenset[Status]:
    """The statuses that are right for response i, away from thresholds."""
    few, deficient = exact.df_resid <= 0, ridge == 0 and not exact.kept.all()
    fast = options.get("solver", "auto") == "cholesky"
    right = {Status.TOO_FEW_ROWS if few else Status.RANK_DEFICIENT if deficient else Status.OK}
    if ridge and (few or exact.noise[i, 1] <= 0):
        right.add(Status.UNTRUSTED)
    if fast and deficient:
        right = {Status.UNTRUSTED, Status.TOO_FEW_ROWS}
        if exact.nobs > len(exact.kept):
            right.remove(Status.TOO_FEW_ROWS)
    elif not (few or deficient) and (fast or exact.bound[i] > 0.1 * options.get("tol", 1e-10)):
        right.add(Status.UNTRUSTED)
    return frozenset(right)


def _ranks_of_broken(
    regression: Regression, clean: Regression, exact: oracle.Exact, options: Mapping[str, Any]
) -> set[int]:
    """What may be said of the rank where a response is not finite: nothing, or what it is."""
    if regression.nobs != clean.nobs:
        return {-1}
    if regression.ridge or (options.get("solver") == "cholesky" and clean.y.shape[1]):
        return {-1, exact.rank, regression.p}
    return {-1, exact.rank}


def _broken(said: Mapping[str, Any], ranks: set[int]) -> Iterator[str]:
    if said["status"] != Status.NONFINITE:
        yield f"status {Status(said['status']).name}, not NONFINITE"
    if int(said["rank"]) not in ranks or np.isnan(said["df_resid"]) != (said["rank"] < 0):
        yield f"rank {said['rank']} and df_resid {said['df_resid']} of NONFINITE, rank in {ranks}"
    for name in (*OF_COEFFICIENTS, "ssr", "scale", "rsquared", "fvalue"):
        if not np.isnan(said[name]).all():
            yield f"{name} {said[name]} of NONFINITE"


def _judge(
    regression: Regression,
    exact: oracle.Exact,
    i: int,
    said: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Iterator[str]:
    """What is wrong with one response."""
    right, status = right_statuses(exact, i, regression.ridge, options), Status(said["status"])
    if status == options.get("overflow") and beyond(regression):
        return
    if status == Status.NONFINITE and options.get("solver") == "cholesky" and overflow(regression):
        return
    if status == Status.UNTRUSTED and regression.ridge and out_of_reach(regression):
        return
    if status not in right:
        names = " or ".join(sorted(each.name for each in right))
        yield f"status {status.name}, not {names}"
        return
    if said["nobs"] != exact.nobs:
        yield f"nobs {said['nobs']}, not {exact.nobs}"
    fast = options.get("solver", "auto") == "cholesky"
    if fast and status != Status.OK and said["rank"] not in (-1, regression.p):
        yield f"rank {said['rank']} of the fast solver"
    if fast and not exact.kept.all():
        return
    if fast and said["rank"] == -1:
        said = {**said, "rank": regression.p}
    if status == Status.TOO_FEW_ROWS and (
        regression.ridge or (fast and np.isnan(said["params"]).all())
    ):
        return
    if said["rank"] != (exact.rank if regression.ridge == 0 else regression.p):
        yield f"rank {said['rank']}, not {exact.rank}"
    if status == Status.UNTRUSTED and not said["error_bound"] < ROUGH:
        return
    if status == Status.RANK_DEFICIENT and not said["error_bound"] < ROUGH:
        whole = options.get("singular") == "min_norm" or exact.noise[i, 1] == -np.inf
        if not whole and exact.bound[i] < 0.1 * ROUGH:
            yield f"error_bound {said['error_bound']}, not {exact.bound[i]}"
        return
    yield from _judge_numbers(regression, exact, i, said, options, status)


def _judge_numbers(
    regression: Regression,
    exact: oracle.Exact,
    i: int,
    said: Mapping[str, Any],
    options: Mapping[str, Any],
    status: Status,
) -> Iterator[str]:
    policy = options.get("singular", "drop")
    choice = policy == "min_norm" and not exact.kept.all()
    params, bse = exact.params[:, i], exact.bse[:, i]
    bound, fast = float(said["error_bound"]), options.get("solver", "auto") == "cholesky"
    if status == Status.OK and not bound <= options.get("tol", 1e-10):
        yield f"error_bound {bound} of OK"
    if status == Status.TOO_FEW_ROWS:
        # Nothing is promised of it: in double its rows may lie far from their anchor.
        loose = ROUGH if fast else 1e-6 if choice else 1e-12
        bound = loose + 100 * exact.bound[i]
    if policy == "nan" and not exact.kept.all() and regression.ridge == 0:
        params, bse = params * np.nan, bse * np.nan
    unseen = said["ssr"] == 0 and exact.noise[i, 1] <= 0
    for name, want, se in (("params", params, bse), ("bse", bse, 0.0)):
        got = said[name]
        if choice and status == Status.TOO_FEW_ROWS and uneven(regression):
            continue
        if not np.array_equal(np.isnan(got), np.isnan(want)):
            yield f"{name} {got}, not {want}"
            continue
        sane = ((np.abs(want) < LARGE) & (np.abs(want) > SMALL)) | (want == 0)
        if choice:
            sane &= felt(regression, params, 400) | ((got != 0) & (want != 0))
        if status == Status.TOO_FEW_ROWS:
            sane &= felt(regression, params, 40) | ((got != 0) & (want != 0) & (not choice))
        if unseen and name == "bse":
            se = np.abs(params)
        error = oracle.relative_error(got, want, se)[sane]
        if (error > bound).any():
            yield f"{name} {got}, not {want}: error {error.max():.2g}, bound {bound:.2g}"
    if exact.nobs == 0:
        return
    lost = fast and (beyond(regression) or vanishing(regression))
    yield from _judge_sums(regression, exact, i, said, bound, lost)
    looked = options.get("rows", True) and regression.ridge == 0
    yield from _judge_tests(regression, exact, i, said, lost, looked)


def _judge_sums(
    regression: Regression,
    exact: oracle.Exact,
    i: int,
    said: Mapping[str, Any],
    bound: float,
    lost: bool,
) -> Iterator[str]:
    """Sums of squares; `lost` says that they may be infinite or unknown, beyond double."""
    if np.abs(said["df_resid"] - exact.df_resid) > (2 * bound + 1e-13) * exact.df_resid:
        yield f"df_resid {said['df_resid']}, not {exact.df_resid}"
    # Without an intercept the sums are about zero: moving them to the mean costs digits.
    moved = 0.0 if regression.add_intercept else 1e-13 * exact.uncentered_tss[i]
    for name, slack in (("ssr", 0.0), ("centered_tss", moved), ("uncentered_tss", 0.0)):
        want = getattr(exact, name)[i]
        if name == "ssr" and said[name] == 0 and exact.noise[i, 1] <= 0:
            continue
        if (SMALL < want < LARGE or want == 0) and (np.isfinite(said[name]) or not lost):
            error = np.abs(said[name] - want)
            if not error <= (2.1 * bound + 1e-13) * want + slack:
                yield f"{name} {said[name]}, not {want}"


def _judge_tests(
    regression: Regression,
    exact: oracle.Exact,
    i: int,
    said: Mapping[str, Any],
    lost: bool,
    looked: bool,
) -> Iterator[str]:
    """Test statistics where residuals vanish, and R² everywhere."""
    bound = float(said["error_bound"]) if np.isfinite(said["error_bound"]) else 0.0
    want, got = exact.rsquared[i], said["rsquared"]
    close = np.isclose(got, want, rtol=0, atol=2.1 * bound + 1e-12, equal_nan=True)
    if not close and not (lost and np.isnan(got)):
        yield f"rsquared {got}, not {want}"
    if exact.df_resid <= 0:
        for name in ("bse", "tvalues", "pvalues", "rsquared_adj", "fvalue", "f_pvalue"):
            if not np.isnan(said[name]).all():
                yield f"{name} {said[name]} without degrees of freedom"
        return
    if looked and said["ssr"] == 0 and -np.inf < exact.noise[i, 1] <= 0:
        return
    t, known = said["tvalues"], ~np.isnan(said["params"])
    vanished = np.isnan(t) & (exact.bse[:, i] < SMALL)
    sure = known & ~np.isnan(exact.tvalues[:, i]) & ~vanished
    error = np.abs(t - exact.tvalues[:, i])[sure]
    if not (error <= (3 * bound + 1e-14) * np.fmax(1, np.abs(exact.tvalues[:, i]))[sure]).all():
        yield f"tvalues {t}, not {exact.tvalues[:, i]}"
    intercept, ridge = int(regression.add_intercept), regression.ridge
    tested = exact.rank - intercept > 0 and ridge == 0 and not np.isnan(want)
    if exact.noise[i, 1] <= (-np.inf if looked else 0):
        want = (np.inf, 0.0) if tested else (np.nan, np.nan)
        got = float(said["fvalue"]), float(said["f_pvalue"])
        if not np.array_equal(got, want, equal_nan=True):
            yield f"F and its p-value {got}, not {want}"
        if not extreme(regression):
            yield from _judge_exact_fit(said)
    elif not tested and not np.isnan(said["fvalue"]):
        yield f"fvalue {said['fvalue']}, with nothing to test"


def _judge_exact_fit(said: Mapping[str, Any]) -> Iterator[str]:
    """Coefficients known exactly: infinitely sure, or, where zero, nothing to say."""
    params, t, p = (said[name] for name in ("params", "tvalues", "pvalues"))
    known = np.isfinite(params)
    params, t, p = params[known], t[known], p[known]
    moving = params != 0
    if not (np.isposinf(np.abs(t[moving])) & (np.sign(t) == np.sign(params))[moving]).all():
        yield f"tvalues {t} of an exact fit {params}"
    if (p[moving] != 0).any() or not np.isnan([t[~moving], p[~moving]]).all():
        yield f"pvalues {p} and tvalues {t} of an exact fit {params}"

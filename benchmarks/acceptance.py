"""How often OK is wrong: fresh random regressions with exact answers.

An error is that of the worst coefficient in units of max(|coefficient|, standard error), or of
the worst standard error or the residual standard deviation, relative. Where gpuols says that a
regression fits exactly, its standard errors of zero are judged in units of the coefficients.
"""

from typing import Any

import numpy as np

from benchmarks import ensembles, exact
from benchmarks.digits import relative
from benchmarks.families import Array
from gpuols import Result, Status

TOLERANCES = (1e-6, 1e-8, 1e-10)
ROUNDING = 2.0**-51
"""What the last few roundings to double may add to an error bound in double-double."""


def check(seed: int, index: int) -> dict[str, Any]:
    """What gpuols says of the regressions of one draw, and how right that is."""
    ensemble, family, batch = ensembles.draw(seed, index)
    right = exact.solve_all(batch)
    known = np.isfinite(right.ssr)

    def fit(solver: str, tol: float) -> Result:
        rng = np.random.default_rng([seed, index, 1])
        return ensembles.fit(ensemble, batch, rng, solver=solver, tol=tol)

    fast = fit("cholesky", min(TOLERANCES))
    fast_error, fast_bound = error(fast, right), _table(fast.error_bound, right)
    found: dict[str, Any] = {"ensemble": ensemble, "family": family, "index": index}
    found["regressions"], found["left_out"] = int(known.sum()), int((~known).sum())
    for tol in TOLERANCES:
        auto = fit("auto", tol)
        ok = known & (_table(auto.status, right) == Status.OK)
        precisely = _table(auto.solved_precisely, right)
        wrong = error(auto, right)
        ratio = relative(wrong, 0.0, np.fmax(_table(auto.error_bound, right), ROUNDING))
        good = known & (fast_error <= tol)
        found[f"{tol:g}"] = {
            "ok": int(ok.sum()),
            "exact_fits": int((ok & (_table(auto.ssr, right) == 0)).sum()),
            "solved_precisely": int((ok & precisely).sum()),
            "false": np.argwhere(ok & (wrong > tol)).tolist(),
            "beyond_bound": np.argwhere(ok & (ratio > 1.0)).tolist(),
            "worst_error": _largest(wrong[ok]),
            "worst_ratio": _largest(ratio[ok & ~precisely]),
            "worst_ratio_precisely": _largest(ratio[ok & precisely]),
            "good": int(good.sum()),
            "good_again": int((good & ~(fast_bound <= tol)).sum()),
        }
    return found


def error(result: Result, right: exact.Exact) -> Array:
    """Error of each regression, (B, m)."""
    size = np.fmax(np.abs(right.params), right.bse)
    found, sd = np.sqrt(_table(result.ssr, right)), np.sqrt(right.ssr)
    unit = np.where(found[:, None] == 0, size, right.bse)
    parts = (
        relative(_table(result.params, right, 1), right.params, size).max(axis=1),
        relative(_table(result.bse, right, 1), right.bse, unit).max(axis=1),
        np.where(found == 0, 0.0, relative(found, sd, sd)),
    )
    return np.asarray(np.max(parts, axis=0))


def summarise(draws: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Totals by ensemble and tolerance."""
    rows = []
    for ensemble in ensembles.ENSEMBLES:
        own = [draw for draw in draws if draw["ensemble"] == ensemble]
        for tol in TOLERANCES:
            each = [draw[f"{tol:g}"] for draw in own]
            row: dict[str, Any] = {"ensemble": ensemble, "tol": tol}
            for name in ("regressions", "left_out"):
                row[name] = sum(draw[name] for draw in own)
            for name in ("ok", "exact_fits", "solved_precisely", "good", "good_again"):
                row[name] = sum(part[name] for part in each)
            for name in ("worst_error", "worst_ratio", "worst_ratio_precisely"):
                row[name] = max((part[name] for part in each), default=0.0)
            for name in ("false", "beyond_bound"):
                row[name] = [
                    {"index": draw["index"], "family": draw["family"], "place": place}
                    for draw, part in zip(own, each, strict=True)
                    for place in part[name]
                ]
            rows.append(row)
    return rows


def _table(values: Any, right: exact.Exact, inner: int = 0) -> np.ndarray:
    """Values of a result with the axis of the batch in front, also where a design is shared."""
    values = np.asarray(values)
    return values[None] if values.ndim == right.ssr.ndim - 1 + inner else values


def _largest(a: Array) -> float:
    return float(np.max(a, initial=0.0))

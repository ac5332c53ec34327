"""Digits of gpuols and of Householder QR, by family and difficulty."""

from typing import Any

import numpy as np

from benchmarks import exact
from benchmarks.digits import lre, relative
from benchmarks.families import Array
from benchmarks.stress import DIFFICULTIES, FAMILIES, by_qr
from gpuols import Status


def cell(seed: int, family: str, difficulty: float, count: int) -> dict[str, Any]:
    """Digits of both on `count` regressions of one family and difficulty.

    The digits of a regression are those of its worst coefficient; a cell gives the quantile that
    5% of regressions fall below, and the error in units of max(|coefficient|, standard error)
    that 5% exceed. Regressions that gpuols calls RANK_DEFICIENT are left out for both.
    """
    place = list(FAMILIES).index(family), DIFFICULTIES.index(difficulty)
    batch = FAMILIES[family](np.random.default_rng([seed, *place]), difficulty, count)
    right = exact.solve_all(batch)
    accurate, auto = (batch.fit(solver=solver) for solver in ("accurate", "auto"))
    known = np.isfinite(right.ssr)
    deficient = np.asarray(accurate.status) == Status.RANK_DEFICIENT
    ok = known & (np.asarray(auto.status) == Status.OK)
    answers = {
        "qr": (by_qr(batch), known & ~deficient),
        "accurate": (np.asarray(accurate.params), known & ~deficient),
        "auto": (np.asarray(auto.params), ok),
    }
    found: dict[str, Any] = {
        "family": family,
        "difficulty": difficulty,
        "regressions": int(known.sum()),
        "rank_deficient": int((known & deficient).sum()),
        "auto_ok": int(ok.sum()),
        "auto_solved_precisely": int((ok & np.asarray(auto.solved_precisely)).sum()),
    }
    size = np.fmax(np.abs(right.params), right.bse)
    for name, (params, chosen) in answers.items():
        digits = lre(params, right.params).min(axis=1)[chosen]
        error = relative(params, right.params, size).max(axis=1)[chosen]
        found[f"{name}_digits"] = _quantile(digits, 0.05, "lower")
        found[f"{name}_error"] = _quantile(error, 0.95, "higher")
    both = found["accurate_digits"], found["qr_digits"]
    found["below_qr"] = None not in both and both[0] < both[1]
    return found


def _quantile(a: Array, share: float, method: Any) -> float | None:
    return float(np.quantile(a, share, method=method)) if len(a) else None

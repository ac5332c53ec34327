"""Goals: what gpuols is to reach on each case, and whether it did in this run."""

from collections.abc import Iterator
from typing import Any

from benchmarks.cuda.cases import Case
from benchmarks.cuda.contenders import OURS_ACCURATE, OURS_INTERCEPT
from benchmarks.cuda.rivals import TORCH_LSTSQ
from benchmarks.turns import OURS

OVER_LSTSQ = 10.0
"""Times faster than torch.linalg.lstsq; a design figure."""
OVER_OTHERS = 3.0
"""Times faster than the best other rival; a design figure."""
ACCURATE = 1 / 1.3
"""Speed of solver="accurate" beside the default's; a design figure."""
NARROW = 16
"""Columns of X and y up to which that is wanted."""

Row = dict[str, Any]


def judge(case: Case, rows: list[Row]) -> Iterator[Row]:
    """Each goal of a case with what was measured; rivals with wrong answers do not count."""
    by_name = {row["who"]: row for row in rows}
    for name in (OURS, OURS_INTERCEPT):
        share = by_name.get(name, {}).get("floor_share")
        yield _goal(case, f"{name}: share of the floor", case.share, share)
    if case.k < NARROW and not case.shared:
        slower = by_name.get(OURS_ACCURATE, {}).get("times_ours")
        what = f"{OURS_ACCURATE}: speed beside the default's"
        yield _goal(case, what, ACCURATE, slower and 1 / slower)
    lstsq = by_name.get(TORCH_LSTSQ, {})
    ratio = lstsq.get("times_ours") if lstsq.get("right") else None
    yield _goal(case, f"times faster than {TORCH_LSTSQ}", OVER_LSTSQ, ratio, lstsq)
    others = [row for row in rows if not row["ours"] and row["who"] != TORCH_LSTSQ]
    others = [row for row in others if row.get("right") and "times_ours" in row]
    best = min(others, key=lambda row: row["times_ours"], default={})
    name = f"times faster than the best other rival ({best.get('who', 'none')})"
    yield _goal(case, name, OVER_OTHERS, best.get("times_ours"), best)


def _goal(case: Case, what: str, wanted: float, got: float | None, row: Row | None = None) -> Row:
    verdict = "not measured" if got is None else "met" if got >= wanted else "missed"
    return {
        "case": case.letter,
        "goal": what,
        "wanted": wanted,
        "measured": got,
        "scaled": bool(row and row.get("scaled")),
        "verdict": verdict,
    }

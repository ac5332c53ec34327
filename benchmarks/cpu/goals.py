"""Goals: what gpuols is to reach on each case, and whether it did in this run."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.cpu.measure import best_plain
from benchmarks.cpu.rivals import OURS_CHOLESKY
from benchmarks.turns import OURS
from gpuols.plan import BUDGET

OVER_PLAIN = 2.0
"""Most times as long as the best of plain NumPy, which gives neither bound nor status."""
OVER_CHOLESKY = 1.15
"""Most times as long as solver="cholesky", where no regression is solved again."""
OVER_ARRAYS = 1.3
"""Most times the bytes of input and answers that are in memory, beside the budget."""
MEMORY = ("W2", "W7")
"""Cases whose memory has a goal."""
OVER_LOOPS = 0.01
"""Most of the time of a loop of statsmodels or scikit-learn, for compiled code."""
AT_ONCE = ("W5",)
"""Cases that scikit-learn does without a loop."""
MATRICES = ("W3", "W4", "W5", "W7", "W9", "W10")
"""Cases in which NumPy's products of matrices are to be ahead of torch and JAX."""

Row = dict[str, Any]


def judge(letter: str, rows: list[Row]) -> Iterator[Row]:
    """Each goal of a case with what was measured."""
    by_name = {row["who"]: row for row in rows}
    own = by_name.get(OURS, {})
    if own.get("engine", "").startswith("cpu:numba"):
        yield _ahead(letter, own, "the fastest rival", rows)
        for who in ("statsmodels", "scikit-learn"):
            if who in by_name and not (who == "scikit-learn" and letter in AT_ONCE):
                yield _over(letter, own, f"a loop of {who}", by_name[who], OVER_LOOPS)
    else:
        yield _over(letter, own, "the best plain NumPy", best_plain(rows) or {}, OVER_PLAIN)
        if letter in MATRICES:
            tensors = [row for row in rows if row["who"].startswith(("torch", "JAX"))]
            yield _ahead(letter, own, "torch and JAX", tensors)
    cholesky = by_name.get(OURS_CHOLESKY, {})
    if letter == "W2":
        yield _over(letter, own, 'solver="cholesky"', cholesky, OVER_CHOLESKY)
    if letter in MEMORY:
        share = None
        if "peak_bytes" in own:
            arrays = own["input_bytes"] + own["output_bytes"]
            whole = own["input_bytes"] + own["peak_bytes"]
            share = whole / (OVER_ARRAYS * arrays + BUDGET)
        name = f"share of {OVER_ARRAYS} (input + output) + {BUDGET / 2**20:.0f} MiB in memory"
        yield _goal(letter, name, 1.0, share, own)


def _ahead(letter: str, own: Row, whom: str, rows: Sequence[Row]) -> Row:
    """To take no longer than anybody else, even those that give fewer answers."""
    able = [row for row in rows if not row["ours"]]
    able = [row for row in able if row.get("right") and "seconds" in row]
    fastest = min(able, key=lambda row: row["seconds"], default={})
    return _over(letter, own, whom, fastest, 1.0)


def _over(letter: str, own: Row, whom: str, other: Row, most: float) -> Row:
    what = f"times as long as {whom} ({other.get('who', 'none')})"
    return _goal(letter, what, most, _ratio(own, other), other)


def _ratio(own: Row, other: Row) -> float | None:
    if all("seconds" in row and row["right"] for row in (own, other)):
        return float(own["seconds"] / other["seconds"])
    return None


def _goal(letter: str, what: str, most: float, got: float | None, beside: Row) -> Row:
    verdict = "not measured" if got is None else "met" if got <= most else "missed"
    return {
        **{"case": letter, "goal": what, "most": most, "measured": got, "verdict": verdict},
        "scaled": bool(beside.get("scaled")),
    }

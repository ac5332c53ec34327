"""Goals: what gpuols is to reach on each case, and whether it did in this run."""

from collections.abc import Iterator
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

Row = dict[str, Any]


def judge(letter: str, rows: list[Row]) -> Iterator[Row]:
    """Each goal of a case with what was measured."""
    by_name = {row["who"]: row for row in rows}
    own = by_name.get(OURS, {})
    plain = best_plain(rows) or {}
    name = f"times as long as the best plain NumPy ({plain.get('who', 'none')})"
    yield _goal(letter, name, OVER_PLAIN, _ratio(own, plain), plain)
    cholesky = by_name.get(OURS_CHOLESKY, {})
    if letter == "W2":
        name = f"times as long as {OURS_CHOLESKY}"
        yield _goal(letter, name, OVER_CHOLESKY, _ratio(own, cholesky), cholesky)
    if letter in MEMORY:
        share = None
        if "peak_bytes" in own:
            arrays = own["input_bytes"] + own["output_bytes"]
            whole = own["input_bytes"] + own["peak_bytes"]
            share = whole / (OVER_ARRAYS * arrays + BUDGET)
        name = f"share of {OVER_ARRAYS} (input + output) + {BUDGET / 2**20:.0f} MiB in memory"
        yield _goal(letter, name, 1.0, share, own)


def _ratio(own: Row, other: Row) -> float | None:
    if "seconds" in own and "seconds" in other:
        return float(own["seconds"] / other["seconds"])
    return None


def _goal(letter: str, what: str, most: float, got: float | None, beside: Row) -> Row:
    verdict = "not measured" if got is None else "met" if got <= most else "missed"
    return {
        **{"case": letter, "goal": what, "most": most, "measured": got, "verdict": verdict},
        "scaled": bool(beside.get("scaled")),
    }

"""The figures of a run on a CPU as lines of text."""

from collections.abc import Iterator
from typing import Any

from benchmarks import table
from benchmarks.cpu.measure import best_plain
from benchmarks.table import Column, milliseconds
from benchmarks.turns import OURS

Row = dict[str, Any]

_NAMES = {"read": "read by all threads", "gemm": "GEMM, float64"}
_COLUMNS = (
    Column("ms", "seconds", "11.3f", 1e-3),
    Column("x gpuols", "times_ours", "10.2f"),
    Column("x best", "times_best", "9.2f"),
    Column("x floor", "times_floor", "9.1f"),
    Column("+MB", "peak_bytes", "8.0f", 1e6),
    Column("error", "errors", "9.0e"),
)


def floor_lines(floors: dict[str, Any]) -> Iterator[str]:
    """A line for each rate."""
    return table.rate_lines(floors, _NAMES)


def case_lines(case: Row) -> Iterator[str]:
    """A heading, a line for each contender, then plain NumPy's best and gpuols' shares."""
    rows = case["rows"]
    floor = next((row["floor_s"] for row in rows if row.get("floor_s")), None)
    busy = case["others_busy"]
    others = "" if busy is None else f", others kept {busy:.1f} processors busy"
    engine = next((f", on {row['engine']}" for row in rows if row.get("engine")), "")
    yield f"{case['case']}{engine}   floor {milliseconds(floor)}{others}"
    yield from table.row_lines(rows, _COLUMNS)
    plain = best_plain(rows)
    if plain is not None:
        own = next((row for row in rows if row["who"] == OURS), {})
        ratio = own["seconds"] / plain["seconds"] if "seconds" in own else None
        beside = "" if ratio is None else f", gpuols takes {ratio:.2f} times that"
        yield f"best plain NumPy: {plain['who']}, {milliseconds(plain['seconds'])}{beside}"
    if case["shares"]:
        parts = ", ".join(f"{name} {share:.0%}" for name, share in case["shares"].items())
        yield f"of gpuols' own time on one thread: {parts}"


def scaling_lines(scaling: dict[str, list[Row]]) -> Iterator[str]:
    """A line for each size."""
    for name, series in scaling.items():
        yield f"gpuols by the number of {name}"
        for one in series:
            each = one["seconds"] / one["count"] * 1e6
            over = f", {one['seconds'] / one['floor_s']:.1f} x floor" if one["floor_s"] else ""
            size = f"{one['count']:,} x ({one['n']:,} x {one['p']})"
            yield f"{size:<28}{one['seconds'] * 1e3:>11.3f} ms{each:>10.3f} us each{over}"


def goal_lines(goals: list[Row]) -> Iterator[str]:
    """A line for each goal."""
    for goal in goals:
        got = "-" if goal["measured"] is None else f"{goal['measured']:.2f}"
        yield (
            f"{goal['case']:<4}{goal['verdict']:<13}{got:>9}, at most {goal['most']:.2f}: "
            f"{goal['goal']}{', scaled' if goal['scaled'] else ''}"
        )

"""The figures as lines of text."""

from collections.abc import Iterator
from typing import Any

from benchmarks.cuda.cases import Case
from benchmarks.cuda.groups import Groups
from benchmarks.cuda.masks import Masked

Row = dict[str, Any]

_UNITS = {"gemm": (1e12, "TFLOP/s")}
_NAMES = {
    "copy": "copy on the device, read + written",
    "read": "read on the device",
    "gemm": "GEMM, float64",
    "to_device_pageable": "host to device, pageable",
    "to_device_pinned": "host to device, pinned",
    "to_host_pageable": "device to host, pageable",
    "to_host_pinned": "device to host, pinned",
    "transfers": "host to device and back",
}


def floor_lines(floors: dict[str, Any]) -> Iterator[str]:
    """A line for each rate."""
    for name, text in _NAMES.items():
        rate = floors.get(name)
        if isinstance(rate, dict):
            yield f"{text:<38}{rate['failed']}"
        elif rate is not None:
            unit, word = _UNITS.get(name, (1e9, "GB/s"))
            yield f"{text:<38}{rate / unit:>9.1f} {word}"


def case_lines(case: Case | Groups | Masked, rows: list[Row]) -> Iterator[str]:
    """A heading, then a line for each contender."""
    floor = next((row["floor_s"] for row in rows if row.get("floor_s")), None)
    measured = "not measured" if floor is None else f"{floor * 1e3:.3f} ms"
    design = "".join(f", {ms} on {name}" for name, ms in case.design_ms.items())
    yield f"{case.name}   floor {measured}" + (f" (design figures, ms{design})" if design else "")
    yield f"{'':<32}{'ms':>11}{'x gpuols':>10}{'GB/s':>8}{'floor':>7}{'error':>9}  note"
    for row in rows:
        yield f"{row['who']:<32}{_figures(row)}  {'; '.join(_notes(row))}".rstrip()


def _figures(row: Row) -> str:
    worst = max(row["errors"].values()) if "errors" in row else None
    texts = (
        (row.get("seconds"), 1e3, "11.3f"),
        (row.get("times_ours"), 1.0, "10.2f"),
        (row.get("bytes_per_s"), 1e-9, "8.0f"),
        (row.get("floor_share"), 1.0, "7.0%"),
        (worst, 1.0, "9.0e"),
    )
    return "".join(
        f"{'-':>{int(form.split('.')[0])}}" if value is None else f"{value * unit:{form}}"
        for value, unit, form in texts
    )


def _notes(row: Row) -> Iterator[str]:
    if row.get("right") is False:
        yield "WRONG"
    if row["failed"]:
        yield row["failed"]
    if row.get("scaled"):
        yield f"scaled from {row['part']:,} of {row['count']:,}"
    if row.get("why_scaled"):
        yield row["why_scaled"]
    if row.get("solved_precisely"):
        yield f"{row['solved_precisely']:,} solved precisely"
    if "seconds" in row:
        yield f"{row['rounds']} rounds, first call {row['first_call_s']:.2f} s"
        if row["from_host"]:
            yield "floor: pinned transfer of the rows"


def goal_lines(goals: list[Row]) -> Iterator[str]:
    """A line for each goal."""
    for goal in goals:
        got = "-" if goal["measured"] is None else f"{goal['measured']:.2f}"
        yield (
            f"{goal['case']}  {goal['verdict']:<13}{got:>9}, design figure {goal['wanted']:.2f}: "
            f"{goal['goal']}{', scaled' if goal['scaled'] else ''}"
        )

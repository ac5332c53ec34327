"""The figures of a run on a device as lines of text."""

from collections.abc import Iterator
from typing import Any

from benchmarks import table
from benchmarks.cuda.cases import Case
from benchmarks.cuda.groups import Groups
from benchmarks.cuda.masks import Masked
from benchmarks.table import Column

Row = dict[str, Any]

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
_COLUMNS = (
    Column("ms", "seconds", "11.3f", 1e-3),
    Column("x gpuols", "times_ours", "10.2f"),
    Column("GB/s", "bytes_per_s", "8.0f", 1e9),
    Column("floor", "floor_share", "7.0%"),
    Column("error", "errors", "9.0e"),
)


def floor_lines(floors: dict[str, Any]) -> Iterator[str]:
    """A line for each rate."""
    return table.rate_lines(floors, _NAMES)


def case_lines(case: Case | Groups | Masked, rows: list[Row]) -> Iterator[str]:
    """A heading, then a line for each contender."""
    floor = next((row["floor_s"] for row in rows if row.get("floor_s")), None)
    design = "".join(f", {ms} on {name}" for name, ms in case.design_ms.items())
    yield f"{case.name}   floor {table.milliseconds(floor)}" + (
        f" (design figures, ms{design})" if design else ""
    )
    yield from table.row_lines(rows, _COLUMNS)


def goal_lines(goals: list[Row]) -> Iterator[str]:
    """A line for each goal."""
    for goal in goals:
        got = "-" if goal["measured"] is None else f"{goal['measured']:.2f}"
        yield (
            f"{goal['case']}  {goal['verdict']:<13}{got:>9}, design figure {goal['wanted']:.2f}: "
            f"{goal['goal']}{', scaled' if goal['scaled'] else ''}"
        )

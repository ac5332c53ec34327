"""The figures of a run as lines of text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One figure of each row.

    Attributes
    ----------
    head : str
        What stands above it.
    key : str
        Its name in a row; of several by name, the largest is shown.
    form : str
        How it is written; it begins with the width.
    unit : float
        What it is divided by.
    """

    head: str
    key: str
    form: str
    unit: float = 1.0

    @property
    def width(self) -> int:
        """Characters that it takes."""
        return int(self.form.split(".")[0])

    def text(self, row: Row) -> str:
        """The figure, or a dash where there is none."""
        value = row.get(self.key)
        if isinstance(value, dict):
            value = max(value.values())
        return f"{'-':>{self.width}}" if value is None else f"{value / self.unit:{self.form}}"


def rate_lines(floors: Row, names: dict[str, str]) -> Iterator[str]:
    """A line for each rate that the machine was asked for."""
    for name, text in names.items():
        rate = floors.get(name)
        if isinstance(rate, dict):
            yield f"{text:<38}{rate['failed']}"
        elif rate is not None:
            unit, word = (1e12, "TFLOP/s") if name == "gemm" else (1e9, "GB/s")
            yield f"{text:<38}{rate / unit:>9.3g} {word}"


def row_lines(rows: Sequence[Row], columns: Sequence[Column]) -> Iterator[str]:
    """The heads, then a line for each row: who, figures, and what else is to be said."""
    yield f"{'':<32}{''.join(f'{one.head:>{one.width}}' for one in columns)}  note"
    for row in rows:
        figures = "".join(one.text(row) for one in columns)
        yield f"{row['who']:<32}{figures}  {'; '.join(_notes(row))}".rstrip()


def _notes(row: Row) -> Iterator[str]:
    if row.get("right") is False:
        yield "WRONG"
    if row["failed"]:
        yield row["failed"]
    if row.get("scaled"):
        but = ", but for MB" if "peak_bytes" in row else ""
        yield f"scaled from {row['part']:,} of {row['count']:,}{but}"
    if row.get("why_scaled"):
        yield row["why_scaled"]
    if row.get("solved_precisely"):
        yield f"{row['solved_precisely']:,} solved precisely"
    if row.get("missing"):
        yield f"without {', '.join(row['missing'])}"
    if row.get("peak_failed"):
        yield row["peak_failed"]
    if "seconds" in row:
        yield f"{row['rounds']} rounds, first call {row['first_call_s']:.2f} s"
        if row.get("from_host"):
            yield "floor: pinned transfer of the rows"


def milliseconds(seconds: float | None) -> str:
    """A time, or that there is none."""
    return "not measured" if seconds is None else f"{seconds * 1e3:.3f} ms"

"""File fit: from a file of rows to a file of coefficients, one line of text for every mistake."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from gpuols import formula as formulas
from gpuols import summary
from gpuols.columns import Columns
from gpuols.datafile import ARROW, CSV, PARQUET, format_of, levels_of, open_data
from gpuols.errors import InputError
from gpuols.extras import needed
from gpuols.files import written
from gpuols.frame import fit_frame
from gpuols.result import Result

_SHOWN = 8


@dataclass(frozen=True)
class Report:
    """What was done.

    Attributes
    ----------
    result : Result
        What came out.
    seconds : float
        How long reading and fitting took.
    table : polars.DataFrame
        The coefficients, one a row.
    out : str or None
        File that holds them.
    """

    result: Result
    seconds: float
    table: Any
    out: str | None

    def __str__(self) -> str:
        """A short table."""
        lines = [
            repr(self.result).removeprefix("Result(").removesuffix(")"),
            f"{self.seconds:.2f} s to read and fit",
            "",
            _shown(self.table),
        ]
        if self.out is not None:
            lines += ["", f"{summary.rows(len(self.table))} written to {self.out}"]
        return "\n".join(lines)


def fit_file(
    data: str,
    formula: str,
    *,
    by: Sequence[str] = (),
    out: str | None = None,
    **options: Any,
) -> Report:
    """Fit a formula to a file.

    Parameters
    ----------
    data : str
        A parquet, csv or feather (arrow) file, known by its ending; "-" for standard input.
    formula : str
        As in `fit_frame`.
    by : sequence of str
        Columns that make the groups; several may be joined by commas.
    out : str, optional
        File for the coefficients, its format told by its ending.
    **options
        As in `fit_frame`.

    Returns
    -------
    Report
        What was done.

    Raises
    ------
    InputError, InputTypeError, DeviceError, FitError
        As `fit_frame`, and if a file is of no known format or can't be read or written.
    ImportError
        If polars, narwhals or formulaic is not installed.
    """
    if out is not None:
        _check_out(out, data)
    start = perf_counter()
    with _explained("DATA", data, "a file that can be read", "check its name and content"):
        source = open_data(data)
        columns = source.columns
        keys = _keys(by, columns)
        names = _names(formula, columns, keys, options.get("weights"))
        frame = source.read(names, keys, levels_of(formula, names))
        with _bar() as progress:
            result = fit_frame(frame, formula, by=keys or None, progress=progress, **options)
    seconds = perf_counter() - start
    table = result.to_frame("polars")
    if out is not None:
        _write(table, out)
    return Report(result, seconds, table, out)


def _keys(by: Sequence[str], columns: Columns) -> list[str]:
    parts = ([name] if name in columns.names else name.split(",") for name in by)
    return [name for names in parts for name in names]


def _names(
    formula: str, columns: Columns, keys: Sequence[str], weights: str | None
) -> Sequence[str]:
    """Columns that are needed."""
    columns.check("--by", keys)
    others = list(keys)
    if weights is not None:
        columns.check("--weights", [weights])
        others.append(weights)
    model = formulas.read(formula, columns, True, others)
    return list(dict.fromkeys([*model.variables, *model.sources, *others]))


@contextmanager
def _explained(argument: str, path: str, expected: str, remedy: str) -> Iterator[None]:
    """Turn errors of a file and of polars into ours."""
    polars, narwhals = needed("polars", "cli"), needed("narwhals", "frame")
    try:
        yield
    except (
        OSError,
        polars.exceptions.PolarsError,
        narwhals.exceptions.NarwhalsError,
    ) as error:
        told = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(argument, f"{path!r} ({told})", expected, remedy) from error


def _check_out(out: str, data: str) -> None:
    format_of("--out", out)
    place = Path(out)
    with suppress(OSError):
        if place.samefile(data):
            raise InputError("--out", f"{out!r}, the data itself", "another file", "rename it")
    if _is_folder(place):
        raise InputError("--out", f"{out!r}, a folder", "a file", "give it a name in the folder")
    if not _is_folder(place.parent):
        raise InputError(
            "--out", f"{out!r}", "a file in a folder that is there", "make the folder first"
        )
    if not os.access(place.parent, os.W_OK | os.X_OK):
        raise InputError(
            "--out", f"{out!r}", "a file in a folder that can be written to", "use another folder"
        )


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        return path.is_dir()
    return False


def _write(table: Any, out: str) -> None:
    write = {PARQUET: table.write_parquet, CSV: table.write_csv, ARROW: table.write_ipc}
    remedy = "check the folder, and for keys that text can't hold write .parquet"
    with _explained("--out", out, "a file that can be written", remedy), written(out) as file:
        write[format_of("--out", out)](file)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], object] | bool]:
    """A progress bar, where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield False
        return
    with needed("tqdm", "cli").tqdm(unit=" regressions", unit_scale=True, leave=False) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report


def _shown(table: Any) -> str:
    """The first rows, as polars prints them."""
    polars = needed("polars", "cli")
    with polars.Config(
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_formatting="NOTHING",
        tbl_cols=-1,
        tbl_width_chars=120,
    ):
        head = "\n".join(map(str.rstrip, str(table.head(_SHOWN)).splitlines()))
    more = len(table) - _SHOWN
    return head + (f"\n... and {summary.rows(more)} more" if more > 0 else "")

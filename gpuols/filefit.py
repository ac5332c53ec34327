"""File fit: from a file of rows to a file of coefficients, one line of text for every mistake."""

import glob
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

from gpuols import formula as formulas
from gpuols import summary
from gpuols.columns import Columns
from gpuols.errors import InputError
from gpuols.extras import needed
from gpuols.files import written
from gpuols.frame import fit_frame
from gpuols.result import Result

STDIN = "-"

_PARQUET, _CSV, _ARROW = "parquet", "csv", "arrow"
_FORMATS = {
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
    ".csv": _CSV,
    ".feather": _ARROW,
    ".arrow": _ARROW,
    ".ipc": _ARROW,
}
_MAGIC = {b"PAR1": _PARQUET, b"ARRO": _ARROW}
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]
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
        source, read = _open(data)
        _refuse_empty(source, data)
        columns = Columns.of(source)
        keys = _keys(by, columns)
        names = _names(formula, columns, keys, options.get("weights"))
        frame = read(source, names, keys)
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


def _format(argument: str, path: str) -> str:
    ending = Path(path).suffix.lower()
    if ending not in _FORMATS:
        came = f"{path!r}, which ends in {ending!r}" if ending else f"{path!r}, without an ending"
        raise InputError(
            argument, came, f"one of {', '.join(_FORMATS)}", "convert or rename the file"
        )
    return _FORMATS[ending]


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


def _open(data: str) -> tuple[Any, Callable[[Any, Sequence[str], Sequence[str]], Any]]:
    """A lazy frame of what is there, and what reads columns of it."""
    polars = needed("polars", "cli")
    source: Any = data
    if data == STDIN:
        content = sys.stdin.buffer.read()
        if not content:
            raise InputError("DATA", "nothing on standard input", "rows", "pipe a file into it")
        kind, source = _MAGIC.get(content[:4], _CSV), BytesIO(content)
    else:
        kind = _format("DATA", data)
        if not Path(data).stat().st_size:
            raise InputError("DATA", f"{data!r}, an empty file", "rows", "look how it was made")
    if kind == _PARQUET:
        return polars.scan_parquet(source, glob=False), _read_columns
    if kind == _ARROW:
        return polars.scan_ipc(source if data == STDIN else glob.escape(data)), _read_columns
    text = polars.scan_csv(source, null_values=_MISSING, infer_schema=False, glob=False)
    return text, _read_text


def _refuse_empty(frame: Any, data: str) -> None:
    polars = needed("polars", "cli")
    if not frame.select(polars.len()).collect().item():
        raise InputError("DATA", f"{data!r} without rows", "rows", "look how it was made")


def _read_columns(source: Any, names: Sequence[str], _: Sequence[str]) -> Any:
    """Columns, each joined to one piece before the next is read: never twice in memory."""
    series = (source.select(name).collect().to_series().rechunk() for name in names)
    return needed("polars", "cli").DataFrame(list(series))


def _read_text(source: Any, names: Sequence[str], keys: Sequence[str]) -> Any:
    """Columns of text, as numbers where all of their values are some."""
    frame = source.select(names).collect()
    return frame.with_columns(_number(frame[name], exactly=name in keys) for name in names)


def _number(column: Any, exactly: bool) -> Any:
    """A column of text as numbers, if all of it is; if asked to, only if they spell it the same."""
    polars = needed("polars", "cli")
    for dtype in (polars.Int64,) if exactly else (polars.Int64, polars.Float64):
        numbers = column.str.strip_chars().cast(dtype, strict=False)
        same = not exactly or numbers.cast(polars.String).equals(column, null_equal=True)
        if same and numbers.null_count() == column.null_count():
            return numbers
    return column


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
    _format("--out", out)
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
    write = {_PARQUET: table.write_parquet, _CSV: table.write_csv, _ARROW: table.write_ipc}
    with (
        _explained("--out", out, "a file that can be written", "check the folder"),
        written(out) as file,
    ):
        write[_format("--out", out)](file)


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

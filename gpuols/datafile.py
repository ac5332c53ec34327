"""Data file: rows of a parquet, csv or arrow file, or of standard input, as columns of polars."""

import glob
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from gpuols.columns import Columns
from gpuols.errors import InputError
from gpuols.extras import needed

STDIN = "-"
PARQUET, CSV, ARROW = "parquet", "csv", "arrow"

_STREAM = "arrow stream"
_FORMATS = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".csv": CSV,
    ".feather": ARROW,
    ".arrow": ARROW,
    ".ipc": ARROW,
}
_MAGIC = {b"PAR1": PARQUET, b"ARROW1": ARROW, b"\xff\xff\xff\xff": _STREAM}
_REFUSED = {
    b"FEA1": ("a feather file of version 1", "write it again, as version 2 or as parquet"),
    b"\xff\xfe": ("text in UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("text in UTF-16", "save it as UTF-8"),
}
# Those of pandas.
_MISSING = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
]


def format_of(argument: str, path: str) -> str:
    """Format that a file's ending tells.

    Parameters
    ----------
    argument : str
        Which argument names the file.
    path : str
        The file.

    Returns
    -------
    str
        "parquet", "csv" or "arrow".

    Raises
    ------
    InputError
        If it is none of these.
    """
    ending = Path(path).suffix.lower()
    if ending not in _FORMATS:
        came = f"{path!r}, which ends in {ending!r}" if ending else f"{path!r}, without an ending"
        raise InputError(
            argument, came, f"one of {', '.join(_FORMATS)}", "convert or rename the file"
        )
    return _FORMATS[ending]


@dataclass(frozen=True)
class DataFile:
    """A file that was looked into.

    Attributes
    ----------
    frame : polars.LazyFrame
        Reads the columns that it is asked for.
    is_text : bool
        Whether all of them are text.
    """

    frame: Any
    is_text: bool

    @property
    def columns(self) -> Columns:
        """Names of its columns."""
        return Columns.of(self.frame)

    def read(self, names: Sequence[str], keys: Sequence[str], levels: Sequence[str]) -> Any:
        """Read columns.

        Parameters
        ----------
        names : sequence of str
            The columns.
        keys, levels : sequence of str
            Those whose text stays as it is spelt; those that may be categories though most of
            their text is numbers.

        Returns
        -------
        polars.DataFrame
            Text is numbers where all of it is.

        Raises
        ------
        InputError
            If a column of numbers has something else among them.
        """
        if not self.is_text:
            # Each is joined to one piece before the next is read: never twice in memory.
            series = (self.frame.select(name).collect().to_series().rechunk() for name in names)
            return needed("polars", "cli").DataFrame(list(series))
        found = self.frame.select(names).collect()
        return found.with_columns(
            _key(found[name]) if name in keys else _numbers(found[name], name in levels)
            for name in names
        )


def open_data(data: str) -> DataFile:
    """Look into a file of rows.

    Parameters
    ----------
    data : str
        Its name; "-" for standard input.

    Returns
    -------
    DataFile
        Nothing but its head is read yet, unless it is standard input.

    Raises
    ------
    InputError
        If it is of no known format, or empty.
    """
    polars = needed("polars", "cli")
    source, kind = _look(data)
    if kind == PARQUET:
        found = DataFile(polars.scan_parquet(source, glob=False), False)
    elif kind == ARROW:
        path = source if isinstance(source, BytesIO) else glob.escape(source)
        found = DataFile(polars.scan_ipc(path), False)
    elif kind == _STREAM:
        found = DataFile(polars.read_ipc_stream(source).lazy(), False)
    else:
        _refuse_repeated(polars.scan_csv(source, has_header=False, n_rows=1, glob=False))
        text = polars.scan_csv(source, null_values=_MISSING, infer_schema=False, glob=False)
        found = DataFile(text, True)
    if not found.frame.select(polars.len()).collect().item():
        raise InputError("DATA", f"{data!r} without rows", "rows", "look how it was made")
    return found


def _look(data: str) -> tuple[Any, str]:
    """What polars is to read, and its format."""
    if data == STDIN:
        content = b"" if sys.stdin is None else sys.stdin.buffer.read()
        if not content:
            raise InputError("DATA", "nothing on standard input", "rows", "pipe a file into it")
        source: Any = BytesIO(content)
        kind, head = CSV, content[:6]
    else:
        kind, source = format_of("DATA", data), data
        with Path(data).open("rb") as file:
            head = file.read(6)
        if not head:
            raise InputError("DATA", f"{data!r}, an empty file", "rows", "look how it was made")
    for magic, (came, remedy) in _REFUSED.items():
        if head.startswith(magic) and kind != PARQUET:
            formats = "UTF-8 text, parquet, or arrow"
            raise InputError("DATA", f"{data!r}, {came}", formats, remedy)
    known = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), kind)
    return source, known if data == STDIN or (kind, known) == (ARROW, _STREAM) else kind


def _refuse_repeated(head: Any) -> None:
    names = [name for name in head.collect().row(0) if name is not None]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                "DATA", f"two columns named {name!r}", "each name once", "rename one of them"
            )


def levels_of(formula: str, names: Sequence[str]) -> list[str]:
    """Columns that a formula makes categories of by C(...)."""
    return [name for name in names if re.search(rf"\bC\(\s*`?{re.escape(name)}`?\s*[,)]", formula)]


def _key(column: Any) -> Any:
    """A column of text as integers, if all of it spells one as Python does."""
    polars = needed("polars", "cli")
    numbers = column.cast(polars.Int64, strict=False)
    return numbers if numbers.cast(polars.String).equals(column, null_equal=True) else column


def _numbers(column: Any, is_level: bool) -> Any:
    """A column of text as numbers, if all of it is; blanks are missing."""
    polars = needed("polars", "cli")
    text = column.str.strip_chars()
    text = text.set(text == "", None)
    for dtype in (polars.Int64, polars.Float64):
        numbers = text.cast(dtype, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers
    strange = numbers.is_null() & text.is_not_null()
    if is_level or strange.sum() > numbers.count():
        return column
    row = int(strange.arg_max())
    raise InputError(
        "DATA",
        f"{column[row]!r} in row {row} of column {column.name!r}, most of which is numbers",
        "numbers",
        f"correct it, leave it empty if it is missing, or write C({column.name}) for categories",
    )

"""Columns: what is taken out of a data frame of any library, by name.

Frames are read through narwhals. Only the columns that are asked for are looked at; of a lazy
frame only they are collected.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.errors import InputError, InputTypeError
from gpuols.extras import needed

Array = NDArray[Any]

NUMBERS, STRINGS, CATEGORIES, TIMES, OTHERS = "numbers", "strings", "categories", "times", "others"

_SHOWN = 10
_CURES = {
    STRINGS: "write C({0}) in a formula, or convert it to numbers",
    CATEGORIES: "write C({0}) in a formula, or convert it to numbers",
    TIMES: "convert it to numbers first, for example to days since the first one",
    OTHERS: "convert it to numbers first",
}


def near(name: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """Names that one may have meant, the likeliest first."""
    known = list(names)
    folded = {other.casefold(): other for other in reversed(known)}
    found = difflib.get_close_matches(name.casefold(), folded, limit, 0.6)
    return [folded[one] for one in found]


@dataclass(frozen=True)
class Columns:
    """A data frame of N rows.

    Attributes
    ----------
    frame : narwhals.DataFrame or narwhals.LazyFrame
        What came.
    names : tuple of str
        Names of its columns.
    """

    frame: Any
    names: tuple[str, ...]

    @classmethod
    def of(cls, frame: Any) -> "Columns":
        """Look at a data frame.

        Parameters
        ----------
        frame : data frame
            Of pandas, polars (eager or lazy), pyarrow, or any other library that narwhals knows.

        Returns
        -------
        Columns
            Nothing is read yet but the names.

        Raises
        ------
        InputError
            If a name stands there twice.
        InputTypeError
            If it is no data frame.
        """
        narwhals = needed("narwhals", "frame")
        try:
            found = narwhals.from_native(frame)
            names = tuple(found.collect_schema().names())
        except narwhals.exceptions.DuplicateError as error:
            raise InputError(
                "frame", "columns of one name", "each name once", "rename the repeated columns"
            ) from error
        except TypeError as error:
            raise InputTypeError(
                "frame",
                type(frame).__name__,
                "a data frame of pandas, polars or pyarrow",
                "use gpuols.fit or gpuols.fit_groups for arrays",
            ) from error
        for name in names:
            if not isinstance(name, str):
                raise InputTypeError(
                    "frame", f"a column named {name!r}", "strings", "rename(columns=str) in pandas"
                )
        return cls(found, names)

    def check(self, argument: str, names: Iterable[str]) -> None:
        """Raise where a name is none of a column.

        Parameters
        ----------
        argument : str
            Which argument names them.
        names : iterable of str
            The names.

        Raises
        ------
        InputError
            With the names that come near.
        """
        for name in names:
            if name in self.names:
                continue
            if meant := near(str(name), self.names):
                remedy = "did you mean " + " or ".join(map(repr, meant)) + "?"
            else:
                more = ", ..." if len(self.names) > _SHOWN else ""
                remedy = f"the columns are {', '.join(map(repr, self.names[:_SHOWN]))}{more}"
            raise InputError(
                argument, f"{name!r}, which is no column", "columns of the frame", remedy
            )

    def select(self, names: Sequence[str]) -> "Table":
        """Read some of the columns."""
        narwhals = needed("narwhals", "frame")
        found = self.frame.select(list(dict.fromkeys(names)))
        return Table(found.collect() if isinstance(found, narwhals.LazyFrame) else found)


@dataclass(frozen=True)
class Table:
    """Columns of N rows that were read.

    Attributes
    ----------
    frame : narwhals.DataFrame
        The columns.
    """

    frame: Any

    @property
    def backend(self) -> str:
        """Library of the frame."""
        return str(self.frame.implementation.value)

    @property
    def rows(self) -> int:
        """N."""
        return len(self.frame)

    def native(self, name: str) -> Any:
        """A column as its library has it."""
        return self.frame[name].to_native()

    def kind(self, name: str) -> str:
        """What a column holds: "numbers", "strings", "categories", "times" or "others"."""
        narwhals = needed("narwhals", "frame")
        dtype = self.frame[name].dtype
        if dtype.is_numeric() or dtype == narwhals.Boolean:
            return NUMBERS
        if dtype in (narwhals.Categorical, narwhals.Enum):
            return CATEGORIES
        if dtype == narwhals.String:
            return STRINGS
        if dtype.is_temporal():
            return TIMES
        return NUMBERS if dtype == narwhals.Object and self._are_flags(name) else OTHERS

    def _are_flags(self, name: str) -> bool:
        """Whether objects are True, False and None, as pandas keeps them."""
        return all(v is None or isinstance(v, bool) for v in self.frame[name].to_numpy())

    def numbers(self, argument: str, name: str) -> Array:
        """A column of numbers.

        Parameters
        ----------
        argument : str
            Which argument names it.
        name : str
            The column.

        Returns
        -------
        (N,)
            Integers, floats or booleans; floats where a value is missing, which is NaN then.

        Raises
        ------
        InputTypeError
            If it holds something else.
        """
        kind = self.kind(name)
        if kind != NUMBERS:
            came = kind if kind != OTHERS else f"values of type {self.frame[name].dtype}"
            raise InputTypeError(
                argument, f"column {name!r} of {came}", "numbers", _CURES[kind].format(name)
            )
        return self.values(name)

    def values(self, name: str) -> Array:
        """A column of which it is known that it holds numbers."""
        narwhals = needed("narwhals", "frame")
        column = self.frame[name]
        if not (column.dtype.is_integer() or column.dtype.is_float()):
            column = column.cast(narwhals.Float64)
        array: Array = column.to_numpy()
        return array

    def pandas(self, name: str) -> Any:
        """A column as pandas has it, a category's levels in their order.

        Parameters
        ----------
        name : str
            The column.

        Returns
        -------
        array or pandas.Categorical
            Numbers keep their type where none is missing; strings are categories.
        """
        column, kind = self.frame[name], self.kind(name)
        if kind in (STRINGS, CATEGORIES):
            return _category(column)
        if kind == NUMBERS and (column.is_null().any() or not _is_plain(column.dtype)):
            return self.values(name)
        return column.to_numpy()

    def filter(self, rows: NDArray[np.bool_]) -> "Table":
        """Some of the rows, (N,) of whether to keep them."""
        return self if rows.all() else Table(self.frame.filter(rows.tolist()))

    def missing(self, *names: str) -> NDArray[np.bool_]:
        """Rows (N,) in which one of some columns has no value: null, or NaN."""
        return reduce(np.logical_or, map(self._missing, names), np.zeros(self.rows, bool))

    def _missing(self, name: str) -> NDArray[np.bool_]:
        column = self.frame[name]
        if column.dtype.is_float():
            return np.asarray(np.isnan(column.to_numpy()))
        if not column.null_count():
            return np.zeros(self.rows, bool)
        return np.asarray(column.is_null().to_numpy(), bool)

    def levels(self, name: str) -> int:
        """How many different values a column has."""
        return int(self.frame[name].n_unique())


def _is_plain(dtype: Any) -> bool:
    """Whether NumPy has a dtype of numbers."""
    narwhals = needed("narwhals", "frame")
    return bool(dtype.is_integer() or dtype.is_float() or dtype == narwhals.Boolean)


def _category(column: Any) -> Any:
    """Strings or categories as pandas' categories, without levels of nobody."""
    pandas, narwhals = needed("pandas", "frame"), needed("narwhals", "frame")
    levels = column.dtype.categories if column.dtype == narwhals.Enum else None
    native = getattr(column.to_native(), "dtype", None)
    if isinstance(native, pandas.CategoricalDtype):
        levels = native.categories
    return pandas.Categorical(column.to_numpy(), categories=levels).remove_unused_categories()

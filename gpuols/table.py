"""Table: columns of a data frame that were read, as NumPy or pandas has them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.errors import InputTypeError
from gpuols.extras import needed

Array = NDArray[Any]

NUMBERS, STRINGS, CATEGORIES, TIMES, OTHERS = "numbers", "strings", "categories", "times", "others"

_CONVERT = "convert it to numbers first"
_CURES = {
    STRINGS: "write C({0}) in a formula, or convert it to numbers",
    CATEGORIES: "write C({0}) in a formula, or convert it to numbers",
    TIMES: "convert it to numbers first, for example to days since the first one",
    OTHERS: _CONVERT,
}


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
        with _named(name):
            dtype = self.frame[name].dtype
        if dtype.is_numeric() or dtype == narwhals.Boolean:
            return NUMBERS
        if dtype in (narwhals.Categorical, narwhals.Enum):
            return CATEGORIES
        if dtype == narwhals.String:
            return STRINGS
        if dtype.is_temporal():
            return TIMES
        if dtype == narwhals.Unknown:  # as floats of 16 bits, or of another byte order
            native = getattr(self.native(name), "dtype", None)
            return NUMBERS if getattr(native, "kind", None) in ("i", "u", "f") else OTHERS
        return NUMBERS if dtype == narwhals.Object and self._are_flags(name) else OTHERS

    def _are_flags(self, name: str) -> bool:
        """Whether objects are True, False and None, as pandas keeps them."""
        return all(v is None or isinstance(v, bool) for v in self.frame[name].to_numpy())

    def check_numbers(self, argument: str, name: str, others: Sequence[str] = ()) -> None:
        """Raise where a column holds neither numbers nor another kind of those that will do, too.

        Parameters
        ----------
        argument : str
            Which argument names it.
        name : str
            The column.
        others : sequence of str
            Kinds that will do.

        Raises
        ------
        InputTypeError
            Saying what it holds.
        """
        kind = self.kind(name)
        if kind == NUMBERS or kind in others:
            return
        came = kind if kind != OTHERS else f"values of type {self.frame[name].dtype}"
        cure = _CURES[kind] if argument == "formula" else _CONVERT
        raise InputTypeError(argument, f"column {name!r} of {came}", "numbers", cure.format(name))

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
        self.check_numbers(argument, name)
        return self.values(name)

    def values(self, name: str) -> Array:
        """A column of which it is known that it holds numbers."""
        narwhals = needed("narwhals", "frame")
        column = self.frame[name]
        with _named(name):
            if not (column.dtype.is_integer() or column.dtype.is_float()):
                column = column.cast(narwhals.Float64)
            array: Array = column.to_numpy()
        if array.dtype.kind not in "biuf":
            raise _strange(name, f"of type {column.dtype}")
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def pandas(self, name: str, levels: bool = False) -> Any:
        """A column as pandas has it, a category's levels in their order.

        Parameters
        ----------
        name : str
            The column.
        levels : bool
            Whether numbers are to be a category, whose levels get their names; else they are
            float64, for products of small integers overflow.

        Returns
        -------
        array or pandas.Categorical
            Booleans stay so where none is missing; strings are categories.
        """
        narwhals = needed("narwhals", "frame")
        column, kind = self.frame[name], self.kind(name)
        with _named(name):
            if kind in (STRINGS, CATEGORIES):
                return _category(column)
            if kind != NUMBERS:
                return column.to_numpy()
            whole = column.dtype == narwhals.Boolean or (levels and column.dtype.is_integer())
            if whole and not column.is_null().any():
                return column.to_numpy()
        return self.values(name).astype(np.float64, copy=False)

    def rows_of(self, names: Sequence[str], rows: NDArray[Any]) -> Any:
        """Some rows of some columns, by number, as a frame of the library; None if it can't."""
        try:
            return self.frame.select(list(names))[rows].to_native()
        except NotImplementedError:
            return None

    def filter(self, rows: NDArray[np.bool_]) -> "Table":
        """Some of the rows, (N,) of whether to keep them."""
        return self if rows.all() else Table(self.frame.filter(rows.tolist()))

    def missing(self, *names: str) -> NDArray[np.bool_]:
        """Rows (N,) in which one of some columns has no value: null, or NaN."""
        return reduce(np.logical_or, map(self._missing, names), np.zeros(self.rows, bool))

    def _missing(self, name: str) -> NDArray[np.bool_]:
        column = self.frame[name]
        with _named(name):
            if column.dtype.is_float():
                return np.asarray(np.isnan(column.to_numpy()))
            if not column.null_count():
                return np.zeros(self.rows, bool)
            return np.asarray(column.is_null().to_numpy(), bool)

    def levels(self, name: str) -> int:
        """How many different values a column has, missing ones apart."""
        column = self.frame[name]
        with _named(name):
            return int(column.n_unique()) - bool(column.is_null().any())

    def check_keys(self, argument: str, names: Iterable[str]) -> None:
        """Raise where a column holds what has no order.

        Parameters
        ----------
        argument : str
            Which argument names them.
        names : iterable of str
            The columns.

        Raises
        ------
        InputTypeError
            If one holds lists, arrays or records.
        """
        for name in names:
            with _named(name):
                dtype = self.frame[name].dtype
            if dtype.is_nested():
                raise InputTypeError(
                    argument,
                    f"column {name!r} of type {dtype}",
                    "keys that can be ordered, as strings, numbers or dates",
                    "make a column of such keys first",
                )


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors of a frame's library, of whatever class, as ours, with the column's name."""
    try:
        yield
    except Exception as error:
        told = str(error).partition("\n")[0]
        raise _strange(name, f"that can't be read ({told})") from error


def _strange(name: str, how: str) -> InputTypeError:
    return InputTypeError("frame", f"column {name!r} {how}", "a type that NumPy has", _CONVERT)


def _category(column: Any) -> Any:
    """Strings or categories as pandas' categories, without levels of nobody."""
    pandas, narwhals = needed("pandas", "frame"), needed("narwhals", "frame")
    levels = column.dtype.categories if column.dtype == narwhals.Enum else None
    native = getattr(column.to_native(), "dtype", None)
    if isinstance(native, pandas.CategoricalDtype):
        levels = native.categories
    return pandas.Categorical(column.to_numpy(), categories=levels).remove_unused_categories()

"""Columns: what is taken out of a data frame of any library, by name.

Frames are read through narwhals. Only the columns that are asked for are looked at; of a lazy
frame only they are collected.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gpuols.errors import InputError, InputTypeError
from gpuols.extras import needed
from gpuols.table import Table

_SHOWN = 10


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
            names = tuple(found.columns)
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

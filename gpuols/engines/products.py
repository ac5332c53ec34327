"""Products: of the columns that many responses share, row by row.

0 times infinity is not 0: a row whose products are not finite is left out of the table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.anchors import any_missing, median, weighted_rows
from gpuols.engines.workspace import Workspace
from gpuols.lazy import lazy
from gpuols.numerics.bound import BLOCK
from gpuols.selection import ranges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Numbers looked at together.
_SEEN = 2**20
# Numbers of the tables that are kept, at most.
_KEPT = 2**18


@dataclass(frozen=True, eq=False)
class Products:
    """Products of columns about an anchor, z = x - a.

    Attributes
    ----------
    parts : sequence of (n, c)
        The columns, q of them in all.
    anchor : (q,)
        Their anchor.
    there : (n,)
        Rows that count, if the response has them.
    tame : (n,)
        Rows whose products are finite.
    """

    parts: list[NDArray[Any]]
    anchor: Array
    there: Mask
    tame: Mask

    @classmethod
    def read(cls, parts: list[NDArray[Any]], centered: bool, drop: bool) -> Self:
        """Find the anchor, and the rows in which there is trouble."""
        n, q = len(parts[0]), sum(part.shape[1] for part in parts)
        there, tame, anchor = np.ones(n, bool), np.ones(n, bool), np.zeros(q)
        blocks = ranges(n, max(1, _SEEN // max(q, 1)))
        for rows in blocks:
            columns = _joined(parts, rows)
            tame[rows] = np.isfinite(columns).all(axis=1)
            if drop:
                there[rows] = ~any_missing(columns)
        if centered and tame.any():
            anchor = median(*(_joined(parts, place)[0] for place in weighted_rows(tame[None])))
        for rows in blocks:
            tame[rows] &= np.isfinite((_joined(parts, rows) - anchor) ** 2).all(axis=1)
        return cls(parts, anchor, there, tame)

    def first(self, q: int) -> Self:
        """The same of the first part, its q columns."""
        return replace(self, parts=self.parts[:1], anchor=self.anchor[:q])

    @property
    def width(self) -> int:
        """Columns of the table."""
        return width(len(self.anchor))

    def tables(self, space: Workspace) -> Iterator[tuple[slice, Array]]:
        """Blocks of rows, and the table of each; if all are small they are formed once."""
        if len(self.there) * self.width > _KEPT:
            return ((rows, self.table(rows, space)) for rows in self._blocks)
        return iter(self._kept)

    @property
    def _blocks(self) -> list[slice]:
        return ranges(len(self.there), BLOCK) or [slice(0, 0)]

    @lazy
    def _kept(self) -> list[tuple[slice, Array]]:
        return [(rows, self.table(rows, Workspace())) for rows in self._blocks]

    def table(self, rows: slice, space: Workspace) -> Array:
        """Products [1, z, z ⊗ z]' of some rows, the lower triangle row by row; (width, rows)."""
        columns = _joined(self.parts, rows)
        count, q = columns.shape
        table = space.array("table", (self.width, count))
        table[0] = 1.0
        np.subtract(columns.T, self.anchor[:, None], out=table[1 : 1 + q])
        table[1 : 1 + q, ~self.tame[rows]] = 0.0
        place = 1 + q
        for i in range(1, 1 + q):
            np.multiply(table[1 : 1 + i], table[i], out=table[place : place + i])
            place += i
        return table


def width(q: int) -> int:
    """Columns of a table of the products of q columns."""
    return 1 + q + q * (q + 1) // 2


def _joined(parts: list[NDArray[Any]], rows: Any) -> NDArray[Any]:
    """Some rows of all columns, (rows, q)."""
    return np.concatenate([part[rows] for part in parts], axis=1)

"""Responses on one design, each with weights or missing rows of its own, answered by the kernels.

Their sums come from two products with a table of the design's columns (kernels/masked.cu), so that
X is read once for many of them, where a batch would read it for each; the rest is a batch's. The
design goes over once, the responses and their weights in turns of the link.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from gpuols.engines import device, launches
from gpuols.engines.batches import Batch, start
from gpuols.engines.kernels import Kernel
from gpuols.engines.launches import Launch, Shape
from gpuols.engines.link import Link, send_matrix
from gpuols.engines.lots import Lot, Slices, all_ready, in_common, lines, no_room_for_design, steps
from gpuols.engines.outputs import Outputs
from gpuols.engines.sources import Beside
from gpuols.engines.work import BatchWork, spread

_TILE = 8  # columns
_TEAM = 8  # lanes that look for a response's anchors, as in kernels/marks.cu
_WIDTHS = 2, 4, 6  # of a panel, in tiles
_BLOCK = launches.MASK


def tame(shape: Shape) -> Launch:
    """Which rows of the design are there, and have finite products."""
    return Launch(Kernel("tame", (("real", shape.real),)), _BLOCK, round=_BLOCK // 32)


def marks(shape: Shape) -> Launch:
    """Rows for the anchors of the responses."""
    return Launch(Kernel("marks", (("real", shape.real),)), _BLOCK, round=_BLOCK // _TEAM)


def masked(shape: Shape) -> tuple[Launch, int, int]:
    """Rows to the sums of chunks; panels of the table, and tiles of a panel at most."""
    gram, cross = (shape.k + 1) * (shape.k + 2) // 2, shape.k + 1
    tiles = -(-gram // _TILE) - (-cross // _TILE)
    panels = -(-tiles // _WIDTHS[-1])
    each = -(-tiles // panels)
    width = next(width for width in _WIDTHS if width >= each)
    kernel = Kernel("masked", (("real", shape.real), ("tiles", width)))
    return Launch(kernel, launches.RESPONSES), panels, each


@dataclass(frozen=True, eq=False)
class _Design:
    """The design, on a device.

    Attributes
    ----------
    x : (n, k)
        Regressors.
    anchors : (k,)
        The points about which they are summed.
    kinds : (n,)
        What each row is to all responses, as kernels/masked.cuh says.
    """

    x: Any
    anchors: Any
    kinds: Any

    @classmethod
    def brought(cls, x: Any, shape: Shape) -> Self:
        """Bring regressors (n, k) there, find the anchors and what is the matter with rows."""
        if isinstance(x, np.ndarray):
            x = device.upload(np.ascontiguousarray(x, shape.dtype))
        x = all_ready([x, None, None], shape)[0]
        rows, chunks = np.int64(shape.n), np.int64(shape.chunks)
        kinds = device.empty((shape.n,), np.float64)
        found = device.empty((shape.chunks,), np.int32)
        anchors = device.empty((shape.k,), np.float64)
        drop, k = np.int32(shape.drop), np.int32(shape.k)

        def look(about: Any) -> None:
            given = [x, *steps(x, 2), about, drop, k, rows, chunks, kinds, found]
            start(tame(shape), shape.chunks, given)

        places = None
        if shape.centered:
            look(None)
            places = device.empty((3, 1), np.int64)
            given = [kinds, np.int64(0), np.int64(1), found, None, None, rows, np.int64(1), chunks]
            start(launches.places(), 1, [*given, places, np.int64(1)])
        lot = Lot(1, shape.chunks, x[None], None, None)
        _find_anchors(shape, lot, places, shape.k, anchors)
        look(anchors)
        return cls(x, anchors, kinds)


@dataclass(frozen=True, eq=False)
class _Responses(Slices):
    """Responses side by side, and their weights; the first table is None."""

    def numbers(self, shape: Shape) -> int:
        """Numbers that one takes on the device: its rows, sums, anchor and the rows for that."""
        return self.rows + shape.chunks * shape.sums + 4

    def part(self, shape: Shape, span: slice, link: Link | None = None) -> Lot:
        """Rows of some of them; what are neighbours in host memory are so on the device."""
        if not self.sent:
            return super().part(shape, span, link)
        assert link is not None
        _, y, weights = self.tables
        y = _sent(y[span, :, 0], shape.dtype, link)[..., None]
        if weights is not None:
            weights = _sent(weights[span], np.dtype(np.float64), link)
        count = span.stop - span.start
        return Lot(count, count * shape.chunks, None, y, weights)


@dataclass(frozen=True)
class _Masked(Batch):
    """What all responses of one call share; attributes but one as those of `Batch`.

    Attributes
    ----------
    design : _Design
        Their design.
    """

    design: _Design

    @property
    def _at_once(self) -> bool:
        """Sums come first."""
        return False

    def _answer_rows(self, lot: Lot, ridge: Any, out: list[Any]) -> None:
        shape, design, count = self.shape, self.design, np.int64(lot.count)
        y, weights = lot.y[..., 0], lot.weights
        given = [y, *steps(y, 2), weights, *steps(weights, 2), design.kinds]
        drop, rows = np.int32(shape.drop), np.int64(shape.n)
        levels = None
        if shape.centered:
            places = device.empty((3, lot.count), np.int64)
            start(marks(shape), lot.count, [*given, drop, rows, count, places])
            levels = device.empty((lot.count,), np.float64)
            _find_anchors(shape, lot, places, 0, levels)
            levels = np.where(np.isfinite(levels), levels, 0.0)
        sums = device.empty((lot.chunks, shape.sums), np.float64)
        launch, panels, each = masked(shape)
        groups = -(-lot.count // launches.EACH)
        sizes = np.int64(groups), np.int64(shape.chunks), np.int32(panels), np.int32(each)
        given = [design.x, *steps(design.x, 2), *given, design.anchors, levels, drop]
        given += [np.int32(shape.k), rows, count, *sizes, sums]
        start(launch, groups * shape.chunks * panels, given)
        self._solve(sums, ridge, lot, out)


@dataclass(frozen=True, eq=False)
class MaskedWork(BatchWork):
    """Responses on one design; attributes as those of `BatchWork`, X one matrix (..., n, k)."""

    def answer(self, number: int, outputs: Outputs, link: Link, part: slice) -> None:
        """Answer a range of them on a device."""
        (x, y, weights), options = self.tables, self.options
        shape = options.shape
        try:
            design = _Design.brought(x.reshape(shape.n, shape.k), shape)
            link.follow()
        except device.OutOfMemory as error:
            raise no_room_for_design(shape, number) from error
        batch = _Masked(number, shape, options.tol, outputs, link, design)
        tables = [None, spread(y, self.lead, 2)]
        tables.append(None if weights is None else spread(weights, self.lead, 1))
        for places, rows in lines(tables, self.lead, part):
            batch.answer(places, _Responses(rows.tables), options.ridge, options.batch_size)


def _find_anchors(shape: Shape, lot: Lot, places: Any, k: int, anchors: Any) -> None:
    """Write anchors (count, k + m) of X, or of the responses of a lot, where the other is None."""
    size = np.int32(k), np.int32(lot.y is not None), np.int64(shape.n), np.int64(lot.count)
    given = [*lot.tables, None, np.int64(0), np.int64(0), places, np.int64(lot.count), None, None]
    start(launches.anchors(shape), anchors.size, [*given, np.int32(shape.centered), *size, anchors])


def _sent(table: Any, dtype: np.dtype, link: Link) -> Any:
    """Numbers (b, n) of the host on the device; what all have in common goes over once."""
    if in_common(table):
        return np.broadcast_to(link.send(Beside(table[:1], dtype)), table.shape)
    return send_matrix(link, table, dtype)

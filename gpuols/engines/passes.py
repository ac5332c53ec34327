"""Passes over the rows of a lot on a device, which sum them, or residuals, in double-double."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device, launches
from gpuols.engines.batches import fold, mask_rows, start
from gpuols.engines.dealing import lanes_of
from gpuols.engines.fitted import Looks
from gpuols.engines.launches import Shape
from gpuols.engines.lots import Lot, steps
from gpuols.engines.outputs import moments_from
from gpuols.engines.residuals import Model
from gpuols.moments import Moments
from gpuols.sums import Low

_LARGE = 4.5e74  # as in kernels/settle.cu


@dataclass(frozen=True, eq=False)
class Passes:
    """Passes over the rows of some regressions, and what they leave on the device.

    Attributes
    ----------
    shape : Shape
        Of the regressions.
    lot : Lot
        Their rows.
    rows : list
        The same, as kernels take them.
    anchors : (b, q)
        Points about which rows are shifted; the mean, where they prove far from it.
    residuals, firsts : (rows, m, 2) and (b,), or None
        Residuals in the responses' place, and where each regression's begin.
    sums : (chunks, entries)
        Sums of chunks.
    finding : (b,)
        What was found about each regression, `Finding` of kernels/dealing.cuh.
    moments : (2, entries, b)
        High and low parts.
    anchored : bool
        Whether products are summed near powers of two, in fewer operations and with larger errors:
        kernels/anchored.cuh.
    """

    shape: Shape
    lot: Lot
    rows: list[Any]
    anchors: Any
    residuals: Any
    firsts: Any
    sums: Any
    finding: Any
    moments: Any
    anchored: bool = False

    @classmethod
    def of_responses(cls, shape: Shape, lot: Lot, *, anchored: bool = False) -> Self:
        """Over the rows as they are, about their anchors."""
        rows, count = _rows(shape, lot), lot.count
        anchors = device.empty((count, shape.columns), np.float64)
        given = [*rows, np.int32(shape.centered), *_sizes(shape, count), anchors]
        start(launches.anchors(shape), count * shape.columns, given)
        return cls(shape, lot, rows, anchors, None, None, *_room(shape, lot), anchored)

    @classmethod
    def of_residuals(
        cls, shape: Shape, lot: Lot, fitted: Looks, lengths: NDArray[np.int64]
    ) -> Self:
        """Over what fits leave of the responses, given how many rows each regression has."""
        rows, count = _rows(shape, lot), lot.count
        anchors, fits = device.upload(fitted[0].anchor), device.upload(_fits(fitted))
        firsts = device.upload(np.cumsum(lengths) - lengths)
        residuals = device.empty((int(lengths.sum()), shape.m, 2), np.float64)
        given = [*rows, lot.owners, lot.starts, anchors, fits, firsts, *_sizes(shape, count)]
        given += [np.int64(lot.chunks), residuals]
        start(launches.residuals(shape), lot.chunks, given)
        return cls(shape, lot, rows, anchors, residuals, firsts, *_room(shape, lot))

    def about(self, anchors: NDArray[np.float64]) -> Self:
        """The same about other points, (b, q)."""
        return replace(self, anchors=device.upload(anchors))

    def total(self) -> None:
        """Sums and moments; once more about the mean for those whose anchors are far from it."""
        for again in (False, True) if self.shape.centered and self.residuals is None else (False,):
            self.add(again=again)
            self.settle(again=again)

    def add(self, *, again: bool = False) -> None:
        """Sum the rows, chunk by chunk; again only those of regressions whose anchors are far."""
        shape, lot = self.shape, self.lot
        finding = self.finding if again else None
        given = [*self.rows, lot.owners, lot.starts, self.anchors, self.residuals, self.firsts]
        given += [finding, np.int32(lanes_of(shape.n)), *_sizes(shape, lot.count)]
        for launch, each in launches.precise_sums(shape, anchored=self.anchored):
            start(launch, lot.chunks * each, [*given, np.int64(lot.chunks), self.sums])

    def settle(self, *, again: bool = False) -> None:
        """Moments from the sums."""
        shape, lot = self.shape, self.lot
        fold(shape, lot, self.sums, precise=True, finding=self.finding if again else None)
        kind = np.int32(again), np.int32(shape.centered), np.int32(shape.k), np.int32(shape.m)
        given = [self.sums, lot.starts, *kind, np.int64(shape.chunks), np.int64(lot.count)]
        given += [self.anchors, self.finding, self.moments, np.int64(lot.count)]
        start(launches.settle(), lot.count, given)

    def extreme(self) -> NDArray[np.bool_]:
        """Which columns and responses, (q,), of a lot of one regression need units, or may.

        To be asked before the sums are settled; as `settle` tells it of all together.
        """
        shape, entries = self.shape, self.shape.sums
        first = 3 + 2 * shape.columns
        largest, heaviest = (
            device.download(self.sums[:, part]).max(axis=0)
            for part in (slice(first, first + shape.columns), slice(2 * entries, 2 * entries + 1))
        )
        with np.errstate(all="ignore"):
            return _beyond(heaviest) | _beyond(largest / np.sqrt(heaviest))

    def found(self) -> Moments:
        """Moments, L = (b,), in host memory."""
        numbers = device.download(self.moments)
        high, low = (moments_from(part, self.shape) for part in numbers)
        lows = Low(sumw=low.sumw, mean=low.mean, sxx=low.sxx, sxy=low.sxy, syy=low.syy)
        units = np.zeros((numbers.shape[2], self.shape.columns + 1), np.int32)
        if self.residuals is not None:
            high.anchor[:, self.shape.k :] = 0.0
        return replace(high, low=lows, units=units, precise=True)


def _rows(shape: Shape, lot: Lot) -> list[Any]:
    weights, where = mask_rows(shape, lot)
    rows = [*lot.tables, weights, *steps(weights, 2), where, np.int64(lot.count)]
    return [*rows, lot.spans, lot.order]


def _sizes(shape: Shape, count: int) -> tuple[Any, ...]:
    return np.int32(shape.k), np.int32(shape.m), np.int64(shape.n), np.int64(count)


def _room(shape: Shape, lot: Lot) -> tuple[Any, Any, Any]:
    """Sums, findings and moments."""
    return (
        device.zeros((lot.chunks, shape.precise_sums), np.float64),
        device.zeros((lot.count,), np.int8),
        device.empty((2, shape.moments, lot.count), np.float64),
    )


def _fits(looks: Looks) -> NDArray[np.float64]:
    """Fits (b, m, 3 + 2k) as kernels/residuals.cu reads them."""
    with np.errstate(all="ignore"):
        numbers = Model.of(looks).numbers
    return np.ascontiguousarray(numbers.transpose(2, 0, 1))


def _beyond(size: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((size > _LARGE) | ((size > 0.0) & (size < 1.0 / _LARGE)))

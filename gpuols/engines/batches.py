"""Batches: regressions of one shape answered by the kernels, some at a time.

Out of memory halves how many, and goes on. Rows of the host are sent, and their answers brought
back, in a turn of the link, which need not wait for the last one.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device, launches, libraries
from gpuols.engines.launches import Launch, Shape
from gpuols.engines.link import Link
from gpuols.engines.lots import Lot, Slices, Stretches, affordable, steps, too_large
from gpuols.engines.outputs import Outputs, Places, as_slice

_TOGETHER = 16  # sums of chunks that are added in one go, as in kernels/chunks.cuh


@dataclass(frozen=True)
class Batch:
    """What all regressions of one call share.

    Attributes
    ----------
    number : int
        Of the device.
    shape : Shape
        What kind of regressions.
    tol : float
        Largest error bound that is called OK.
    outputs : Outputs
        Where everything goes.
    link : Link
        How rows come from the host and answers go there.
    """

    number: int
    shape: Shape
    tol: float
    outputs: Outputs
    link: Link

    def answer(
        self,
        places: Places,
        lot: Slices | Stretches,
        ridge: NDArray[np.float64],
        batch_size: int | None,
    ) -> None:
        """Answer some regressions, as many at a time as the memory allows.

        Parameters
        ----------
        places : (length,)
            Their numbers.
        lot : Slices or Stretches
            Their rows.
        ridge : (B,)
            Penalties of all regressions.
        batch_size : int or None
            How many at a time.
        """
        length, step = len(places), self._step(lot, batch_size)
        start = 0
        while start < length:
            span = slice(start, min(start + step, length))
            try:
                with self.link.turn() if lot.sent else nullcontext():
                    self._answer_some(places[span], lot.part(self.shape, span, self.link), ridge)
                    self.link.done(span.stop - span.start)
            except device.OutOfMemory as error:
                if step == 1:
                    raise too_large(self.shape, self.number) from error
                self.link.drain()
                device.release()
                step = max(1, min(step, length - start) // 2)
                continue
            start = span.stop

    @property
    def _at_once(self) -> bool:
        """Whether one launch goes from rows to answers."""
        return self.shape.fused

    def _step(self, lot: Slices | Stretches, batch_size: int | None) -> int:
        """Regressions worked on together."""
        shape = self.shape
        if self._at_once and not self.outputs.on_host and not shape.drop:
            return self.outputs.count if batch_size is None else batch_size
        answers = shape.moments + shape.answers + shape.m
        numbers = lot.numbers(shape) + answers + shape.room
        if shape.by_library:
            numbers += shape.k * (shape.k + 1)
        most = affordable(numbers)
        if lot.sent:
            most = min(most, self.link.room // (8 * max(lot.rows, answers)))
        return max(1, most if batch_size is None else batch_size)

    def _answer_some(self, places: Places, lot: Lot, ridge: NDArray[np.float64]) -> None:
        if not lot.count:
            return
        own = ridge[as_slice(places) if isinstance(places, range) else places]
        # One penalty for all is looked at once, not once for each regression.
        penalised = own[:1].any() if own.strides == (0,) else own.any()
        penalties = device.upload(np.asarray(own, np.float64)) if penalised else None
        with self.outputs.part(places, self.link) as out:
            self._answer_rows(lot, penalties, out)

    def _answer_rows(self, lot: Lot, ridge: Any, out: list[Any]) -> None:
        weights, where = mask_rows(self.shape, lot)
        rows = [*lot.tables, weights, *steps(weights, 2), where, np.int64(lot.count)]
        rows += [lot.spans, lot.order]
        if self._at_once:
            self._fit(rows, ridge, lot.count, out)
        else:
            self._solve(self._sum(rows, lot), ridge, lot, out)

    def _fit(self, rows: list[Any], ridge: Any, count: int, out: list[Any]) -> None:
        shape = self.shape
        own = device.find(self.number)
        launch = launches.fit_batch(shape, count, own.multiprocessors, own.shared_bytes)
        sizes = np.int64(shape.n), np.int64(count), np.int32(shape.share), np.int32(launch.round)
        options = (
            np.float64(self.tol),
            np.int32(shape.centered),
            np.int32(shape.k),
            np.int32(shape.m),
        )
        start(launch, count, [*rows, ridge, *options, *sizes, *out])

    def _sum(self, rows: list[Any], lot: Lot) -> Any:
        """Sums of the chunks, (chunks, entries)."""
        shape = self.shape
        sums = device.empty((lot.chunks, shape.sums), np.float64)
        launch, each = launches.sums(shape)
        kind = np.int32(shape.centered), np.int32(shape.k), np.int32(shape.m)
        sizes = np.int64(shape.n), np.int64(lot.count), np.int64(lot.chunks)
        start(launch, lot.chunks * each, [*rows, lot.owners, lot.starts, *kind, *sizes, sums])
        return sums

    def _solve(self, sums: Any, ridge: Any, lot: Lot, out: list[Any]) -> None:
        """Answers from the sums of the chunks."""
        shape, count = self.shape, lot.count
        kind = np.int32(shape.centered), np.int32(shape.k), np.int32(shape.m)
        fold(shape, lot, sums)
        launch, spills = launches.solve(shape, device.find(self.number).shared_bytes)
        spare = device.empty((count, shape.room), np.float64) if spills else None
        lengths = np.int64(shape.chunks), np.int64(count)
        factors = failed = None
        if shape.by_library:
            scale = device.empty((count, shape.k), np.float64)
            factors = device.empty((count, shape.k, shape.k), np.float64)
            given = [sums, ridge, lot.starts, *kind, *lengths, scale, factors, out[0], out[-1]]
            start(launches.prepare(), count, given)
            failed = libraries.factor(factors)
        given = [sums, ridge, lot.starts, np.float64(self.tol), *kind, *lengths]
        start(launch, count, [*given, spare, factors, failed, *out])


def mask_rows(shape: Shape, lot: Lot) -> tuple[Any, Any]:
    """Weights, zero where a row is left out, and the rows for the anchors."""
    count, weights = lot.count, lot.weights
    if not shape.weighted:
        return None, None
    found = device.empty((lot.chunks,), np.int32)
    effective = lot.effective
    if shape.drop and effective is None:
        effective = device.empty(lot.shape, np.float64)
    sizes = np.int64(shape.n), np.int64(count), np.int64(lot.chunks)
    given = [*lot.tables, weights, *steps(weights, 2), lot.spans, lot.order]
    given += [lot.owners, lot.starts, np.int32(shape.k), np.int32(shape.m), *sizes]
    start(launches.mask(shape), lot.chunks, [*given, effective, found])
    if shape.drop:
        weights = effective
    where = device.empty((3, count), np.int64)
    given = [weights, *steps(weights, 2), found, lot.spans, lot.starts, *sizes]
    start(launches.places(), count, [*given, where, np.int64(count)])
    return weights, where


def fold(shape: Shape, lot: Lot, sums: Any, precise: bool = False, finding: Any = None) -> None:
    """Add the sums of chunks in runs; with `finding` only those of regressions that are far."""
    step = 1
    while shape.chunks > _TOGETHER * step:
        sizes = np.int32(shape.k), np.int32(shape.m), np.int64(step), np.int64(lot.count)
        given = [sums, lot.owners, lot.starts, finding, *sizes, np.int64(lot.chunks)]
        start(launches.fold(precise), lot.chunks, given)
        step *= _TOGETHER


def start(launch: Launch, tasks: int, arguments: list[Any]) -> None:
    """Start a kernel with blocks enough for a number of tasks."""
    device.launch(launch.kernel, launch.grid(tasks), launch.block, arguments, launch.shared_bytes)

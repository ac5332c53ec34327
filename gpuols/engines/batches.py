"""Batches: the rows of many regressions brought to the kernels, some at a time.

Out of memory halves how many, and goes on.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device, launches, libraries
from gpuols.engines.launches import Launch, Shape
from gpuols.engines.outputs import Outputs
from gpuols.errors import DeviceError

_SHARE = 0.25  # of the free memory, for what some regressions need


def lines(
    tables: list[Any], lead: tuple[int, ...]
) -> Iterator[tuple[NDArray[np.int64], list[Any]]]:
    """Runs of regressions along the longest axis of L, whose rows are evenly apart in memory.

    Parameters
    ----------
    tables : list of (L..., ...) or None
        X, y and weights.
    lead : tuple of int
        Shape L.

    Yields
    ------
    The numbers (length,) of the regressions of a run, and their tables (length, ...).
    """
    if not lead:
        yield np.zeros(1, np.int64), [table if table is None else table[None] for table in tables]
        return
    numbers = np.arange(math.prod(lead)).reshape(lead)
    longest = int(np.argmax(lead))
    others = (*lead[:longest], *lead[longest + 1 :])
    for place in np.ndindex(others):
        where = (*place[:longest], slice(None), *place[longest:])
        yield numbers[where], [table if table is None else table[where] for table in tables]


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
    """

    number: int
    shape: Shape
    tol: float
    outputs: Outputs

    def answer(
        self,
        places: NDArray[np.int64],
        tables: list[Any],
        ridge: NDArray[np.float64],
        batch_size: int | None,
    ) -> Iterator[int]:
        """Answer a run of regressions, as many at a time as the memory allows.

        Parameters
        ----------
        places : (length,)
            Their numbers, evenly apart.
        tables : list of (length, ...) or None
            X, y and weights.
        ridge : (B,)
            Penalties of all regressions.
        batch_size : int or None
            How many at a time.

        Yields
        ------
        How many were answered.
        """
        length, step = len(places), self._step(batch_size)
        start = 0
        while start < length:
            span = slice(start, min(start + step, length))
            try:
                parts = [table if table is None else table[span] for table in tables]
                self._answer_some(places[span], parts, ridge[places[span]])
            except device.OutOfMemory as error:
                if step == 1:
                    raise _too_large(self.shape, self.number) from error
                device.release()
                step = max(1, min(step, length - start) // 2)
                continue
            yield span.stop - span.start
            start = span.stop

    def _step(self, batch_size: int | None) -> int:
        """Regressions worked on together."""
        shape = self.shape
        own = shape.n * (shape.columns + 2) if self.outputs.on_host else shape.n * shape.drop
        numbers = own + shape.moments + shape.answers + shape.m
        if not shape.fused:
            numbers += shape.chunks * shape.sums + shape.room
        if shape.by_library:
            numbers += shape.k * (shape.k + 1)
        affordable = int(_SHARE * device.free_bytes()) // (8 * max(numbers, 1))
        if shape.fused and not self.outputs.on_host and not shape.drop:
            affordable = self.outputs.count
        return max(1, affordable if batch_size is None else batch_size)

    def _answer_some(
        self, places: NDArray[np.int64], tables: list[Any], ridge: NDArray[np.float64]
    ) -> None:
        shape, count = self.shape, len(places)
        if not count:
            return
        x, y, weights = (_ready(table, shape, i < 2) for i, table in enumerate(tables))
        penalties = device.upload(np.asarray(ridge, np.float64)) if ridge.any() else None
        with self.outputs.part(shape, places) as out:
            rows = [x, *_steps(x, 3), y, *_steps(y, 3)]
            weights, where = self._mask(rows, weights, count)
            rows += [weights, *_steps(weights, 2), where]
            if shape.fused:
                self._fit(rows, penalties, count, out)
            else:
                self._sum_and_solve(rows, penalties, count, out)

    def _mask(self, rows: list[Any], weights: Any, count: int) -> tuple[Any, Any]:
        """Weights, zero where a row is left out, and the rows for the anchors."""
        shape = self.shape
        if not shape.weighted:
            return None, None
        found = device.empty((count, shape.chunks), np.int32)
        effective = device.empty((count, shape.n), np.float64) if shape.drop else None
        sizes = np.int32(shape.k), np.int32(shape.m), np.int64(shape.n), np.int64(count)
        given = [*rows, weights, *_steps(weights, 2), *sizes, effective, found]
        _start(launches.mask(shape), count * shape.chunks, given)
        if shape.drop:
            weights = effective
        where = device.empty((3, count), np.int64)
        given = [weights, *_steps(weights, 2), found, *sizes[2:], where, np.int64(count)]
        _start(launches.places(), count, given)
        return weights, where

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
        _start(launch, count, [*rows, np.int64(count), ridge, *options, *sizes, *out])

    def _sum_and_solve(self, rows: list[Any], ridge: Any, count: int, out: list[Any]) -> None:
        shape = self.shape
        kind = np.int32(shape.centered), np.int32(shape.k), np.int32(shape.m)
        sums = device.empty((count, shape.chunks, shape.sums), np.float64)
        launch, each = launches.sums(shape)
        sizes = np.int64(shape.n), np.int64(count)
        _start(launch, count * each, [*rows, np.int64(count), *kind, *sizes, sums])
        launch, spills = launches.solve(shape, device.find(self.number).shared_bytes)
        spare = device.empty((count, shape.room), np.float64) if spills else None
        lengths = np.int64(shape.chunks), np.int64(count)
        factors = failed = None
        if shape.by_library:
            scale = device.empty((count, shape.k), np.float64)
            factors = device.empty((count, shape.k, shape.k), np.float64)
            given = [sums, ridge, *kind, *lengths, scale, factors, out[0], out[-1]]
            _start(launches.prepare(), count, given)
            failed = libraries.factor(factors)
        options = np.float64(self.tol), *kind, *lengths
        _start(launch, count, [sums, ridge, *options, spare, factors, failed, *out])


def _start(launch: Launch, tasks: int, arguments: list[Any]) -> None:
    device.launch(launch.kernel, launch.grid(tasks), launch.block, arguments, launch.shared_bytes)


def _ready(table: Any, shape: Shape, is_rows: bool) -> Any:
    """Table on the device, of the dtype that the kernels take, at strides of whole numbers."""
    if table is None:
        return None
    dtype = np.dtype(np.float32 if shape.real == "float" and is_rows else np.float64)
    if isinstance(table, np.ndarray):
        one = len(table) > 1 and table.strides[0] == 0
        found = device.upload(np.ascontiguousarray(table[:1] if one else table, dtype))
        return np.broadcast_to(found, table.shape) if one else found
    if table.dtype != dtype:
        return table.astype(dtype)
    if any(step % dtype.itemsize for step in table.strides) or table.data.ptr % dtype.itemsize:
        return table.copy()
    return table


def _steps(table: Any, axes: int) -> list[np.int64]:
    """Strides in elements; none of a table that is not there."""
    if table is None:
        return [np.int64(0)] * axes
    return [np.int64(step // table.itemsize) for step in table.strides]


def _too_large(shape: Shape, number: int) -> DeviceError:
    return DeviceError(
        "device",
        f"one regression of {shape.n:,} rows and {shape.columns:,} columns, which the free memory "
        f"of cuda:{number} does not hold",
        "regressions that it holds",
        'use device="cpu", or free memory of the device',
    )

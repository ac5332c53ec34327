"""The CUDA engine, for batches of regressions.

Rows that live on the device are read where they are, whatever their strides; rows in host memory
are copied over, as many regressions at a time as fit in a share of the free memory. Regressions
of at most 4096 rows and 32 columns take one launch, rows to answers (kernels/fit_batch.cu); longer
and wider ones are summed chunk by chunk (gram.cu, panel.cu) and solved from those sums (solve.cu).
What is to be done in double-double is done by the NumPy engine.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import cpu, device, launches
from gpuols.engines.fitted import Looks
from gpuols.engines.launches import Launch, Shape
from gpuols.engines.outputs import Outputs
from gpuols.engines.solution import Solution
from gpuols.engines.tables import Table
from gpuols.engines.workspace import Workspace
from gpuols.errors import DeviceError
from gpuols.moments import Moments
from gpuols.selection import ranges

Report = Callable[[int, int], object]

_REFUSED = {
    "shared": (
        "one design with many responses",
        "give the responses as rows, gpuols.fit(X[None], Y.T)",
    ),
    "groups": ("groups of rows", "fit regressions of equal size with gpuols.fit"),
}
_SHARE = 0.25  # of the free memory, for what a chunk of regressions needs


@dataclass(frozen=True)
class Cuda:
    """The functions of an engine, on one device.

    Attributes
    ----------
    number : int
        Of the device.
    """

    number: int

    @property
    def NAME(self) -> str:
        """What a result says of the engine."""
        return f"cuda:{self.number}"

    def at_work(self) -> AbstractContextManager[Any]:
        """Context in which this device is the current one."""
        return device.on(self.number)

    moments_shared = staticmethod(cpu.moments_shared)
    moments_masked = staticmethod(cpu.moments_masked)
    moments_groups = staticmethod(cpu.moments_groups)
    factor_design = staticmethod(cpu.factor_design)
    solve = staticmethod(cpu.solve)
    unscaled_covariance = staticmethod(cpu.unscaled_covariance)
    run = staticmethod(cpu.run)

    def fit_batch(
        self,
        x: Any,
        y: Any,
        weights: Any,
        lead: tuple[int, ...],
        ridge: NDArray[np.float64],
        *,
        centered: bool,
        drop: bool,
        tol: float,
        batch_size: int | None = None,
        report: Report | None = None,
    ) -> tuple[Moments, Solution, Any]:
        """Moments and answers of a batch in double.

        Parameters
        ----------
        x : (..., n, k)
            Regressors, all on this device or all in host memory.
        y : (..., n, m)
            Responses.
        weights : (..., n) or None
            Inverse variances.
        lead : tuple of int
            Shape L that the leading axes broadcast to, B regressions in all.
        ridge : (B,)
            Penalties.
        centered : bool
            Whether the model has an intercept.
        drop : bool
            Whether a row in which a value is missing is left out.
        tol : float
            Largest error bound that is called OK.
        batch_size : int, optional
            Regressions worked on together, instead of what the memory allows.
        report : callable, optional
            Called with (done, B).

        Returns
        -------
        moments, solution : Moments, Solution
            L = (B,), where the rows are.
        tally : (2,)
            On the device: regressions that call for a closer look; those not fully answered.
        """
        count = math.prod(lead)
        on_host = isinstance(x, np.ndarray)
        real = "float" if x.dtype == y.dtype == np.float32 else "double"
        n, k, m = x.shape[-2], x.shape[-1], y.shape[-1]
        weighted, penalised = weights is not None or drop, bool(ridge.any())
        shape = Shape(n, k, m, real, centered, weighted, drop, penalised)
        tables = [
            table if table is None else np.broadcast_to(table, (*lead, *table.shape[-inner:]))
            for table, inner in ((x, 2), (y, 2), (weights, 1))
        ]
        with device.on(self.number):
            outputs = Outputs.empty(shape, count, on_host=on_host)
            batch = _Batch(self.number, shape, tol, outputs)
            done = 0
            for places, parts in _lines(tables, lead):
                for number in batch.answer(places, parts, ridge, batch_size):
                    done += number
                    if report is not None:
                        report(done, count)
            return outputs.moments(shape), outputs.solution(shape), outputs.tally

    def moments_batch(
        self,
        x: Table,
        y: Table,
        weights: Table | None,
        which: Any,
        *,
        centered: bool,
        drop: bool,
        precise: bool = False,
        fitted: Looks = (),
        space: Workspace,
    ) -> Moments:
        """Moments of some regressions, by the NumPy engine; parameters as `cpu.moments_batch`."""
        with device.on(self.number):
            every = slice(None)
            own = [table if table is None else table[which, every] for table in (x, y, weights)]
        return cpu.moments_batch(
            *own,
            np.arange(len(which)),
            centered=centered,
            drop=drop,
            precise=precise,
            fitted=fitted,
            space=space,
        )

    def check(self, problem: str) -> None:
        """Raise if the engine can't fit a problem, "batch", "shared" or "groups"."""
        if problem in _REFUSED:
            came, remedy = _REFUSED[problem]
            raise DeviceError(
                "device",
                f"{self.NAME} for {came}",
                "a batch, all that this version of gpuols fits on CUDA devices",
                f'{remedy}, or use device="cpu"',
            )


def _lines(
    tables: list[Any], lead: tuple[int, ...]
) -> Iterator[tuple[NDArray[np.int64], list[Any]]]:
    """Runs of regressions along the longest axis of L: their numbers, and tables (length, ...)."""
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
class _Batch:
    """What all regressions of one call share."""

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
        """Answer a run of regressions, (length, ...) each; yields how many were done."""
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
        penalties = device.upload(np.asarray(ridge, np.float64)) if shape.ridge else None
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
        launch = launches.fit_batch(shape, count, device.find(self.number).multiprocessors)
        sizes = np.int64(shape.n), np.int64(count), np.int32(shape.share), np.int32(launch.round)
        options = np.float64(self.tol), np.int32(shape.centered), np.int32(shape.k), np.int32(shape.m)
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
        options = np.float64(self.tol), *kind, np.int64(shape.chunks), np.int64(count)
        _start(launch, count, [sums, ridge, *options, spare, *out])


def _start(launch: Launch, tasks: int, arguments: list[Any]) -> None:
    device.launch(
        launch.kernel, launch.grid(tasks), launch.block, arguments, launch.shared_bytes
    )


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

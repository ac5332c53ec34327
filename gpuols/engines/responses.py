"""Responses that share a design, answered by the kernels, some at a time.

Those of the host go over in turns of the link. Out of memory halves how many, and goes on.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device, launches
from gpuols.engines.anchors import weighted_rows
from gpuols.engines.batches import start
from gpuols.engines.design import Design
from gpuols.engines.launches import Shape
from gpuols.engines.link import Link, between
from gpuols.engines.lots import all_ready, real_of, steps, too_large
from gpuols.engines.outputs import Outputs, as_slice
from gpuols.engines.premise import Premise
from gpuols.engines.solution import Solution
from gpuols.engines.sources import Beside
from gpuols.engines.transfer import to_host
from gpuols.errors import DeviceError
from gpuols.moments import Moments

_SHARE = 0.25  # of the free memory, for what some responses need


@dataclass(frozen=True, eq=False)
class Responses:
    """Responses on one design, and where their answers go.

    Attributes
    ----------
    number : int
        Of the device.
    shape : Shape
        Of the whole: n rows, k columns, m responses.
    x, weights : (n, k) and (n,) or None
        The design, on the device.
    y : (n, m)
        The responses, in host memory or on the device.
    anchors : (3,) or None
        Rows whose values the responses are shifted by, on the device.
    premise : Premise
        What follows from the design; its numbers on the device.
    outputs : Outputs
        Where everything goes.
    """

    number: int
    shape: Shape
    x: Any
    y: Any
    weights: Any
    anchors: Any
    premise: Premise
    outputs: Outputs

    @classmethod
    def on(
        cls,
        number: int,
        x: Any,
        weights: Any,
        y: Any,
        design: Moments,
        factored: Design,
        singular: str,
    ) -> Self:
        """Responses on a device; arguments as `cuda.Cuda.fit_shared`."""
        (n, k), m = x.shape, y.shape[1]
        shape = Shape(n, k, m, real_of(x, y), design.centered, weights is not None, False)
        found = Premise.of(design, factored, tiles=shape.panel_tiles, singular=singular)
        entries, on_host = (4 + k, shape.p + 2, 1), isinstance(y, np.ndarray)
        try:
            own = x, None, weights
            if on_host:
                own = _uploaded(x, shape.dtype), None, _uploaded(weights, np.dtype(np.float64))
            x, _, heavy = all_ready(own, shape)
            return cls(
                number,
                shape,
                x,
                y,
                heavy,
                None if weights is None else device.upload(_anchor_rows(to_host(weights))),
                replace(found, numbers=device.upload(found.numbers)),
                Outputs.empty(entries, m, on_host=on_host),
            )
        except device.OutOfMemory as error:
            raise DeviceError(
                "device",
                f"a design of {n:,} rows and {k:,} columns, and the answers to {m:,} responses, "
                f"which the free memory of cuda:{number} does not hold",
                "a design that it holds, and fewer responses at a time",
                'use device="cpu", or free memory of the device',
            ) from error

    @property
    def rejected(self) -> Any:
        """How many responses call for a closer look, (1,), on the device."""
        return self.outputs.rejected

    def answer(self, tol: float, batch_size: int | None, tell: Callable[[int], None]) -> None:
        """Answer all, as many at a time as the memory allows.

        Parameters
        ----------
        tol : float
            Largest error bound that is called OK.
        batch_size : int or None
            How many at a time.
        tell : callable
            Told how many were answered.
        """
        m, rows = self.shape.m, _along_rows(self.y)
        with between(self.number, [rows], tell) as link:
            step = batch_size or self._affordable(link)
            start = 0
            while start < m:
                span = range(start, min(start + step, m))
                try:
                    with link.turn() if self.outputs.on_host else nullcontext():
                        self._answer_some(span, tol, link)
                        link.done(len(span))
                except device.OutOfMemory as error:
                    if step == 1:
                        raise too_large(replace(self.shape, m=1), self.number) from error
                    link.drain()
                    device.release()
                    step = max(1, min(step, m - start) // 2)
                    continue
                start = span.stop

    def _affordable(self, link: Link) -> int:
        shape = self.shape
        _, at_once = launches.responses(shape)
        numbers = 0 if at_once else shape.chunks * (2 + shape.k)
        if self.outputs.on_host:
            numbers += shape.n + 2 * shape.k + 8
        if not numbers:
            return shape.m
        affordable = int(_SHARE * device.free_bytes()) // (8 * numbers)
        if self.outputs.on_host:
            affordable = min(affordable, link.room // (8 * max(shape.n, 2 * shape.k + 8)))
        return max(1, affordable // launches.EACH) * launches.EACH

    def _answer_some(self, span: range, tol: float, link: Link) -> None:
        shape, count = self.shape, len(span)
        rows = _brought(self.y[:, as_slice(span)], shape, link)
        groups, panels = -(-count // launches.EACH), shape.panels
        launch, at_once = launches.responses(shape)
        premise, flags, k = self.premise.numbers, np.uint32(self.premise.flags), np.int32(shape.k)
        sizes = np.int64(groups), np.int64(shape.chunks)
        with self.outputs.part(span, link) as (moments, answers, status, rejected, room):
            sums = spare = None
            if not at_once:
                sums = device.empty((shape.chunks, 2 + shape.k, int(room)), np.float64)
            if self.premise.is_choice and panels > 1:
                spare = device.empty((shape.k, int(room)), np.float64)
            out = [moments, answers, status, rejected, spare, room]
            given = [self.x, *steps(self.x, 2), rows, *steps(rows, 2)]
            given += [self.weights, *steps(self.weights, 1), self.anchors, premise, flags]
            given += [np.float64(tol), k, np.int64(shape.n), np.int64(count), *sizes]
            tasks = groups * shape.chunks * panels
            start(launch, tasks, [*given, np.int32(panels), sums, *out])
            if not at_once:
                given = [sums, premise, flags, np.float64(tol), k, np.int64(count), *sizes]
                start(launches.solve_responses(shape), groups, [*given, *out])

    def moments(self, design: Moments) -> Moments:
        """Moments of all, L = (), given those of the design alone, in double."""
        anchor, mean, raw, syy = self.outputs.numbers[:4]
        if not self.outputs.on_host:
            design = design.map(device.upload)
        return replace(
            design,
            anchor=np.concatenate([design.anchor, anchor]),
            mean=np.concatenate([design.mean, mean]),
            raw=np.concatenate([design.raw, raw]),
            sxy=self.outputs.numbers[4:],
            syy=syy,
        )

    def solution(self, design: Solution) -> Solution:
        """Answers to all, L = (), given those that have no responses."""
        p, zeros = self.shape.p, np.zeros if self.outputs.on_host else device.zeros
        if not self.outputs.on_host:
            design = design.map(device.upload)
        return replace(
            design,
            params=self.outputs.answers[:p],
            ssr=self.outputs.answers[p],
            error_bound=self.outputs.answers[p + 1],
            status=self.outputs.status[0],
            precise=zeros((self.shape.m,), bool),
        )


def _anchor_rows(weights: NDArray[Any]) -> NDArray[np.int64]:
    """First, middle and last row of positive weight, (3,); -1 where there is none."""
    valid = weights > 0
    if not valid.any():
        return np.full(3, -1)
    return np.concatenate(weighted_rows(valid[None]))


def _along_rows(y: Any) -> Any:
    """Responses (n, m), or turned (m, n), so that neighbours in a row are neighbours in memory."""
    return y.T if abs(y.strides[0]) < abs(y.strides[1]) else y


def _brought(y: Any, shape: Shape, link: Link) -> Any:
    """Responses (n, b) on the device."""
    if not isinstance(y, np.ndarray):
        return all_ready([y, None, None], shape)[0]
    rows = _along_rows(y)
    found = link.send(Beside(rows, shape.dtype))
    return found if rows is y else found.T


def _uploaded(table: NDArray[Any] | None, dtype: np.dtype) -> Any:
    return None if table is None else device.upload(np.ascontiguousarray(table, dtype))

"""Responses that share a design, answered by the kernels, some at a time.

Those of the host go over in turns of the link. Out of memory halves how many, and goes on.
"""

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
from gpuols.engines.link import Link, send_matrix
from gpuols.engines.lots import (
    affordable,
    all_ready,
    no_room_for_design,
    real_of,
    steps,
    too_large,
)
from gpuols.engines.outputs import Outputs, as_slice
from gpuols.engines.premise import Premise
from gpuols.engines.solution import Solution
from gpuols.engines.transfer import to_host
from gpuols.moments import Moments


@dataclass(frozen=True, eq=False)
class ResponseWork:
    """Responses on one design.

    Attributes
    ----------
    x, weights : (n, k) and (n,) or None
        The design.
    y : (n, m)
        The responses.
    shape : Shape
        Of the whole: n rows, k columns, m responses.
    premise : Premise
        What follows from the design.
    tol : float
        Largest error bound that is called OK.
    batch_size : int or None
        Responses worked on together, instead of what the memory allows.
    """

    x: Any
    weights: Any
    y: Any
    shape: Shape
    premise: Premise
    tol: float
    batch_size: int | None

    @classmethod
    def on(
        cls,
        x: Any,
        weights: Any,
        y: Any,
        design: Moments,
        factored: Design,
        singular: str,
        **options: Any,
    ) -> Self:
        """Responses on a design; arguments, options too, as `cuda.Cuda.fit_shared`."""
        (n, k), m = x.shape, y.shape[1]
        shape = Shape(n, k, m, real_of(x, y), design.centered, weights is not None, False)
        premise = Premise.of(design, factored, tiles=shape.panel_tiles, singular=singular)
        return cls(x, weights, y, shape, premise, **options)

    @property
    def tables(self) -> tuple[Any]:
        """The responses, a number a row."""
        return (self.y[..., None],)

    @property
    def entries(self) -> tuple[int, int, int]:
        """Moments, answers and statuses of each."""
        return 4 + self.shape.k, self.shape.p + 2, 1

    @property
    def count(self) -> int:
        """Responses in all."""
        return self.shape.m

    @property
    def units(self) -> int:
        """Responses, too."""
        return self.shape.m

    @property
    def ends(self) -> range:
        """All are of one size."""
        return range(1, self.units + 1)

    def answer(self, number: int, outputs: Outputs, link: Link, part: slice) -> None:
        """Answer a range of them on a device, as many at a time as the memory allows."""
        try:
            own = self._brought()
            link.follow()
        except device.OutOfMemory as error:
            raise no_room_for_design(self.shape, number) from error
        first = part.start
        step = self.batch_size or self._affordable(outputs.on_host, link)
        while first < part.stop:
            span = range(first, min(first + step, part.stop))
            try:
                with link.turn() if outputs.on_host else nullcontext():
                    self._answer_some(own, span, outputs, link)
                    link.done(len(span))
            except device.OutOfMemory as error:
                if step == 1:
                    raise too_large(replace(self.shape, m=1), number) from error
                link.drain()
                device.release()
                step = max(1, len(span) // 2)
                continue
            first = span.stop

    def _brought(self) -> list[Any]:
        """What kernels are told of the design, on the device."""
        x, weights = self.x, self.weights
        anchors = None if weights is None else device.upload(_anchor_rows(to_host(weights)))
        if isinstance(x, np.ndarray):
            x = device.upload(np.ascontiguousarray(x, self.shape.dtype))
            if weights is not None:
                weights = device.upload(np.ascontiguousarray(weights, np.float64))
        x, _, weights = all_ready((x, None, weights), self.shape)
        return [x, weights, anchors, device.upload(self.premise.numbers)]

    def _affordable(self, on_host: bool, link: Link) -> int:
        shape = self.shape
        _, at_once = launches.responses(shape)
        numbers = 0 if at_once else shape.chunks * (2 + shape.k)
        if self.premise.is_choice:
            numbers += shape.k
        if on_host:
            numbers += shape.n + sum(self.entries)
        if not numbers:
            return shape.m
        most = affordable(numbers)
        if on_host:
            most = min(most, link.room // (8 * max(shape.n, sum(self.entries))))
        return max(1, most // launches.EACH) * launches.EACH

    def _answer_some(self, own: list[Any], span: range, outputs: Outputs, link: Link) -> None:
        shape, count = self.shape, len(span)
        x, weights, anchors, numbers = own
        rows = _responses_at(self.y[:, as_slice(span)], shape, link)
        groups, panels = -(-count // launches.EACH), shape.panels
        launch, at_once = launches.responses(shape)
        premise = [numbers, np.uint32(self.premise.flags), np.float64(self.tol), np.int32(shape.k)]
        sizes = np.int64(groups), np.int64(shape.chunks)
        with outputs.part(span, link) as (moments, answers, status, rejected, room):
            sums = spare = None
            if not at_once:
                sums = device.empty((shape.chunks, 2 + shape.k, count), np.float64)
            if self.premise.is_choice and panels > 1:
                spare = device.empty((shape.k, count), np.float64)
            out = [moments, answers, status, rejected, spare, room]
            given = [x, *steps(x, 2), rows, *steps(rows, 2), weights, *steps(weights, 1), anchors]
            given += [*premise, np.int64(shape.n), np.int64(count), *sizes, np.int32(panels)]
            start(launch, groups * shape.chunks * panels, [*given, sums, *out])
            if not at_once:
                given = [sums, *premise, np.int64(count), *sizes]
                start(launches.solve_responses(shape), groups, [*given, *out])


def moments_of(outputs: Outputs, design: Moments) -> Moments:
    """Moments of all responses, L = (), given those of the design alone, in double."""
    anchor, mean, raw, syy = outputs.numbers[:4]
    if not outputs.on_host:
        design = design.map(device.upload)
    return replace(
        design,
        anchor=np.concatenate([design.anchor, anchor]),
        mean=np.concatenate([design.mean, mean]),
        raw=np.concatenate([design.raw, raw]),
        sxy=outputs.numbers[4:],
        syy=syy,
    )


def solution_of(outputs: Outputs, design: Solution) -> Solution:
    """Answers to all responses, L = (), given those of the design alone."""
    ssr, error_bound = outputs.answers[-2:]
    zeros = np.zeros if outputs.on_host else device.zeros
    if not outputs.on_host:
        design = design.map(device.upload)
    return replace(
        design,
        params=outputs.answers[:-2],
        ssr=ssr,
        error_bound=error_bound,
        status=outputs.status[0],
        precise=zeros((outputs.count,), bool),
    )


def _anchor_rows(weights: NDArray[Any]) -> NDArray[np.int64]:
    """First, middle and last row of positive weight, (3,); -1 where there is none."""
    valid = weights > 0
    if not valid.any():
        return np.full(3, -1)
    return np.concatenate(weighted_rows(valid[None]))


def _responses_at(y: Any, shape: Shape, link: Link) -> Any:
    """Responses (n, b) on the device."""
    if not isinstance(y, np.ndarray):
        return all_ready([y, None, None], shape)[0]
    return send_matrix(link, y, shape.dtype)

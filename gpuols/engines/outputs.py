"""Outputs: where the kernels leave moments and answers, and how those are read.

All numbers of one kind stand side by side, a regression beside the next: entry e of regression b
is moments[e, b] or answers[e, b], the status of its response r status[r, b].
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device
from gpuols.engines.launches import Shape
from gpuols.engines.link import Link
from gpuols.engines.solution import Solution
from gpuols.moments import Moments

Places = range | NDArray[np.int64]
"""Numbers of some regressions, (b,)."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """Room for the moments and answers of B regressions.

    Attributes
    ----------
    count : int
        B.
    on_host : bool
        Whether in host memory rather than on the current device.
    numbers : (moments, B)
        Moments.
    answers : (answers, B)
        Answers but the statuses.
    status : (m, B)
        Codes of `Status`.
    rejected : (1,)
        On the device: how many regressions call for a closer look.
    """

    count: int
    on_host: bool
    numbers: Any
    answers: Any
    status: Any
    rejected: Any

    @classmethod
    def empty(cls, entries: tuple[int, int, int], count: int, *, on_host: bool) -> Self:
        """Room for so many moments, answers and statuses of each regression."""
        empty = np.empty if on_host else device.empty
        moments, answers, statuses = entries
        return cls(
            count,
            on_host,
            empty((moments, count), np.float64),
            empty((answers, count), np.float64),
            empty((statuses, count), np.int8),
            device.zeros((1,), np.int32),
        )

    @contextmanager
    def part(self, places: Places, link: Link) -> Iterator[list[Any]]:
        """Where kernels are to write for some regressions: their last arguments.

        Parameters
        ----------
        places : (b,)
            Numbers of the regressions.
        link : Link
            What brings them to host memory.

        Yields
        ------
        list
            moments, answers, status, rejected, and the doubles from one entry to the next.
        """
        room = [self.numbers, self.answers, self.status]
        if not self.on_host and isinstance(places, range) and places == range(self.count):
            yield [*room, self.rejected, np.int64(self.count)]
            return
        where = self._index(places)
        if not self.on_host and isinstance(where, slice) and where.step == 1:
            yield [*(array[:, where] for array in room), self.rejected, np.int64(self.count)]
            return
        parts = [device.empty((len(array), len(places)), array.dtype) for array in room]
        yield [*parts, self.rejected, np.int64(len(places))]
        for array, part in zip(room, parts, strict=True):
            if self.on_host:
                link.bring(part, array, where)
            else:
                array[:, where] = part

    def _index(self, places: Places) -> Any:
        """Index of some regressions, a slice where they are evenly apart."""
        if isinstance(places, range):
            return as_slice(places)
        first, last = int(places[0]), int(places[-1])
        step = (last - first) // max(len(places) - 1, 1) or 1
        if (np.diff(places) == step).all():
            return slice(first, last + 1, step)
        return places if self.on_host else device.upload(places)

    def moments(self, shape: Shape) -> Moments:
        """Moments, L = (B,); views."""
        return moments_from(self.numbers, shape)

    def solution(self, shape: Shape) -> Solution:
        """Answers, L = (B,); views, but of precise."""
        zeros = np.zeros if self.on_host else device.zeros
        precise = zeros((self.count, shape.m), bool)
        return solution_from(self.answers, self.status, precise, shape)


def moments_from(numbers: Any, shape: Shape, lead: tuple[int, ...] | None = None) -> Moments:
    """Moments, L = (B,) or `lead`, that kernels have written to an array (moments, B); views."""
    k, m, q = shape.k, shape.m, shape.columns
    sizes = (), (), (), (q,), (q,), (q,), (k, k), (k, m), (m,)
    nobs, sumw, sum_log_w, anchor, mean, raw, sxx, sxy, syy = _cut(numbers, sizes, lead)
    return Moments(
        nobs=nobs,
        sumw=sumw,
        sum_log_w=sum_log_w,
        anchor=anchor,
        mean=mean,
        sxx=sxx,
        sxy=sxy,
        syy=syy,
        raw=raw,
        centered=shape.centered,
    )


def solution_from(
    answers: Any, status: Any, precise: Any, shape: Shape, lead: tuple[int, ...] | None = None
) -> Solution:
    """Answers, L = (B,) or `lead`, that kernels have written to arrays (answers, B) and (m, B).

    They are views; `precise` is L+(m,).
    """
    p, m = shape.p, shape.m
    sizes = (p, m), (p,), (m,), (m,), (), ()
    params, variances, ssr, error_bound, df_resid, rank = _cut(answers, sizes, lead)
    return Solution(
        params=params,
        variances=variances,
        ssr=ssr,
        error_bound=error_bound,
        df_resid=df_resid,
        rank=rank,
        status=status.T if lead is None else status.T.reshape((*lead, m)),
        precise=precise,
    )


def as_slice(places: range) -> slice:
    """The same numbers as an index."""
    return slice(places.start, places.stop, places.step)


def _cut(block: Any, sizes: tuple[tuple[int, ...], ...], lead: tuple[int, ...] | None) -> list[Any]:
    """Pieces of a block (entries, B), one after the other, as (B, ...) or of `lead`."""
    turned = block.T if lead is None else block.T.reshape((*lead, len(block)))
    own = turned.shape[:-1]
    return [
        turned[where].reshape(own + size) if len(size) > 1 else turned[where]
        for where, size in _places(sizes)
    ]


@lru_cache
def _places(sizes: tuple[tuple[int, ...], ...]) -> list[tuple[Any, tuple[int, ...]]]:
    """Where pieces of these sizes lie on the last axis, one after the other, and the sizes."""
    ends = list(accumulate(map(math.prod, sizes)))
    starts = (0, *ends[:-1])
    return [
        ((..., slice(start, end) if size else start), size)
        for start, end, size in zip(starts, ends, sizes, strict=True)
    ]

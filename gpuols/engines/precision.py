"""Precision: rows summed in double-double on a device.

The order of all sums is that of `precise`, the NumPy engine's, and so are their bits. Regressions
are picked from where their rows are by number, as many at a time as fit in a share of the free
memory. A regression whose anchor proves far from the mean is summed again about the mean, without
a word to the host. One whose columns or weights lie so far from one that they must be divided by a
power of two first is left to the NumPy engine.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import cpu, device, launches
from gpuols.engines.batches import mask_rows, start
from gpuols.engines.dealing import lanes_of
from gpuols.engines.launches import Shape
from gpuols.engines.lots import Lot, Slices, Stretches, shape_of, steps, too_large
from gpuols.engines.outputs import moments_from
from gpuols.engines.pieces import pieces
from gpuols.engines.transfer import to_host
from gpuols.engines.workspace import Workspace
from gpuols.keys import Grouping
from gpuols.moments import Moments
from gpuols.sums import Low

_SHARE = 0.25  # of the free memory, for what some regressions need
_EXTREME = 2  # a bit of Finding, kernels/dealing.cuh

Tables = tuple[Any, Any, Any]


def sum_batch(
    number: int,
    tables: Tables,
    lead: tuple[int, ...],
    places: NDArray[np.int64],
    *,
    batch_size: int | None = None,
    **kind: bool,
) -> Moments:
    """Moments in double-double of some regressions of a batch.

    Parameters
    ----------
    number : int
        Of the device, which is the current one.
    tables : tuple
        X (..., n, k), y (..., n, m) and weights (..., n) or None, all on the device or all in host
        memory.
    lead : tuple of int
        Shape L that their leading axes broadcast to.
    places : (r,)
        The regressions wanted, by number, ascending.
    batch_size : int, optional
        Regressions worked on together, instead of what the memory allows.
    **kind : bool
        `centered` and `drop`, as in `cpu.moments_batch`.

    Returns
    -------
    Moments
        L = (r,), in host memory.
    """
    shape = shape_of(number, *tables, **kind)
    whole = [
        table if table is None else np.broadcast_to(table, (*lead, *table.shape[-inner:]))
        for table, inner in zip(tables, (2, 2, 1), strict=True)
    ]
    on_host = isinstance(tables[0], np.ndarray)
    out = _room(shape, len(places))

    def work(span: slice) -> None:
        lot = Slices([_taken(table, places[span], lead, on_host) for table in whole])
        part = lot.part(shape, slice(0, span.stop - span.start))
        found, extreme = _sum_lot(shape, part)
        if len(extreme):
            there = device.upload(extreme)
            heavy = None if part.weights is None else part.weights[there]
            found.store(extreme, _on_host(shape, (part.x[there], part.y[there], heavy)))
        out.store(span, found)

    rows = shape.n * (shape.columns + 2)
    _in_parts(len(places), batch_size or _step(shape, rows, shape.chunks), work, shape, number)
    return out


def sum_groups(
    number: int,
    tables: Tables,
    grouping: Grouping,
    places: NDArray[np.int64],
    *,
    apart: bool,
    batch_size: int | None = None,
    **kind: bool,
) -> Moments:
    """Moments in double-double of some groups of a long table.

    Parameters
    ----------
    number, batch_size, **kind
        As in `sum_batch`.
    tables : tuple
        X (N, k), y (N, m) and weights (N,) or None, all on the device or all in host memory.
    grouping : Grouping
        Which rows belong to which group.
    places : (r,)
        The groups wanted, by number, ascending; where responses are apart, pairs of a group and a
        response.
    apart : bool
        Whether every response keeps rows of its own.

    Returns
    -------
    Moments
        L = (r,), in host memory.
    """
    x, y, weights = tables
    shape = shape_of(number, x, y[:, :1] if apart else y, weights, **kind)
    out = _room(shape, len(places))
    groups, responses = np.divmod(places, y.shape[1] if apart else 1)
    for response in np.unique(responses):
        which = np.flatnonzero(responses == response)
        own = y[:, response : response + 1] if apart else y
        chosen = _choose(grouping, groups[which])
        for piece in pieces(x, own, weights, chosen, shape, number):
            sizes, of = np.unique(piece.lengths, return_inverse=True)
            lanes = np.array([lanes_of(int(size)) for size in sizes])[of]
            for count in np.unique(lanes):
                some = np.flatnonzero(lanes == count)
                like = replace(shape, n=int(piece.lengths[some].max()))
                found = _sum_stretches(number, like, piece.of(some, None), batch_size)
                out.store(which[piece.start + some], found)
            del piece  # before the next one is brought over
    return out


def _sum_stretches(
    number: int, shape: Shape, stretches: Stretches, batch_size: int | None
) -> Moments:
    """Moments of groups whose rows are dealt to as many lanes."""
    count = len(stretches.lengths)
    out = _room(shape, count)

    def work(span: slice) -> None:
        part = stretches.part(shape, span)
        found, extreme = _sum_lot(shape, part)
        for i in extreme:
            first, length = (int(a[span][i]) for a in (stretches.first, stretches.lengths))
            rows = slice(first, first + length)
            lies = rows if part.order is None else part.order[rows]
            heavy = None if part.weights is None else part.weights[None, rows]
            own = _on_host(shape, (part.x[lies][None], part.y[lies][None], heavy))
            found.store(slice(i, i + 1), own)
        out.store(span, found)

    chunks = int(stretches.lengths.sum()) // count // launches.CHUNK + 1
    _in_parts(count, batch_size or _step(shape, 0, chunks), work, shape, number)
    return out


def _room(shape: Shape, count: int) -> Moments:
    return Moments.empty(count, shape.k, shape.m, centered=shape.centered, precise=True)


def _taken(table: Any, places: NDArray[np.int64], lead: tuple[int, ...], on_host: bool) -> Any:
    """Rows of some regressions (r, ...) from a table (L..., ...); a view where they can be one."""
    if table is None:
        return None
    if not lead:
        return table[None]
    if len(lead) == 1 and places[-1] - places[0] == len(places) - 1:
        return table[int(places[0]) : int(places[-1]) + 1]
    index = np.unravel_index(places, lead)
    return table[index if on_host else tuple(device.upload(axis) for axis in index)]


def _choose(grouping: Grouping, groups: NDArray[np.int64]) -> Grouping:
    """Some of the groups, in that order, as a grouping."""
    if len(groups) == len(grouping.counts):
        return grouping
    counts = grouping.counts[groups]
    chosen = Grouping(None, counts, None)
    rows = np.repeat(grouping.starts[groups] - chosen.starts, counts) + np.arange(counts.sum())
    return replace(chosen, order=rows if grouping.order is None else grouping.order[rows])


def _in_parts(
    count: int, step: int, work: Callable[[slice], None], shape: Shape, number: int
) -> None:
    """Work through ranges of regressions; shorter ones where memory runs out."""
    first = 0
    while first < count:
        span = slice(first, min(first + step, count))
        try:
            work(span)
        except device.OutOfMemory as error:
            if span.stop - first == 1:
                raise too_large(shape, number) from error
            device.release()
            step = (span.stop - first) // 2
            continue
        first = span.stop


def _step(shape: Shape, rows: int, chunks: int) -> int:
    """Regressions summed together, given the numbers of the rows of one, and its chunks."""
    numbers = rows + chunks * shape.precise_sums + 2 * shape.moments + shape.columns
    return max(1, int(_SHARE * device.free_bytes()) // (8 * numbers))


def _sum_lot(shape: Shape, lot: Lot) -> tuple[Moments, NDArray[np.int64]]:
    """Moments of a lot, and which of its regressions need units."""
    count = lot.count
    weights, where = mask_rows(shape, lot)
    rows = [*lot.tables, weights, *steps(weights, 2), where, np.int64(count), lot.spans, lot.order]
    centered, k, m = np.int32(shape.centered), np.int32(shape.k), np.int32(shape.m)
    sizes = np.int64(shape.n), np.int64(count)
    anchors = device.empty((count, shape.columns), np.float64)
    start(launches.anchors(shape), count * shape.columns, [*rows, centered, k, m, *sizes, anchors])
    sums = device.empty((lot.chunks, shape.precise_sums), np.float64)
    finding = device.empty((count,), np.int8)
    moments = device.empty((2, shape.moments, count), np.float64)
    lanes, items = np.int32(lanes_of(shape.n)), np.int64(lot.chunks)
    for again in (False, True) if shape.centered else (False,):
        found = finding if again else None
        given = [*rows, lot.owners, lot.starts, anchors, found, lanes, k, m, *sizes, items, sums]
        for launch, each in launches.precise_sums(shape):
            start(launch, lot.chunks * each, given)
        kind = [np.int32(again), centered, k, m, np.int64(shape.chunks), np.int64(count)]
        given = [sums, lot.starts, *kind, anchors, finding, moments, np.int64(count)]
        start(launches.settle(), count, given)
    high, low = (moments_from(part, shape) for part in device.download(moments))
    lows = Low(sumw=low.sumw, mean=low.mean, sxx=low.sxx, sxy=low.sxy, syy=low.syy)
    units = np.zeros((count, shape.columns + 1), np.int32)
    extreme = np.flatnonzero(device.download(finding) & _EXTREME)
    return replace(high, low=lows, units=units, precise=True), extreme


def _on_host(shape: Shape, tables: Tables) -> Moments:
    """Moments of some regressions by the NumPy engine, given their rows (r, n, ...) here."""
    x, y, weights = tables
    return cpu.moments_batch(
        to_host(x),
        to_host(y),
        None if weights is None else to_host(weights),
        np.arange(len(x)),
        centered=shape.centered,
        drop=shape.drop,
        precise=True,
        space=Workspace(),
    )

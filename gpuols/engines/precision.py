"""Precision: rows, and residuals, summed in double-double on a device.

The order of all sums is that of `precise`, the NumPy engine's, and so are their bits. Regressions
are picked from where their rows are by number, as many at a time as fit in a share of the free
memory. A regression whose anchor proves far from the mean is summed again about the mean, without
a word to the host. One whose columns or weights lie so far from one that they must be divided by a
power of two first is left to the NumPy engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import cpu, device, launches
from gpuols.engines.batches import fold, mask_rows, start
from gpuols.engines.dealing import lanes_of
from gpuols.engines.excerpts import index_of, pick, rows_of
from gpuols.engines.fitted import Looks
from gpuols.engines.launches import Shape
from gpuols.engines.lots import Lot, Slices, Stretches, affordable, shape_of, steps, too_large
from gpuols.engines.outputs import moments_from
from gpuols.engines.residuals import Model
from gpuols.engines.transfer import to_host
from gpuols.engines.verdicts import EXTREME, Verdicts
from gpuols.engines.workspace import Workspace
from gpuols.keys import Grouping
from gpuols.moments import Moments
from gpuols.sums import Low

Tables = tuple[Any, Any, Any]


def sum_batch(
    number: int,
    tables: Tables,
    lead: tuple[int, ...],
    places: NDArray[np.int64],
    *,
    fitted: Looks = (),
    asked: Verdicts | None = None,
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
    fitted : sequence of Moments
        As in `cpu.moments_batch`, L = (r,).
    asked : Verdicts, optional
        Where their answers go, too, as far as they can be given on the device.
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
    out = _room(shape, len(places))

    def work(span: slice) -> None:
        own = Slices(pick(whole, index_of(places[span], lead), shape))
        lot = own.part(shape, slice(0, span.stop - span.start))

        def rows(i: int) -> Tables:
            return lot.x[i], lot.y[i], None if lot.weights is None else lot.weights[i]

        looks, lengths = [look[span] for look in fitted], np.full(lot.count, shape.n)
        out.store(span, _sum_lot(shape, lot, looks, lengths, rows, asked and asked.of(span)))

    _in_parts(len(places), batch_size or _step(shape, shape.n), work, shape, number)
    return out


def sum_groups(
    number: int,
    tables: Tables,
    grouping: Grouping,
    places: NDArray[np.int64],
    *,
    apart: bool,
    fitted: Looks = (),
    asked: Verdicts | None = None,
    batch_size: int | None = None,
    **kind: bool,
) -> Moments:
    """Moments in double-double of some groups of a long table.

    Parameters
    ----------
    number, fitted, asked, batch_size, **kind
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
    each = y.shape[1] if apart else 1
    shape = shape_of(number, x, y[:, :1] if apart else y, weights, **kind)
    out = _room(shape, len(places))
    groups, responses = np.divmod(places, each)
    sizes, of = np.unique(grouping.counts[groups], return_inverse=True)
    lanes = np.array([lanes_of(int(size)) for size in sizes], np.int64)[of]
    for response, count in product(range(each), np.unique(lanes)):
        some = np.flatnonzero((responses == response) & (lanes == count))
        mine = x, y[:, response : response + 1] if apart else y, weights
        looks, own = [look[some] for look in fitted], asked and asked.of(some)
        given = number, shape, mine, grouping, groups[some], looks, own, batch_size
        out.store(some, _sum_alike(*given))
    return out


def _sum_alike(
    number: int,
    shape: Shape,
    tables: Tables,
    grouping: Grouping,
    groups: NDArray[np.int64],
    fitted: Looks,
    asked: Verdicts | None,
    batch_size: int | None,
) -> Moments:
    """Moments of some groups whose rows are dealt to as many lanes."""
    lengths = grouping.counts[groups]
    shape = replace(shape, n=int(lengths.max(initial=0)))
    out = _room(shape, len(groups))

    def work(span: slice) -> None:
        counts = lengths[span]
        rows, first = rows_of(grouping, groups[span]), np.cumsum(counts) - counts
        x, y, weights = pick(tables, rows, shape)
        effective = device.empty((len(x),), np.float64) if shape.drop else None
        own = Stretches(x, y, weights, first, counts, None, effective)
        lot = own.part(shape, slice(0, len(counts)))

        def rows_at(i: int) -> Tables:
            here = slice(int(first[i]), int(first[i] + counts[i]))
            return x[here], y[here], None if weights is None else weights[here]

        looks = [look[span] for look in fitted]
        out.store(span, _sum_lot(shape, lot, looks, counts, rows_at, asked and asked.of(span)))

    average = int(lengths.sum()) // max(len(groups), 1) + 1
    _in_parts(len(groups), batch_size or _step(shape, average), work, shape, number)
    return out


def _room(shape: Shape, count: int) -> Moments:
    return Moments.empty(count, shape.k, shape.m, centered=shape.centered, precise=True)


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


def _step(shape: Shape, rows: int) -> int:
    """Regressions of so many rows summed together."""
    numbers = rows * (2 * shape.columns + 2 * shape.m + 2)
    numbers += (rows // launches.CHUNK + 1) * shape.precise_sums
    numbers += 2 * shape.moments + shape.answers + shape.columns + shape.m * (3 + 2 * shape.k)
    return max(1, affordable(numbers))


def _sum_lot(
    shape: Shape,
    lot: Lot,
    fitted: Looks,
    lengths: NDArray[np.int64],
    rows_of: Callable[[int], Tables],
    asked: Verdicts | None,
) -> Moments:
    """Moments of a lot whose regressions have so many rows; those that need units on the host."""
    count = lot.count
    weights, where = mask_rows(shape, lot)
    rows = [*lot.tables, weights, *steps(weights, 2), where, np.int64(count), lot.spans, lot.order]
    chunks, items = [lot.owners, lot.starts], np.int64(lot.chunks)
    centered, k, m = np.int32(shape.centered), np.int32(shape.k), np.int32(shape.m)
    sizes = k, m, np.int64(shape.n), np.int64(count)
    finding = device.zeros((count,), np.int8)
    residuals = firsts = None
    if fitted:
        anchors = device.upload(fitted[0].anchor)
        firsts = device.upload(np.cumsum(lengths) - lengths)
        residuals = device.empty((int(lengths.sum()), shape.m, 2), np.float64)
        given = [*rows, *chunks, anchors, device.upload(_fits(fitted)), firsts, *sizes, items]
        start(launches.residuals(shape), lot.chunks, [*given, residuals])
    else:
        anchors = device.empty((count, shape.columns), np.float64)
        tasks = count * shape.columns
        start(launches.anchors(shape), tasks, [*rows, centered, *sizes, anchors])
    sums = device.zeros((lot.chunks, shape.precise_sums), np.float64)
    moments = device.empty((2, shape.moments, count), np.float64)
    for again in (False, True) if shape.centered and not fitted else (False,):
        given = [*rows, *chunks, anchors, residuals, firsts, finding if again else None]
        given += [np.int32(lanes_of(shape.n)), *sizes, items, sums]
        for launch, each in launches.precise_sums(shape):
            start(launch, lot.chunks * each, given)
        fold(shape, lot, sums, precise=True, finding=finding if again else None)
        kind = [np.int32(again), centered, k, m, np.int64(shape.chunks), np.int64(count)]
        given = [sums, lot.starts, *kind, anchors, finding, moments, np.int64(count)]
        start(launches.settle(), count, given)
    answers = None if asked is None else asked.find(shape, sums, lot.starts, finding)
    found, marks = _moments(shape, device.download(moments)), device.download(finding)
    extreme = (marks & EXTREME) != 0
    if fitted:
        found.anchor[:, shape.k :] = 0.0
        assert fitted[0].units is not None
        extreme = fitted[0].units.any(axis=1)
    for i in np.flatnonzero(extreme).tolist():
        _sum_on_host(shape, rows_of(i), fitted, i, found)
    if asked is not None:
        asked.store(shape, answers, marks)
    return found


def _moments(shape: Shape, numbers: NDArray[np.float64]) -> Moments:
    """Moments, L = (b,), of what kernels have written, (2, moments, b)."""
    high, low = (moments_from(part, shape) for part in numbers)
    lows = Low(sumw=low.sumw, mean=low.mean, sxx=low.sxx, sxy=low.sxy, syy=low.syy)
    units = np.zeros((numbers.shape[2], shape.columns + 1), np.int32)
    return replace(high, low=lows, units=units, precise=True)


def _fits(looks: Looks) -> NDArray[np.float64]:
    """Fits (b, m, 3 + 2k) as kernels/residuals.cu reads them."""
    with np.errstate(all="ignore"):
        model = Model.of(looks)
    slopes = np.stack(model.slopes, axis=1).reshape(-1, *model.level[0].shape)
    return np.ascontiguousarray(
        np.concatenate([[*model.level, model.intercept], slopes]).transpose(2, 1, 0)
    )


def _sum_on_host(shape: Shape, rows: Sequence[Any], looks: Looks, i: int, out: Moments) -> None:
    """Replace the moments of regression i of a lot by the NumPy engine's, given its rows."""
    x, y, weights = (None if table is None else to_host(table)[None] for table in rows)
    where = slice(i, i + 1)
    assert x is not None
    assert y is not None
    own = cpu.moments_batch(
        x,
        y,
        weights,
        np.zeros(1, np.int64),
        centered=shape.centered,
        drop=shape.drop,
        precise=True,
        fitted=[look[where] for look in looks],
        space=Workspace(),
    )
    out.store(where, own)

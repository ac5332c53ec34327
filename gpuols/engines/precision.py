"""Precision: rows, and residuals, summed in double-double on a device.

The order of all sums is that of `precise`, the NumPy engine's, and so are their bits. Where answers
are asked for, anchored sums are tried first, which take a third of the operations (products.cu);
regressions whose answers are in doubt then are summed again.

Regressions are picked from where their rows are by number, as many at a time as fit in a share of
the free memory. A regression whose anchor proves far from the mean is summed again about the mean,
without a word to the host. One whose columns or weights lie so far from one that they must be
divided by a power of two first is left to the NumPy engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import cpu, device, launches
from gpuols.engines.dealing import lanes_of
from gpuols.engines.excerpts import pick, pick_regressions, rows_of
from gpuols.engines.fitted import Looks
from gpuols.engines.launches import Shape
from gpuols.engines.lots import Lot, Slices, Stretches, affordable, shape_of, too_large
from gpuols.engines.passes import Passes
from gpuols.engines.transfer import to_host
from gpuols.engines.verdicts import EXTREME, IN_DOUBT, Verdicts
from gpuols.engines.workspace import Workspace
from gpuols.keys import Grouping
from gpuols.moments import Moments

Tables = tuple[Any, Any, Any]
Numbers = NDArray[np.int64]


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

    def work(which: Numbers, anchored: bool) -> Numbers:
        own = Slices(pick_regressions(whole, lead, places[which], shape))
        lot = own.part(shape, slice(0, len(which)))

        def rows(i: int) -> Tables:
            return lot.x[i], lot.y[i], None if lot.weights is None else lot.weights[i]

        looks, lengths = [look[which] for look in fitted], np.full(lot.count, shape.n)
        sought = asked and asked.of(which)
        found, doubts = _sum_lot(shape, lot, looks, lengths, rows, sought, anchored)
        out.store(which, found)
        return which[doubts]

    anchored = asked is not None and asked.stand_on_anchored_sums(shape)
    _in_turns(anchored, len(places), batch_size or _step(shape, shape.n), work, shape, number)
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

    def work(which: Numbers, anchored: bool) -> Numbers:
        counts = lengths[which]
        rows, first = rows_of(grouping, groups[which]), np.cumsum(counts) - counts
        x, y, weights = pick(tables, rows, shape)
        effective = device.empty((len(x),), np.float64) if shape.drop else None
        own = Stretches(x, y, weights, first, counts, None, effective)
        lot = own.part(shape, slice(0, len(counts)))

        def rows_at(i: int) -> Tables:
            here = slice(int(first[i]), int(first[i] + counts[i]))
            return x[here], y[here], None if weights is None else weights[here]

        looks, sought = [look[which] for look in fitted], asked and asked.of(which)
        found, doubts = _sum_lot(shape, lot, looks, counts, rows_at, sought, anchored)
        out.store(which, found)
        return which[doubts]

    average = int(lengths.sum()) // max(len(groups), 1) + 1
    anchored = asked is not None and asked.stand_on_anchored_sums(shape)
    _in_turns(anchored, len(groups), batch_size or _step(shape, average), work, shape, number)
    return out


def _room(shape: Shape, count: int) -> Moments:
    return Moments.empty(count, shape.k, shape.m, centered=shape.centered, precise=True)


def _in_turns(
    anchored: bool,
    count: int,
    step: int,
    work: Callable[[Numbers, bool], Numbers],
    shape: Shape,
    number: int,
) -> None:
    """Work through regressions, by number: all by anchored sums, if so, then those in doubt."""
    every = rest = np.arange(count)
    if anchored:
        doubts = [every[:0]]
        in_parts(count, step, lambda span: doubts.append(work(every[span], True)), shape, number)
        rest = np.concatenate(doubts)
    in_parts(len(rest), step, lambda span: work(rest[span], False), shape, number)


def in_parts(
    count: int, step: int, work: Callable[[slice], object], shape: Shape, number: int
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
    anchored: bool,
) -> tuple[Moments, Numbers]:
    """Moments of a lot whose regressions have so many rows, and which of its answers are in doubt.

    Regressions that need units are summed on the host.
    """
    if fitted:
        passes = Passes.of_residuals(shape, lot, fitted, lengths)
    else:
        passes = Passes.of_responses(shape, lot, anchored=anchored)
    passes.total()
    answers = None if asked is None else asked.find(passes)
    found, marks = passes.found(), device.download(passes.finding)
    extreme = (marks & EXTREME) != 0
    if fitted:
        assert fitted[0].units is not None
        extreme = fitted[0].units.any(axis=1)
    for i in np.flatnonzero(extreme).tolist():
        _sum_on_host(shape, rows_of(i), fitted, i, found)
    if asked is not None:
        asked.store(shape, answers, marks)
    return found, np.flatnonzero(marks & IN_DOUBT)


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

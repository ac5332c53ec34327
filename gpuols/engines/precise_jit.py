"""Precise sums of the compiled CPU engine: rows, and residuals, to moments in double-double.

The order of all sums is that of `precise`, the NumPy engine's, and so are their bits. A regression
whose columns or weights lie so far from one that they must be divided by a power of two first is
left to the NumPy engine.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols import plan
from gpuols.engines import cpu
from gpuols.engines.dealing import lanes_of
from gpuols.engines.doubled_jit import fits_of, given_by, reduce_rows
from gpuols.engines.fitted import Looks
from gpuols.engines.jit.sources import Rows, Source, pick, source_of
from gpuols.engines.launches import Shape
from gpuols.engines.tables import Gathered
from gpuols.engines.threads import run
from gpuols.engines.verdicts import Verdicts
from gpuols.engines.workspace import Workspace
from gpuols.keys import Grouping
from gpuols.moments import Moments

Numbers = NDArray[np.int64]
Tables = tuple[Any, Any, Any]


def sum_batch(
    tables: Tables,
    lead: tuple[int, ...],
    places: Numbers,
    *,
    centered: bool,
    drop: bool,
    fitted: Looks = (),
    asked: Verdicts | None = None,
    batch_size: int | None = None,
) -> Moments:
    """Moments in double-double of some regressions of a batch.

    Parameters
    ----------
    tables : tuple
        X (..., n, k), y (..., n, m) and weights (..., n) or None.
    lead : tuple of int
        Shape L that their leading axes broadcast to.
    places : (r,)
        The regressions wanted, by number.
    centered, drop, fitted
        As in `cpu.moments_batch`, L = (r,).
    asked : Verdicts, optional
        Where answers go, too, as far as they can be given.
    batch_size : int, optional
        Regressions a task.

    Returns
    -------
    Moments
        L = (r,).
    """
    (n, k), m = tables[0].shape[-2:], tables[1].shape[-1]
    weighted = tables[2] is not None or drop or len(fitted) > 0
    shape = Shape(n, k, m, "double", centered, weighted, drop)
    inner, kind = (2, 2, 1), dict[str, Any](centered=centered, drop=drop)
    whole: list[Any] = [
        table if table is None else np.broadcast_to(table, (*lead, *table.shape[-axes:]))
        for table, axes in zip(tables, inner, strict=True)
    ]
    out = Moments.empty(len(places), k, m, centered=centered, precise=True)

    def work(span: slice, space: Workspace) -> int:
        own, looks = places[span], [look[span] for look in fitted]
        own_x, own_y, own_w = (source_of(*of, own) for of in zip(whole, inner, strict=True))
        rows = Rows(own_x, own_y, own_w, np.arange(len(own) + 1) * n)
        found, left = reduce_rows(space, shape, rows, *given_by(looks), asked and asked.of(span))
        if len(left):
            some: Any = [pick(*of, own[left]) for of in zip(whole, inner, strict=True)]
            settings = {"fitted": [look[left] for look in looks], "precise": True, **kind}
            given = some[0], some[1], some[2], np.arange(len(left))
            part = cpu.moments_batch(*given, **settings, space=space)
            found.store(left, part)
        out.store(span, found)
        return len(own)

    run(plan.reading(len(places), n=n, columns=k + m, batch_size=batch_size), work)
    return out


def sum_groups(
    tables: Tables,
    grouping: Grouping,
    places: Numbers,
    *,
    apart: bool,
    centered: bool,
    drop: bool,
    fitted: Looks = (),
    asked: Verdicts | None = None,
    batch_size: int | None = None,
) -> Moments:
    """Moments in double-double of some groups of a long table.

    Parameters
    ----------
    tables : tuple
        X (N, k), y (N, m) and weights (N,) or None.
    grouping : Grouping
        Which rows belong to which group.
    places : (r,)
        The groups wanted, by number; where responses are apart, pairs of a group and a response.
    apart : bool
        Whether every response keeps rows of its own.
    centered, drop, fitted, asked, batch_size
        As in `sum_batch`.

    Returns
    -------
    Moments
        L = (r,).
    """
    x, y, weights = tables
    k, each = x.shape[1], y.shape[1] if apart else 1
    m = 1 if apart else y.shape[1]
    groups, responses = np.divmod(places, each)
    begins, lengths = grouping.starts[groups], grouping.counts[groups]
    kind: dict[str, Any] = {"centered": centered, "drop": drop}
    weighted = weights is not None or drop or len(fitted) > 0
    out = Moments.empty(len(places), k, m, centered=centered, precise=True)

    def work(some: Numbers, space: Workspace) -> int:
        counts, looks = lengths[some], [look[some] for look in fitted]
        firsts = np.concatenate([[0], np.cumsum(counts)])
        index = np.repeat(begins[some] - firsts[:-1], counts) + np.arange(firsts[-1])
        if grouping.order is not None:
            index = grouping.order[index]

        def gathered(table: Any, columns: Any = 0) -> Source:
            own = None if table is None else Gathered(table, index[None])[0]
            source = source_of(own, 0 if own is None else own.ndim, np.zeros(len(some), np.int64))
            starts = source.starts + firsts[:-1] * source.row + columns * source.column
            return source._replace(starts=starts)

        rows = Rows(gathered(x), gathered(y, responses[some]), gathered(weights), firsts)
        shape = Shape(int(counts.max()), k, m, "double", centered, weighted, drop)
        found, left = reduce_rows(space, shape, rows, *given_by(looks), asked and asked.of(some))
        for i in left:
            part = cpu.moments_groups(
                *tables,
                index[None, firsts[i] : firsts[i + 1]],
                responses[some[i : i + 1]] if apart else None,
                **kind,
                precise=True,
                fitted=[look[i : i + 1] for look in looks],
                space=space,
            )
            found.store(slice(i, i + 1), part)
        out.store(some, found)
        return len(some)

    run(_alike(lengths, k + m, batch_size), work)
    return out


def _alike(lengths: Numbers, columns: int, batch_size: int | None) -> list[Numbers]:
    """Groups by number, in chunks whose rows are dealt to as many lanes; the largest first."""
    by_size = np.argsort(-lengths, kind="stable")
    sizes, which = np.unique(lengths[by_size], return_inverse=True)
    lanes = np.array([lanes_of(int(size)) for size in sizes], np.int64)[which]
    chunks = []
    for part in np.split(by_size, np.flatnonzero(np.diff(lanes)) + 1):
        average = int(lengths[part].mean()) + 1
        spans = plan.reading(len(part), n=average, columns=columns, batch_size=batch_size)
        chunks += [part[span] for span in spans]
    return chunks


def sum_shared(
    tables: Tables,
    design: Moments,
    columns: Numbers,
    *,
    fitted: Looks = (),
    batch_size: int | None = None,
) -> Moments:
    """Moments in double-double of some responses on a design.

    Parameters
    ----------
    tables : tuple
        X (n, k), y (n, m) and weights (n,) or None.
    design : Moments
        Of X alone, L = (), m = 0, in double-double and without units.
    columns : (c,)
        The responses wanted, columns of y.
    fitted : sequence of Moments
        As in `cpu.moments_shared`, of these c responses.
    batch_size : int, optional
        Responses a task.

    Returns
    -------
    Moments
        L = (), c responses.
    """
    x, y, weights = tables
    (n, k), weighted = x.shape, weights is not None or len(fitted) > 0
    shape = Shape(n, k, 1, "double", design.centered, weighted, drop=False)
    out = design.with_responses(len(columns))

    def work(span: slice, space: Workspace) -> int:
        own = columns[span]
        looks = [look.take_responses(np.arange(span.start, span.stop)) for look in fitted]
        nothing = np.zeros(len(own), np.int64)
        sources = source_of(x, 2, nothing), source_of(y.T[..., None], 2, own)
        rows = Rows(*sources, source_of(weights, 1, nothing), np.arange(len(own) + 1) * n)
        anchors, fits = np.broadcast_to(design.anchor, (len(own), k)), None
        if looks:
            anchors = looks[0].by_response().anchor
            fits = fits_of([look.reshape((1,)) for look in looks])[0]
        found, left = reduce_rows(space, shape, rows, anchors, fits)
        part = _on_design(found, design)
        if len(left):
            looks = [look.take_responses(left) for look in looks]
            given = x, y[:, own[left]], weights, design
            closer = cpu.moments_shared(*given, precise=True, fitted=looks, space=space)
            part.store_responses(left, closer)
        out.store_responses(span, part)
        return len(own)

    run(plan.reading(len(columns), n=n, columns=k + 1, batch_size=batch_size), work)
    return out


def _on_design(found: Moments, design: Moments) -> Moments:
    """Moments of one response each, L = (c,), as those of c responses on a design, L = ()."""
    k, out = design.k, design.with_responses(len(found.nobs))
    assert out.low is not None
    assert found.low is not None
    for mine, theirs in ((out, found), (out.low, found.low)):
        mine.mean[k:], mine.syy[:] = theirs.mean[:, k], theirs.syy[:, 0]
        mine.sxy[:] = theirs.sxy[:, :, 0].T
    out.anchor[k:], out.raw[k:] = found.anchor[:, k], found.raw[:, k]
    return out

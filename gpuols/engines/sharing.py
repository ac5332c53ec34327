"""Sharing: responses that share a design, summed in double-double on a device.

They are one regression of many responses, whose products of columns are formed once more for some
responses together. As the NumPy engine does, X is shifted by the anchor that its moments have, and
a response whose own anchor proves far from its mean is summed again about that, with others of the
kind; so the bits are that engine's. One so large or small that it must be divided by a power of two
first is left to it.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import cpu, device
from gpuols.engines.excerpts import pick, pick_columns
from gpuols.engines.fitted import Looks
from gpuols.engines.launches import Shape
from gpuols.engines.lots import Lot, Slices, affordable, no_room_for_design, shape_of
from gpuols.engines.passes import Passes
from gpuols.engines.precise import far, rounded_mean
from gpuols.engines.precision import in_parts
from gpuols.engines.transfer import Columns, to_host
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments

# Responses summed together: one block settles them, in a time that grows with their square.
_MOST = 4096


def sum_shared(
    number: int,
    tables: tuple[Any, Any, Any],
    design: Moments,
    columns: NDArray[np.int64],
    *,
    fitted: Looks = (),
    batch_size: int | None = None,
) -> Moments:
    """Moments in double-double of some responses on a design.

    Parameters
    ----------
    number : int
        Of the device, which is the current one.
    tables : tuple
        X (n, k), y (n, m) and weights (n,) or None, all on the device or all in host memory.
    design : Moments
        Of X alone, L = (), m = 0, in double-double and without units; in host memory.
    columns : (c,)
        The responses wanted, columns of y.
    fitted : sequence of Moments
        As in `cpu.moments_shared`, of these c responses.
    batch_size : int, optional
        Responses worked on together, instead of what the memory allows.

    Returns
    -------
    Moments
        L = (), c responses, in host memory.
    """
    x, y, weights = tables
    shape = shape_of(number, x, y[:, :1], weights, centered=design.centered, drop=False)
    try:
        x, _, weights = pick((x, None, weights), slice(None), shape)
    except device.OutOfMemory as error:
        raise no_room_for_design(shape, number) from error
    responses = _Responses((x, y, weights), tables, shape, design)
    out = design.with_responses(len(columns))

    def work(span: slice) -> None:
        if fitted:
            own = np.arange(span.start, span.stop)
            looks = [look.take_responses(own) for look in fitted]
            found = responses.sum_residuals(columns[span], looks)
        else:
            found = responses.sum(columns[span])
        out.store_responses(span, found)

    in_parts(len(columns), _step(shape, len(fitted) > 0, batch_size), work, shape, number)
    return out


def _step(shape: Shape, fitted: bool, batch_size: int | None) -> int:
    """Responses summed together."""
    numbers = shape.n * (3 if fitted else 1) + (2 * shape.chunks + 4) * (shape.k + 4)
    step = max(1, min(batch_size or affordable(numbers), _MOST))
    while step > 1 and not replace(shape, m=step).countable:
        step //= 2
    return step


@dataclass(frozen=True, eq=False)
class _Responses:
    """Responses on one design.

    Attributes
    ----------
    own, given : tuple
        X (n, k), y (n, m) and weights (n,) or None, all but y brought to the device; as they came.
    shape : Shape
        Of a regression of one response.
    design : Moments
        As in `sum_shared`.
    """

    own: tuple[Any, Any, Any]
    given: tuple[Any, Any, Any]
    shape: Shape
    design: Moments

    def sum(self, columns: NDArray[np.int64]) -> Moments:
        """Moments of some."""
        k, design = self.shape.k, self.design
        passes = Passes.of_responses(*self._lot(columns))
        passes.anchors[0, :k] = device.upload(design.anchor)
        passes.add()
        extreme = passes.extreme()
        found = self._settled(passes)
        with np.errstate(all="ignore"):
            again = np.flatnonzero(far(found)[k:])
            near = rounded_mean(found.take_responses(again))[k:]
        if len(again):
            passes = Passes.of_responses(*self._lot(columns[again]))
            passes = passes.about(np.concatenate([design.anchor, near])[None])
            passes.add()
            found.store_responses(again, self._settled(passes))
        self._leave(columns, extreme[:k].any() | extreme[k:], (), found)
        return found

    def sum_residuals(self, columns: NDArray[np.int64], looks: Looks) -> Moments:
        """Moments of the residuals of some, given earlier looks at these."""
        found = self.design.with_responses(len(columns))
        assert looks[0].units is not None
        left = looks[0].units[self.shape.k : -1] != 0
        here = np.flatnonzero(~left)
        if len(here):
            mine = [look.take_responses(here).reshape((1,)) for look in looks]
            lengths = np.array([self.shape.n])
            shape, lot = self._lot(columns[here])
            passes = Passes.of_residuals(shape, lot, mine, lengths)
            passes.add()
            found.store_responses(here, self._settled(passes))
        self._leave(columns, left, looks, found)
        return found

    def _lot(self, columns: NDArray[np.int64]) -> tuple[Shape, Lot]:
        shape, (x, y, weights) = replace(self.shape, m=len(columns)), self.own
        rows = x, pick_columns(y, columns, shape), weights
        one = [None if table is None else table[None] for table in rows]
        return shape, Slices(one).part(shape, slice(0, 1))

    def _settled(self, passes: Passes) -> Moments:
        passes.settle()
        return passes.found().reshape(())

    def _leave(
        self, columns: NDArray[np.int64], left: NDArray[np.bool_], looks: Looks, out: Moments
    ) -> None:
        """Replace the moments of those left to the NumPy engine by what it makes of them."""
        where = np.flatnonzero(left)
        if not len(where):
            return
        x, y, weights = self.given
        part = cpu.moments_shared(
            to_host(x),
            Columns(y)[columns[where]],
            None if weights is None else to_host(weights),
            self.design,
            precise=True,
            fitted=[look.take_responses(where) for look in looks],
            space=Workspace(),
        )
        out.store_responses(where, part)

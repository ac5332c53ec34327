"""Shapes: whether those of X, y and weights fit together, and what to do where they don't."""

from typing import Any

import numpy as np

from gpuols.engines.threads import spread
from gpuols.errors import InputError
from gpuols.selection import ranges

_TOGETHER = 2**20  # weights that a thread looks at, at a time


def check_axes(x: Any, y: Any) -> None:
    """Refuse y that has neither as many axes as X (..., n, k) nor one fewer."""
    if y.ndim in (x.ndim - 1, x.ndim):
        return
    lead = "..., " if x.ndim > 2 else ""
    if x.ndim == 2 and y.ndim > 2 and len(y) == len(x):
        cure = "use y.reshape(len(y), -1), in xarray y.stack(...), for one column a response"
    elif y.ndim < x.ndim:
        cure = "use y[None] to give every X the same y"
    else:
        cure = "use X[None] to give X the missing leading axes"
    raise InputError(
        "y",
        f"shape {y.shape} with X of shape {x.shape}",
        f"({lead}n) for one response or ({lead}n, m) for several",
        cure,
    )


def check_rows(x: Any, y: Any, single: bool) -> None:
    """Refuse X (..., n, k) and y (..., n), or (..., n, m) unless single, of different rows."""
    n, k = x.shape[-2:]
    came = y.shape[-1] if single else y.shape[-2]
    if came == n:
        return
    if not single and y.shape[-1] == n:
        cure = "if its rows are responses, use y.T (or X[None] to keep them as rows)"
    elif came == k:
        cure = "if the columns of X are rows, use X.T"
    else:
        cure = "give X and y the same rows"
    raise InputError("y", f"{came} rows (shape {y.shape})", f"{n} as in X (shape {x.shape})", cure)


def check_weights(w: Any, n: int) -> None:
    """Refuse weights that are not (..., n), or of which one is negative."""
    if w.ndim < 1 or w.shape[-1] != n:
        column = w.ndim > 1 and w.shape[-2:] == (n, 1)
        cure = "leave out the axis of columns" if column else "give one weight a row of X"
        raise InputError("weights", f"shape {w.shape}", f"(..., {n}): one a row", cure)
    lowest = _lowest(w)
    if lowest < 0:
        raise InputError(
            "weights",
            f"negative values, the lowest {lowest:g}",
            "inverse variances >= 0",
            "use zero to leave a row out",
        )


def _lowest(w: Any) -> float:
    """The lowest weight, or zero; NaN is no weight."""
    if not isinstance(w, np.ndarray):
        return float(np.where(w < 0, w, 0.0).min()) if w.size else 0.0
    if w.size <= _TOGETHER:
        return _lowest_of(w)
    w = w[tuple(slice(None) if step else slice(1) for step in w.strides)]  # nothing twice
    lines, found = np.moveaxis(w, int(np.abs(w.strides).argmax()), 0), []

    def look(part: slice, _: object) -> int:
        found.append(_lowest_of(lines[part]))
        return 0

    spread(ranges(len(lines), max(1, _TOGETHER * len(lines) // w.size)), look)
    return min(found)


def _lowest_of(w: Any) -> float:
    lowest = w.min(initial=0)
    if lowest != lowest:  # one is NaN; to look past it from the start takes three times as long
        lowest = np.fmin.reduce(w, axis=None, initial=0)
    return float(lowest)


def lead_of(x: Any, y: Any, w: Any, single: bool) -> tuple[int, ...]:
    """Leading axes of X (..., n, k), y (..., n) or (..., n, m), and weights (..., n), broadcast."""
    shapes = {"X": x.shape[:-2], "y": y.shape[: -1 if single else -2]}
    if w is not None:
        shapes["weights"] = w.shape[:-1]
    lead: tuple[int, ...] = ()
    for name, shape in shapes.items():
        if shape == lead or not shape:
            continue  # most often, and sooner
        try:
            lead = np.broadcast_shapes(lead, shape) if lead else shape
        except ValueError:
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise InputError(
                name,
                f"leading axes {shape} that don't broadcast: {listed}",
                "the same batch shape, or axes of length 1",
                "check which axis counts the regressions",
            ) from None
    return lead

"""Rows: the data of a call, its shapes checked against one another.

The shapes are never guessed from sizes: y with as many axes as X has an axis of responses,
with one axis fewer it has none. Every message names the argument, what came, what was expected
and what to do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols import arrays
from gpuols.arrays import CUPY, JAX, NUMPY, TORCH, Incoming, Kind
from gpuols.engines.transfer import at, to_host
from gpuols.errors import DeviceError, InputError
from gpuols.labelled import check_same_axes
from gpuols.places import CPU
from gpuols.records import filled
from gpuols.shapes import check_axes, check_rows, check_weights, lead_of

Array = NDArray[np.float64]

_SINGLE = np.dtype(np.float32)


@filled
@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one or many regressions, as they lie in memory.

    Attributes
    ----------
    x : (..., n, k)
        Regressors.
    y : (..., n, m)
        Responses.
    weights : (..., n) or None
        Inverse variances.
    lead : tuple of int
        Shape L of the batch: the leading axes of x, y and weights, broadcast.
    single : bool
        Whether y came without an axis of responses.
    kind : str
        Kind of array the results are to be.
    place : str
        Where x, y and weights are: "cpu", NumPy arrays, or "cuda:N", CuPy arrays there.
    terms, responses : tuple of str or None
        Names of the columns of x and y.
    """

    x: Any
    y: Any
    weights: Any
    lead: tuple[int, ...]
    single: bool
    kind: Kind
    place: str
    terms: tuple[str, ...] | None
    responses: tuple[str, ...] | None

    @property
    def n(self) -> int:
        """Rows of each regression, or of the whole table."""
        return int(self.x.shape[-2])

    @property
    def k(self) -> int:
        """Columns of X."""
        return int(self.x.shape[-1])

    @property
    def m(self) -> int:
        """Responses."""
        return int(self.y.shape[-1])

    @property
    def itemsize(self) -> int:
        """Bytes of a number of X and y as engines take them: float32 stays so where both are."""
        return 4 if self.x.dtype == self.y.dtype == _SINGLE else 8

    def by_response(self) -> Self:
        """Each response with a copy of the rows of its own: L becomes L+(m,), without copies.

        X without leading axes stays so: one design.
        """
        x, w = self.x, self.weights
        return replace(
            self,
            x=x if x.ndim == 2 else x[..., None, :, :],
            y=np.moveaxis(self.y, -1, -2)[..., None],
            weights=w if w is None or w.ndim == 1 else w[..., None, :],
            lead=(*self.lead, self.m),
            single=True,
        )

    @property
    def arrays(self) -> Iterator[tuple[str, Any]]:
        """The arrays that came, by argument."""
        yield "X", self.x
        yield "y", self.y[..., 0] if self.single else self.y
        if self.weights is not None:
            yield "weights", self.weights


def read_rows(X: Any, y: Any, weights: Any, names: Sequence[str] | None) -> Rows:
    """Read X, y and weights and check their shapes against one another.

    Parameters
    ----------
    X : (..., n, k)
        Regressors.
    y : (..., n) or (..., n, m)
        Responses.
    weights : (..., n) or None
        Inverse variances up to a factor.
    names : sequence of k str, optional
        Names of the columns of X.

    Returns
    -------
    Rows
        The same, as NumPy arrays or, where they came on a device, CuPy arrays, with an axis of
        responses.

    Raises
    ------
    InputError
        If the shapes don't fit together or a weight is negative.
    DeviceError
        If they are not all in one place.
    """
    came = {"X": arrays.read("X", X), "y": arrays.read("y", y)}
    if weights is not None:
        came["weights"] = arrays.read("weights", weights)
    place = _one_place(came)
    x, responses = came["X"].array, came["y"].array
    if x.ndim < 2:
        raise InputError(
            "X",
            f"shape {x.shape}",
            "(..., n, k): rows, then columns",
            "for one regressor use X[:, None]",
        )
    single = responses.ndim == x.ndim - 1
    check_axes(x, responses)
    check_rows(x, responses, single)
    columns = {"X": 1, "y": 0 if single else 1, "weights": 0}
    if named := {name: part.axes for name, part in came.items() if part.axes}:
        check_same_axes({name: axes[: len(axes) - columns[name]] for name, axes in named.items()})
    w = came["weights"].array if weights is not None else None
    kind = next((part.kind for part in came.values() if part.kind != NUMPY), NUMPY)
    if w is not None:
        with at(place, kind):
            check_weights(w, x.shape[-2])
    m = 1 if single else responses.shape[-1]
    return Rows(
        x=x,
        y=responses[..., None] if single else responses,
        weights=w,
        lead=lead_of(x, responses, w, single),
        single=single,
        kind=kind,
        place=place,
        terms=read_names(names, came["X"].names(x.shape[-1]), x.shape[-1]),
        responses=came["y"].names(m) if x.ndim == 2 else None,
    )


def read_table(X: Any, y: Any, weights: Any, names: Sequence[str] | None) -> Rows:
    """Read the rows of many regressions in one long table.

    Parameters
    ----------
    X : (N, k)
        Regressors.
    y : (N,) or (N, m)
        Responses.
    weights : (N,) or None
        Inverse variances up to a factor.
    names : sequence of k str, optional
        Names of the columns of X.

    Returns
    -------
    Rows
        The same, L = ().

    Raises
    ------
    InputError
        As `read_rows`, and if X or weights has leading axes.
    """
    rows = read_rows(X, y, weights, names)
    if rows.x.ndim != 2:
        raise InputError(
            "X", f"shape {rows.x.shape}", "(N, k): one long table", "use gpuols.fit for a batch"
        )
    if rows.weights is not None and rows.weights.ndim != 1:
        raise InputError(
            "weights", f"shape {rows.weights.shape}", f"({rows.n},)", "give one weight a row"
        )
    return rows


def read_ridge(ridge: Any, lead: tuple[int, ...], responses: int | None = None) -> Array:
    """Read the penalty and spread it over the batch.

    Parameters
    ----------
    ridge : scalar or array broadcastable to L
        Penalty, not negative.
    lead : tuple of int
        Shape L.
    responses : int, optional
        Number of responses, where each is to have its own copy.

    Returns
    -------
    L, or L+(m,)
        The penalties.

    Raises
    ------
    InputError
        If it doesn't broadcast, is negative or not finite.
    """
    if type(ridge) is float and 0.0 <= ridge < np.inf:  # most often, and sooner
        value, good = np.asarray(ridge), True
    else:
        value = to_host(arrays.read("ridge", ridge).array).astype(np.float64)
        good = bool(np.isfinite(value).all() and (value >= 0).all())
    if not good:
        raise InputError(
            "ridge", "a negative or non-finite penalty", "numbers >= 0", "use ridge=0.0 for none"
        )
    try:
        spread = value if value.shape == lead else np.broadcast_to(value, lead)
    except ValueError:
        raise InputError(
            "ridge",
            f"shape {value.shape}",
            f"a scalar or a shape that broadcasts to {lead}",
            "give one penalty, or one for each regression",
        ) from None
    return spread if responses is None else np.broadcast_to(spread[..., None], (*lead, responses))


def _one_place(came: Mapping[str, Incoming]) -> str:
    """Where all the arguments are."""
    (first, start), *others = came.items()
    for name, part in others:
        if part.place != start.place:
            raise DeviceError(
                name,
                f"an array {_where(part.place)}",
                f"one {_where(start.place)}, where {first} is",
                f"use {_moved(name, part, first, start)}",
            )
    return start.place


def _where(place: str) -> str:
    return "in host memory" if place == CPU else f"on {place}"


def _moved(name: str, part: Incoming, first: str, start: Incoming) -> str:
    """How its owner brings an array to where the first one is."""
    if start.place == CPU:
        calls = {CUPY: f"{name}.get()", TORCH: f"{name}.cpu()", JAX: f"numpy.asarray({name})"}
        return calls[part.kind]
    if start.kind == TORCH:
        return f"torch.as_tensor({name}, device={first}.device)"
    if start.kind == JAX:
        return f"jax.device_put({name}, {first}.device)"
    return f"with {first}.device: {name} = cupy.asarray({name})"


def read_names(
    names: Sequence[str] | None, labels: tuple[str, ...] | None, k: int
) -> tuple[str, ...] | None:
    """Names of the k columns of X: those given, else those that came with the data."""
    if names is None:
        return labels if labels and len(labels) == k else None
    if len(names) != k:
        raise InputError(
            "names", f"{len(names)} names", f"{k}, one a column of X", "leave out the intercept"
        )
    return tuple(names)

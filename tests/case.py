"""A case: data, options of `gpuols.fit`, the right statuses; and what cases are made of."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from gpuols import Status

Data = tuple[np.ndarray, np.ndarray, np.ndarray | None]
Make = Callable[[np.random.Generator], Data]
Place = tuple[int, ...]

FINE = frozenset({Status.OK})
FEW = frozenset({Status.TOO_FEW_ROWS})
BROKEN = frozenset({Status.NONFINITE})
SINGULAR = frozenset({Status.RANK_DEFICIENT})
HARD = FINE | {Status.UNTRUSTED}
"""Right either way: where it is OK the numbers must be, too."""
BORDERLINE = HARD | SINGULAR
"""Within a factor 10 of the rank rule's threshold."""


@dataclass(frozen=True, eq=False)
class Case:
    """One call of `gpuols.fit`.

    Attributes
    ----------
    name : str
        Unique; it also seeds the data.
    make : callable
        From a generator to X (..., n, k), y (..., n) or (..., n, m), weights (..., n) or None.
    options : dict
        Keyword options of the fit.
    status : set, or callable from a place in `Result.status` to a set
        The statuses that are right.
    notes : str
        What the case is for, where the name does not say.
    """

    name: str
    make: Make
    options: Mapping[str, Any] = field(default_factory=dict)
    status: frozenset[Status] | Callable[[Place], frozenset[Status]] = FINE
    notes: str = ""

    def data(self) -> Data:
        """X, y and weights, the same ones each time, read-only."""
        X, y, weights = self.make(np.random.default_rng(zlib.crc32(self.name.encode())))
        for array in (X, y, weights):
            if array is not None:
                array.setflags(write=False)
        return X, y, weights

    def allowed(self, place: Place) -> frozenset[Status]:
        """The statuses that are right at a place in `Result.status`."""
        return self.status(place) if callable(self.status) else self.status


@dataclass(frozen=True, eq=False)
class Regression:
    """The m regressions at one place of the batch: X (n, k), y (n, m), weights (n,) or None.

    Rows that are left out are not among them. Where responses keep rows of their own, each is one
    of these: `responses` says which.
    """

    place: Place
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    add_intercept: bool
    ridge: float
    responses: slice = field(default_factory=lambda: slice(None))

    @property
    def p(self) -> int:
        return self.X.shape[1] + self.add_intercept

    @property
    def nobs(self) -> int:
        return len(self.X) if self.weights is None else int((self.weights > 0).sum())


def regressions(data: Data, options: Mapping[str, Any]) -> Iterator[Regression]:
    """What a call of `gpuols.fit` with this data and these options asks for, one by one."""
    X, y, weights = data
    y = y[..., None] if y.ndim < X.ndim else y
    heads = [X.shape[:-2], y.shape[:-2]] + ([] if weights is None else [weights.shape[:-1]])
    lead = np.broadcast_shapes(*heads)
    X, y = (np.broadcast_to(a, lead + a.shape[-2:]) for a in (X, y))
    if weights is not None:
        weights = np.broadcast_to(weights, lead + weights.shape[-1:])
    ridge = np.broadcast_to(options.get("ridge", 0.0), lead)
    for place in np.ndindex(lead):
        w = None if weights is None else weights[place]
        intercept = options.get("add_intercept", False)
        all_rows = Regression(place, X[place], y[place], w, intercept, float(ridge[place]))
        if options.get("missing") == "drop":
            yield from map(partial(keep_rows, all_rows), range(y.shape[-1]))
        else:
            yield all_rows


def keep_rows(regression: Regression, response: int) -> Regression:
    """One response, with the rows in which it misses nothing."""
    w, own = regression.weights, slice(response, response + 1)
    columns = [regression.X, regression.y[:, own]] + ([] if w is None else [w[:, None]])
    there = ~np.isnan(np.hstack(columns)).any(axis=1)
    return replace(
        regression,
        X=regression.X[there],
        y=regression.y[there, own],
        weights=None if w is None else w[there],
        responses=own,
    )


def gauss(
    n: int,
    k: int,
    lead: Place = (2,),
    m: int | None = None,
    weigh: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None,
) -> Make:
    """Normal data with all coefficients of order one; R² about one half at k = 1."""

    def make(rng: np.random.Generator) -> Data:
        X = rng.normal(size=(*lead, n, k))
        b = rng.normal(size=(*lead, k, m or 1))
        y = X @ b + rng.normal(size=(*lead, n, m or 1)) + 1.0
        if m is None:
            y = y[..., 0]
        elif m == 0:
            y = y[..., :0]
        return X, y, None if weigh is None else weigh(rng, (*lead, n))

    return make


def changed(make: Make, change: Callable[..., Any]) -> Make:
    """The same data after `change(X, y, weights)`: a new triple, or None where in place."""

    def changed_make(rng: np.random.Generator) -> Data:
        data = make(rng)
        new = change(*data)
        return data if new is None else new

    return changed_make


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(0.5, 2.0, shape)


def wide(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 10.0 ** rng.uniform(-3, 3, shape)


def with_zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A third of the rows left out, the first and the last among them."""
    w = rng.uniform(0.5, 2.0, shape) * (rng.random(shape) > 0.3)
    w[..., [0, -1]] = 0.0
    return w


def one_heavy(weight: float) -> Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]:
    def weigh(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        w = rng.uniform(0.5, 2.0, shape)
        w[..., shape[-1] // 3] = weight
        return w

    return weigh


def constant(value: float) -> Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]:
    return lambda rng, shape: np.full(shape, value)


def scaled(*factors: float) -> Callable[..., Data]:
    return lambda X, y, w: (X * factors, y, w)


def offset(x: float, y: float = 0.0) -> Callable[..., Data]:
    """Columns whose mean is x standard deviations from zero, a response y from zero."""
    return lambda X, Y, w: (X + x, Y + y, w)


def collinear(condition: float) -> Callable[..., Data]:
    """The last column of X almost the sum of the others."""
    return lambda X, y, w: (
        np.concatenate([X[..., :-1], X.sum(-1, keepdims=True) - X[..., -1:]], axis=-1)
        + X[..., -1:] / condition * (np.arange(X.shape[-1]) == X.shape[-1] - 1),
        y,
        w,
    )


def dependent(column: int, *sources: int) -> Callable[..., None]:
    """In the regression at place 1 of the batch one column is the sum of others."""

    def change(X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        X[1, :, column] = X[1][:, list(sources)].sum(axis=-1)

    return change


def put(what: str, place: Any, value: float) -> Callable[..., None]:
    """Write a value somewhere into X, y or the weights."""

    def change(X: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> None:
        {"X": X, "y": y, "weights": weights}[what][place] = value

    return change


def only(place: Place, there: frozenset[Status], elsewhere: frozenset[Status] = FINE) -> Any:
    """One set of statuses at places that begin with `place`, another elsewhere."""
    return lambda where: there if where[: len(place)] == place else elsewhere


def cast(dtype: Any, size: float = 1.0) -> Callable[..., Data]:
    def change(X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> Data:
        return (X * size).astype(dtype), (y * size).astype(dtype), w

    return change

"""The cases that every engine must answer alike: shapes, weights, penalties, layouts and trouble.

Each is a recipe for data, the options of `gpuols.fit`, and the statuses that are right. A case
makes the same data each time, from its name, and hands it out read-only.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpuols import Status

Data = tuple[np.ndarray, np.ndarray, np.ndarray | None]
Make = Callable[[np.random.Generator], Data]
Place = tuple[int, ...]

FINE = frozenset({Status.OK})
FEW = frozenset({Status.TOO_FEW_ROWS})
BROKEN = frozenset({Status.NONFINITE})
SINGULAR = frozenset({Status.UNTRUSTED, Status.RANK_DEFICIENT})
HARD = FINE | {Status.UNTRUSTED}
"""Right either way: where it is OK the numbers must be, too."""
VERY_HARD = HARD | SINGULAR
OVERFLOWING = HARD | BROKEN


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
    """The m regressions at one place of the batch: X (n, k), y (n, m), weights (n,) or None."""

    place: Place
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    add_intercept: bool
    ridge: float

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
        yield Regression(place, X[place], y[place], w, intercept, float(ridge[place]))


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


def _fortran(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    return np.asfortranarray(X), np.asfortranarray(y), w


def _strided(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    return np.repeat(np.repeat(X, 2, -1), 3, -2)[..., ::3, ::2], np.repeat(y, 2, -1)[..., ::2], w


def _backwards(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    return X[..., ::-1, ::-1], y[..., ::-1], None if w is None else w[..., ::-1]


def _batch_last(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    """The batch on the fastest axis in memory."""
    return np.moveaxis(np.moveaxis(X, 0, -1).copy(), -1, 0), np.asfortranarray(y), w


def _unaligned(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    memory = np.empty(X.nbytes + 1, np.uint8)
    odd = memory[1:].view(X.dtype).reshape(X.shape)
    odd[...] = X
    return odd, y, w


def _one_row_for_all(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    """One design spread over the batch by strides of zero."""
    return np.broadcast_to(X[:1], X.shape), y, w


def _responses_as_rows(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    return X[None], np.ascontiguousarray(y.T), w


def _polynomial(rng: np.random.Generator) -> Data:
    x = np.linspace(0.0, 1.0, 60)
    X = np.stack([x**power for power in range(1, 9)], axis=-1)
    return X, X.sum(-1) + 0.1 * rng.normal(size=60), None


def _integers_exact(rng: np.random.Generator) -> Data:
    X = rng.integers(-9, 10, (2, 30, 3)).astype(np.float64)
    return X, X @ np.array([3.0, -2.0, 0.0]), None


def _constant_y(value: float) -> Callable[..., Data]:
    return lambda X, y, w: (X, np.full_like(y, value), w)


def _two_axes(rng: np.random.Generator) -> Data:
    X, y = rng.normal(size=(2, 1, 30, 3)), rng.normal(size=(1, 3, 30))
    return X, y, rng.uniform(0.5, 2.0, (3, 30))


def _weight_vectors(m: int | None) -> Make:
    """One design, many vectors of weights."""

    def make(rng: np.random.Generator) -> Data:
        X, y, _ = gauss(40, 3, (), m)(rng)
        return X, y, with_zeros(rng, (5, 40))

    return make


def _ordinary() -> Iterator[Case]:
    """Counts of columns, responses and rows."""
    intercept = {"add_intercept": True}
    for p in (1, 2, 3, 5, 8, 16, 17, 32, 40):
        lead = (3,) if p < 17 else (1,) if p > 32 else (2,)
        yield Case(f"p={p}", gauss(2 * p + 11, p, lead))
        yield Case(f"p={p}, intercept", gauss(2 * p + 11, p - 1, lead), intercept)
    yield Case("p=64, intercept", gauss(140, 63, (1,)), intercept)
    yield Case("k=0", gauss(12, 0, (2,)))
    yield Case("k=0, m=3", gauss(12, 0, (), 3))

    for add in (False, True):
        with_intercept = {"add_intercept": add}
        tail = ", intercept" if add else ""
        yield Case(f"one regression{tail}", gauss(40, 3, ()), with_intercept)
        for m in (0, 1, 3, 9, 130):
            yield Case(f"shared, m={m}{tail}", gauss(50, 4, (), m), with_intercept)
            if m < 10:
                yield Case(f"batch, m={m}{tail}", gauss(40, 3, (3,), m), with_intercept)
        yield Case(f"shared, p>16, m=0{tail}", gauss(50, 20, (), 0), with_intercept)
        yield Case(f"shared, p>16, m=3{tail}", gauss(80, 20, (), 3), with_intercept)
        for n in (255, 256, 257, 258, 4095, 4096, 4097, 9000):
            lead = (2,) if n < 300 else (1,)
            yield Case(f"n={n}{tail}", gauss(n, 3, lead), with_intercept)
        yield Case(f"shared, n=4097{tail}", gauss(4097, 2, (), 2), with_intercept)
        yield Case(f"shared, n=257{tail}", gauss(257, 2, (), 2), with_intercept)

        k = 4 - add
        yield Case(f"n=0{tail}", gauss(0, k), with_intercept, FEW)
        yield Case(f"n=1{tail}", gauss(1, k), with_intercept, FEW)
        yield Case(f"n<p{tail}", gauss(3, k, (2,), 2), with_intercept, FEW)
        yield Case(f"n=p{tail}", gauss(4, k, (2,), 2), with_intercept, FEW)
        yield Case(f"n=p+1{tail}", gauss(5, k, (2,), 2), with_intercept)
        yield Case(f"shared, n<p{tail}", gauss(3, k, (), 2), with_intercept, FEW)
        yield Case(f"shared, n=p{tail}", gauss(4, k, (), 2), with_intercept, FEW)
        yield Case(f"n<p, p=20{tail}", gauss(19, 20 - add), with_intercept, FEW)
        yield Case(f"n=p=1{tail}", gauss(1, 1 - add), with_intercept, FEW)
    yield Case("n=0, k=0", gauss(0, 0), {}, FEW)
    yield Case("empty batch", gauss(20, 3, (0,)))
    yield Case("empty batch of two axes, m=2", gauss(20, 3, (2, 0), 2), intercept)


def _leading() -> Iterator[Case]:
    """How leading axes broadcast."""
    intercept = {"add_intercept": True}
    yield Case("L=(2,3)", gauss(30, 3, (2, 3)), intercept)
    yield Case("L=(2,3), m=2", gauss(30, 3, (2, 3), 2), intercept)
    yield Case("L broadcast from all three", _two_axes, intercept)
    rows = changed(gauss(40, 3, (), 9), _responses_as_rows)
    yield Case("responses as rows", rows, intercept)
    yield Case("responses as rows, no intercept", rows)
    yield Case("one response as a row", changed(gauss(40, 3, (), 1), _responses_as_rows))
    weighed = changed(gauss(40, 3, (), 9, uniform), _responses_as_rows)
    yield Case("responses as rows, weights shared", weighed, intercept)
    each = changed(rows, lambda X, y, w: (X, y, 1.0 + y**2))
    yield Case("responses as rows, weights each", each, intercept)
    yield Case("weight vectors over one design", _weight_vectors(None), intercept)
    yield Case("weight vectors over one design, m=2", _weight_vectors(2))


def _weights() -> Iterator[Case]:
    for add in (False, True):
        options = {"add_intercept": add}
        tail = ", intercept" if add else ""
        for name, weigh in (
            ("uniform", uniform),
            ("of 0.1", constant(0.1)),
            ("over six decades", wide),
            ("with zeros", with_zeros),
        ):
            yield Case(f"weights {name}{tail}", gauss(60, 3, (2,), None, weigh), options)
            yield Case(f"shared, weights {name}{tail}", gauss(60, 3, (), 3, weigh), options)
        for size in (1e3, 1e12, 1e20):
            heavy = gauss(60, 3, (2,), None, one_heavy(size))
            yield Case(f"one row of weight {size:g}{tail}", heavy, options, HARD)
        yield Case(f"weights all zero{tail}", gauss(20, 3, weigh=constant(0.0)), options, FEW)
        yield Case(
            f"shared, weights all zero{tail}", gauss(20, 3, (), 2, constant(0.0)), options, FEW
        )
        for rows, status in ((2, FEW), (3 + add, FEW), (5 + add, FINE)):
            few = changed(
                gauss(20, 3, weigh=uniform), put("weights", (..., slice(rows, None)), 0.0)
            )
            yield Case(f"{rows} rows of positive weight{tail}", few, options, status)
        large = gauss(600, 3, (2,), None, with_zeros)
        yield Case(f"weights with zeros, n=600{tail}", large, options)
    whole = changed(
        gauss(40, 3, weigh=uniform), lambda X, y, w: (X, y, np.round(2 * w).astype(int))
    )
    yield Case("integer weights", whole, {"add_intercept": True})
    boolean = changed(gauss(40, 3, weigh=with_zeros), lambda X, y, w: (X, y, w > 0))
    yield Case("boolean weights", boolean, {"add_intercept": True})
    single = changed(gauss(40, 3, weigh=uniform), lambda X, y, w: (X, y, w.astype(np.float32)))
    yield Case("float32 weights", single, {"add_intercept": True})


def _ridge() -> Iterator[Case]:
    for add in (False, True):
        tail = ", intercept" if add else ""

        def options(ridge: Any, add: bool = add) -> dict[str, Any]:
            return {"add_intercept": add, "ridge": ridge}

        for size in (1e-6, 1.0, 1e6):
            yield Case(f"ridge {size:g}{tail}", gauss(40, 3), options(size))
        yield Case(f"ridge 1e12{tail}", gauss(40, 3), options(1e12), HARD)
        each = np.array([0.0, 0.5, 20.0])
        yield Case(f"ridge for each{tail}", gauss(40, 3, (3,)), options(each))
        yield Case(f"ridge for each, weights{tail}", gauss(40, 3, (3,), 2, uniform), options(each))
        yield Case(f"ridge, shared{tail}", gauss(40, 3, (), 4, uniform), options(2.0))
        rows = changed(gauss(40, 3, (), 3), _responses_as_rows)
        yield Case(f"ridge, responses as rows{tail}", rows, options(2.0))
        yield Case(f"ridge for each, responses as rows{tail}", rows, options(each))
        yield Case(f"ridge, p=20{tail}", gauss(50, 20 - add, (2,)), options(3.0))
        yield Case(f"ridge, n<p{tail}", gauss(5, 8), options(3.0), HARD)
        yield Case(f"ridge, n=p{tail}", gauss(4, 4 - add), options(3.0), HARD)
        yield Case(f"small ridge, n<p{tail}", gauss(5, 8), options(1e-4), HARD)
        twin = changed(gauss(40, 3), dependent(2, 0))
        yield Case(f"ridge, duplicated column{tail}", twin, options(3.0), HARD)
        zero = changed(gauss(40, 3), put("X", (1, slice(None), 1), 0.0))
        yield Case(f"ridge, zero column{tail}", zero, options(3.0), HARD)
        for power in (3, 5, 7):
            near = changed(gauss(40, 3), collinear(10.0**power))
            size = 10.0**-power
            yield Case(f"ridge {size:g}, condition 1e{power}{tail}", near, options(size), HARD)
        units = changed(gauss(40, 3), scaled(1e4, 1.0, 1e-4))
        yield Case(f"ridge, badly scaled{tail}", units, options(1e-2), HARD)
        one = FEW | {Status.UNTRUSTED} if add else HARD
        yield Case(f"ridge, one row{tail}", gauss(1, 3), options(3.0), one)
    yield Case("ridge, k=0", gauss(20, 0), {"add_intercept": True, "ridge": 2.0})


def _layouts() -> Iterator[Case]:
    """Dtypes, orders, strides."""
    intercept = {"add_intercept": True}
    for dtype, size in ((np.float32, 1), (np.float16, 1), (np.int64, 30), (np.int8, 9)):
        name = np.dtype(dtype).name
        yield Case(name, changed(gauss(40, 3), cast(dtype, size)), intercept)
        yield Case(f"{name}, no intercept", changed(gauss(40, 3), cast(dtype, size)))
        yield Case(f"{name}, shared", changed(gauss(40, 3, (), 3), cast(dtype, size)), intercept)
    unsigned = changed(gauss(40, 3), lambda X, y, w: (np.abs(30 * X).astype(np.uint8), y, w))
    yield Case("uint8", unsigned, intercept)
    boolean = changed(gauss(40, 3), lambda X, y, w: (X > 0, y > 0.5, w))
    yield Case("bool", boolean, intercept)
    yield Case("big-endian", changed(gauss(40, 3), cast(">f8")), intercept)
    mixed = changed(gauss(40, 3, weigh=uniform), lambda X, y, w: (X.astype(np.float32), y, w))
    yield Case("float32 with float64", mixed, intercept)
    for change in (_fortran, _strided, _backwards, _batch_last, _unaligned, _one_row_for_all):
        name = change.__name__.strip("_").replace("_", " ")
        yield Case(name, changed(gauss(60, 3, (2,), None, uniform), change), intercept)
        yield Case(f"{name}, no weights", changed(gauss(60, 3), change))
    for change in (_fortran, _strided, _unaligned):
        name = change.__name__.strip("_").replace("_", " ")
        yield Case(f"{name}, shared", changed(gauss(60, 3, (), 3), change), intercept)


def _scales() -> Iterator[Case]:
    """Offsets, units, near collinearity: where digits get lost."""
    intercept = {"add_intercept": True}
    yield Case("offset 1e7", changed(gauss(60, 3), offset(1e7)), intercept)
    yield Case("offset 1e7 in y", changed(gauss(60, 3), offset(0.0, 1e7)), intercept)
    yield Case("offset 1e7 in both", changed(gauss(60, 3), offset(1e7, -1e7)), intercept)
    weighed = changed(gauss(60, 3, (2,), None, with_zeros), offset(1e7, 1e7))
    yield Case("offset 1e7, weights", weighed, intercept)
    yield Case("offset 1e7, shared", changed(gauss(60, 3, (), 3), offset(1e7, 1e7)), intercept)
    yield Case("offset 1e7, n=4097", changed(gauss(4097, 2, (1,)), offset(1e7, 1e7)), intercept)
    yield Case("offset 1e3, no intercept", changed(gauss(60, 3), offset(1e3)), {}, HARD)
    yield Case("offset 1e7, no intercept", changed(gauss(60, 3), offset(1e7)), {}, VERY_HARD)
    outlier = changed(gauss(60, 3), put("X", (0, 0), 1e12))
    yield Case("first row far out", outlier, intercept, HARD)

    for add in (False, True):
        options = {"add_intercept": add}
        tail = ", intercept" if add else ""
        yield Case(f"columns of 1e±8{tail}", changed(gauss(60, 3), scaled(1e8, 1, 1e-8)), options)
        far = changed(gauss(60, 2, (2,), None), scaled(1e80, 1e-80))
        yield Case(f"columns of 1e±80{tail}", far, options)
        shared = changed(gauss(60, 3, (), 3), scaled(1e8, 1, 1e-8))
        yield Case(f"columns of 1e±8, shared{tail}", shared, options)
        extreme = changed(gauss(60, 2), scaled(1e152, 1e-165))
        yield Case(f"columns of 1e152 and 1e-165{tail}", extreme, options, OVERFLOWING)
        huge = changed(gauss(60, 2), lambda X, y, w: (X, y * 1e200, w))
        yield Case(f"y of 1e200{tail}", huge, options, OVERFLOWING)
        tiny = changed(gauss(60, 2), lambda X, y, w: (X, y * 1e-200, w))
        yield Case(f"y of 1e-200{tail}", tiny, options, HARD)
        for power in range(1, 15):
            close = changed(gauss(60, 3), collinear(10.0**power))
            status = FINE if power == 1 else VERY_HARD if power > 9 else HARD
            yield Case(f"condition 1e{power}{tail}", close, options, status)
    for power in (3, 6, 9, 12):
        shared = changed(gauss(60, 3, (), 3), collinear(10.0**power))
        yield Case(f"condition 1e{power}, shared", shared, intercept, VERY_HARD)
        wide_design = changed(gauss(70, 18), collinear(10.0**power))
        yield Case(f"condition 1e{power}, p=19", wide_design, intercept, VERY_HARD)
    yield Case("polynomial of degree 8", _polynomial, intercept, VERY_HARD)


def _singular() -> Iterator[Case]:
    """Dependent columns, beside regressions that are fine."""
    second = only((1,), SINGULAR)
    for add in (False, True):
        options = {"add_intercept": add}
        tail = ", intercept" if add else ""
        twin = changed(gauss(40, 3, (3,)), dependent(2, 0))
        yield Case(f"duplicated column{tail}", twin, options, second)
        summed = changed(gauss(40, 4, (3,)), dependent(1, 0, 3))
        yield Case(f"sum of columns{tail}", summed, options, second)
        wider = changed(gauss(60, 20, (3,)), dependent(17, 4))
        yield Case(f"duplicated column, p>16{tail}", wider, options, second)
        weighed = changed(gauss(40, 3, (3,), 2, uniform), dependent(2, 0))
        yield Case(f"duplicated column, weights{tail}", weighed, options, second)
        zero = changed(gauss(40, 3, (3,)), put("X", (1, slice(None), 1), 0.0))
        yield Case(f"zero column{tail}", zero, options, second)
        shared = changed(gauss(40, 3, (), 2), lambda X, y, w: (X[:, [0, 1, 0]], y, w))
        yield Case(f"duplicated column, shared{tail}", shared, options, SINGULAR)
        moved = changed(twin, offset(1e7))
        yield Case(
            f"duplicated column, offset 1e7{tail}",
            moved,
            options,
            second if add else only((1,), SINGULAR, VERY_HARD),
        )
    for value in (1.0, 0.1, 1e7, 1 / 3):
        flat = changed(gauss(41, 3, (3,)), put("X", (1, slice(None), 1), value))
        yield Case(
            f"column of {value:.3g} beside an intercept", flat, {"add_intercept": True}, second
        )
        yield Case(f"column of {value:.3g}, no intercept", flat)
        weighed = changed(gauss(41, 3, (3,), None, uniform), put("X", (1, slice(None), 1), value))
        name = f"column of {value:.3g} beside an intercept, weights"
        yield Case(name, weighed, {"add_intercept": True}, second)
    shared = changed(gauss(41, 3, (), 2), put("X", (slice(None), 1), 0.1))
    yield Case(
        "column of 0.1 beside an intercept, shared", shared, {"add_intercept": True}, SINGULAR
    )


def _nonfinite() -> Iterator[Case]:
    """NaN and infinity, beside regressions that are fine."""
    second = only((1,), BROKEN)
    for name, value in (("NaN", np.nan), ("inf", np.inf), ("-inf", -np.inf)):
        for add in (False, True):
            options = {"add_intercept": add}
            tail = ", intercept" if add else ""
            for row in (0, 7, 20, 39):
                data = changed(gauss(40, 3, (3,)), put("X", (1, row, 1), value))
                yield Case(f"{name} in X, row {row}{tail}", data, options, second)
            data = changed(gauss(40, 3, (3,)), put("y", (1, 0), value))
            yield Case(f"{name} in y, row 0{tail}", data, options, second)
            data = changed(gauss(40, 3, (3,), 2), put("y", (1, 5, 1), value))
            yield Case(f"{name} in one response{tail}", data, options, only((1, 1), BROKEN))
            data = changed(gauss(40, 3, (), 5), put("y", (5, 2), value))
            yield Case(f"{name} in one response, shared{tail}", data, options, only((2,), BROKEN))
            data = changed(gauss(40, 3, (), 2), put("X", (0, 0), value))
            yield Case(f"{name} in X, shared{tail}", data, options, BROKEN)
            if value > 0 or np.isnan(value):
                data = changed(gauss(40, 3, (3,), None, uniform), put("weights", (1, 0), value))
                yield Case(f"{name} in weights{tail}", data, options, second)
                data = changed(gauss(40, 3, (), 2, uniform), put("weights", 0, value))
                yield Case(f"{name} in weights, shared{tail}", data, options, BROKEN)

            def hidden(X: Any, y: Any, w: Any, value: float = value) -> None:
                X[w == 0.0] = value
                y[w == 0.0] = value

            data = changed(gauss(40, 3, (2,), None, with_zeros), hidden)
            yield Case(f"{name} in rows of zero weight{tail}", data, options)
            data = changed(gauss(40, 3, (), 2, with_zeros), hidden)
            yield Case(f"{name} in rows of zero weight, shared{tail}", data, options)
    wide_design = changed(gauss(60, 20, (3,)), put("X", (1, 3, 19), np.nan))
    yield Case("NaN in X, p>16", wide_design, {"add_intercept": True}, second)
    yield Case(
        "NaN, n<p", changed(gauss(2, 3, (2,)), put("X", (1, 0, 0), np.nan)), {}, _few_or_broken
    )
    penalised = changed(gauss(40, 3, (3,)), put("y", (1, 4), np.nan))
    yield Case("NaN in y, ridge", penalised, {"ridge": 2.0}, second)


def _few_or_broken(where: Place) -> frozenset[Status]:
    return BROKEN if where == (1,) else FEW


def _degenerate() -> Iterator[Case]:
    """Nothing left to explain, or nothing to explain."""
    for add in (False, True):
        options = {"add_intercept": add}
        tail = ", intercept" if add else ""
        yield Case(f"exact fit{tail}", _integers_exact, options, HARD)
        near = changed(gauss(40, 3), lambda X, y, w: (X, X.sum(-1) + 1e-9 * y, w))
        yield Case(f"almost exact fit{tail}", near, options, HARD)
        for value in (0.0, 3.0, 0.1):
            data = changed(gauss(40, 3), _constant_y(value))
            right = FINE if value and not add else HARD
            yield Case(f"y constant, {value:g}{tail}", data, options, right)
        data = changed(gauss(40, 3, (), 3), put("y", (slice(None), 1), 0.0))
        yield Case(f"one response zero, shared{tail}", data, options, only((1,), HARD))
    yield Case(
        "k=0, y constant", changed(gauss(20, 0), _constant_y(2.0)), {"add_intercept": True}, HARD
    )


CASES = (
    *_ordinary(),
    *_leading(),
    *_weights(),
    *_ridge(),
    *_layouts(),
    *_scales(),
    *_singular(),
    *_nonfinite(),
    *_degenerate(),
)

"""Cases in which digits get lost, columns depend on one another, or nothing is left over."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from case import (
    BORDERLINE,
    FEW,
    FINE,
    HARD,
    SINGULAR,
    Case,
    Data,
    Make,
    changed,
    collinear,
    dependent,
    gauss,
    offset,
    only,
    put,
    scaled,
    uniform,
    with_zeros,
)
from singular import KINDS, Kind

from gpuols import Status

INTERCEPT = {"add_intercept": True}
WAYS = (({}, ""), (INTERCEPT, ", intercept"))


def _polynomial(rng: np.random.Generator) -> Data:
    x = np.linspace(0.0, 1.0, 60)
    X = np.stack([x**power for power in range(1, 9)], axis=-1)
    return X, X.sum(-1) + 0.1 * rng.normal(size=60), None


def scales() -> Iterator[Case]:
    """Offsets, units, near collinearity: where digits get lost."""
    yield Case("offset 1e7", changed(gauss(60, 3), offset(1e7)), INTERCEPT)
    yield Case("offset 1e7 in y", changed(gauss(60, 3), offset(0.0, 1e7)), INTERCEPT)
    yield Case("offset 1e7 in both", changed(gauss(60, 3), offset(1e7, -1e7)), INTERCEPT)
    weighed = changed(gauss(60, 3, (2,), None, with_zeros), offset(1e7, 1e7))
    yield Case("offset 1e7, weights", weighed, INTERCEPT)
    yield Case("offset 1e7, shared", changed(gauss(60, 3, (), 3), offset(1e7, 1e7)), INTERCEPT)
    yield Case("offset 1e7, n=4097", changed(gauss(4097, 2, (1,)), offset(1e7, 1e7)), INTERCEPT)
    yield Case("offset 1e3, no intercept", changed(gauss(60, 3), offset(1e3)))
    yield Case("offset 1e7, no intercept", changed(gauss(60, 3), offset(1e7)))

    for options, tail in WAYS:
        yield Case(f"columns of 1e±8{tail}", changed(gauss(60, 3), scaled(1e8, 1, 1e-8)), options)
        shared = changed(gauss(60, 3, (), 3), scaled(1e8, 1, 1e-8))
        yield Case(f"columns of 1e±8, shared{tail}", shared, options)
        for power in range(1, 15):
            close = changed(gauss(60, 3), collinear(10.0**power))
            status = FINE if power < 10 else BORDERLINE if power == 10 else SINGULAR
            yield Case(f"condition 1e{power}{tail}", close, options, status)
    for power in (3, 6, 9, 12):
        status = FINE if power < 9 else HARD if power == 9 else SINGULAR
        shared = changed(gauss(60, 3, (), 3), collinear(10.0**power))
        yield Case(f"condition 1e{power}, shared", shared, INTERCEPT, status)
        wide_design = changed(gauss(70, 18), collinear(10.0**power))
        status = BORDERLINE if power == 9 else status
        yield Case(f"condition 1e{power}, p=19", wide_design, INTERCEPT, status)
    yield Case("polynomial of degree 8", _polynomial, INTERCEPT)
    for power in range(4, 9):
        for options, tail in WAYS:
            near = changed(gauss(60, 2), _near(10.0**-power))
            yield Case(f"within 1e-{power} of a duplicate{tail}", near, options)
            weighed = changed(gauss(60, 2, (2,), 2, with_zeros), _near(10.0**-power))
            yield Case(f"within 1e-{power} of a duplicate, weights{tail}", weighed, options)
    for span in (1.0, 1e4, 1e7):
        yield Case(f"timestamps over {span:g} s", changed(gauss(60, 2), _clock(span)), INTERCEPT)
    prices = changed(gauss(60, 2), lambda X, y, w: (1e6 + np.round(X, 2), np.round(y, 2) - 1e8, w))
    yield Case("prices far from zero", prices, INTERCEPT)
    whole = changed(gauss(60, 2), lambda X, y, w: (np.round(X * 2.0**50), np.round(y * 2.0**48), w))
    yield Case("whole numbers of 53 bits", whole, INTERCEPT)
    largest = changed(
        gauss(60, 2), lambda X, y, w: ((X * 1e4).astype(np.int64) + 2**53 - 10**6, y, w)
    )
    yield Case("integers next below 2**53", largest, INTERCEPT)
    for dtype in (np.float32, np.float16):
        name = np.dtype(dtype).name
        far = changed(gauss(60, 2), lambda X, y, w, d=dtype: ((X + 100).astype(d), y.astype(d), w))
        yield Case(f"{name} far from zero", far, INTERCEPT)


def _near(distance: float) -> Callable[..., Data]:
    """A second column almost the first."""
    return lambda X, y, w: (
        np.concatenate([X[..., :1], X[..., :1] + distance * X[..., 1:]], axis=-1),
        y,
        w,
    )


def _clock(span: float) -> Callable[..., Data]:
    """A time in seconds for the first column."""

    def change(X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        X[..., 0] = 1.7e9 + np.linspace(0.0, span, X.shape[-2])

    return change


def extremes() -> Iterator[Case]:
    """Numbers whose squares leave the range of float64, rows that outweigh the others."""
    for options, tail in WAYS:
        for sizes in ((1e80, 1e-80), (1e150, 1e-150), (1e300, 1e-300), (1e152, 1e-165), (1e307, 1)):
            name = " and ".join(f"{size:g}" for size in sizes)
            yield Case(f"columns of {name}{tail}", changed(gauss(60, 2), scaled(*sizes)), options)
            shared = changed(gauss(60, 2, (), 3), scaled(*sizes))
            yield Case(f"columns of {name}, shared{tail}", shared, options)
        for size in (1e150, 1e200, 1e300, 1e-150, 1e-200, 1e-290):
            in_y = changed(gauss(60, 2), lambda X, y, w, s=size: (X, y * s, w))
            yield Case(f"y of {size:g}{tail}", in_y, options)
            in_all = changed(gauss(60, 2), lambda X, y, w, s=size: (X * s, y * s, w))
            yield Case(f"all of {size:g}{tail}", in_all, options)
        for size in (1e100, 1e-100, 1e200, 1e-200):
            weighed = changed(
                gauss(60, 2, (2,), None, uniform), lambda X, y, w, s=size: (X, y, w * s)
            )
            yield Case(f"weights of {size:g}{tail}", weighed, options)
            one = changed(gauss(60, 2, (3,)), put("X", (1, ...), size))
            yield Case(
                f"all alike, {size:g}, beside others{tail}", one, options, only((1,), SINGULAR)
            )
        one = changed(gauss(60, 2, (3,)), lambda X, y, w: (X * [[[1.0]], [[1e200]], [[1]]], y, w))
        yield Case(f"columns of 1e200 beside others{tail}", one, options)
        few, fast = changed(gauss(2, 2), scaled(1e200, 1.0)), {**options, "solver": "cholesky"}
        yield Case(f"a column of 1e200, too few rows{tail}", few, fast, FEW)
    for options, tail in WAYS:
        outlier = changed(gauss(60, 3), put("X", (0, 0), 1e12))
        # About the mean all columns are then one; about zero the row alone is.
        yield Case(f"first row far out{tail}", outlier, options, only((0,), SINGULAR))
        in_one = changed(gauss(60, 3), put("X", (0, 0, 1), 1e9))
        yield Case(f"first row far out in a column{tail}", in_one, options)
        in_y = changed(gauss(60, 3), put("y", (0, 0), 1e9))
        yield Case(f"first row far out in y{tail}", in_y, options)
        light = changed(
            changed(gauss(60, 3, (2,), None, uniform), put("X", (0, 0), 1e12)),
            put("weights", (0, 0), 1e-9),
        )
        yield Case(f"first row far out, of little weight{tail}", light, options)


def singular() -> Iterator[Case]:
    """Dependent columns, beside regressions that are fine, and where all are dependent."""
    second = only((1,), SINGULAR)
    for options, tail in WAYS:
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
        yield Case(
            f"duplicated column, offset 1e7{tail}", changed(twin, offset(1e7)), options, second
        )
    for value in (1.0, 0.1, 1e7, 1 / 3):
        flat = changed(gauss(41, 3, (3,)), put("X", (1, slice(None), 1), value))
        yield Case(f"column of {value:.3g} beside an intercept", flat, INTERCEPT, second)
        yield Case(f"column of {value:.3g}, no intercept", flat)
        weighed = changed(gauss(41, 3, (3,), None, uniform), put("X", (1, slice(None), 1), value))
        name = f"column of {value:.3g} beside an intercept, weights"
        yield Case(name, weighed, INTERCEPT, second)
    shared = changed(gauss(41, 3, (), 2), put("X", (slice(None), 1), 0.1))
    yield Case("column of 0.1 beside an intercept, shared", shared, INTERCEPT, SINGULAR)

    for kind in KINDS:
        options = INTERCEPT
        yield Case(f"{kind.name} in all", _of_kind(kind), options, SINGULAR)
        yield Case(
            f"{kind.name}, min_norm", _of_kind(kind), options | {"singular": "min_norm"}, SINGULAR
        )
        yield Case(f"{kind.name}, shared", _of_kind(kind, 3), options, SINGULAR)
        if kind.intercept:
            status = SINGULAR if kind.sharp else SINGULAR | {Status.UNTRUSTED}
            yield Case(f"{kind.name}, no intercept", _of_kind(kind), {}, status)
    blank = {"singular": "nan"} | INTERCEPT
    yield Case(
        "duplicated column, nan", changed(gauss(40, 3, (3,)), dependent(2, 0)), blank, second
    )


def _of_kind(kind: Kind, responses: int = 0) -> Make:
    """Two singular designs, or one that some responses share."""

    def make(rng: np.random.Generator) -> Data:
        made = kind.make(rng, rng.normal(size=(2, 40, 8)))
        X, weights = made if isinstance(made, tuple) else (made, None)
        if not responses:
            return X, rng.normal(size=X.shape[:-1]), weights
        weights = None if weights is None else weights[0]
        return X[0], rng.normal(size=(X.shape[1], responses)), weights

    return make


def _whole(rng: np.random.Generator) -> Data:
    X = rng.integers(-9, 10, (2, 30, 3)).astype(np.float64)
    return X, X @ np.array([3.0, -2.0, 0.0]), None


def _constant_y(value: float) -> Callable[..., Data]:
    return lambda X, y, w: (X, np.full_like(y, value), w)


def _twice(X: np.ndarray, y: np.ndarray, w: Any) -> Data:
    return X[..., [0, 1, 0]], y, w


def degenerate() -> Iterator[Case]:
    """Nothing left to explain, nothing to explain, or too little to explain it with."""
    for options, tail in WAYS:
        yield Case(f"exact fit{tail}", _whole, options)
        weighed = changed(_whole, lambda X, y, w: (X, y, np.arange(30) % 3))
        yield Case(f"exact fit, weights{tail}", weighed, options)
        moved = changed(_whole, lambda X, y, w: (X + 2.0**20, y + 2.0**30, w))
        if options:
            yield Case("exact fit far from zero", moved, options)
        together = changed(
            _whole, lambda X, y, w: (X[0], X[0] @ np.array([[1.0, 0], [2, 0], [0, 0]]), w)
        )
        yield Case(f"exact fits, shared{tail}", together, options)
        tenths = changed(_whole, lambda X, y, w: (X / 8, y / 8, w))
        yield Case(f"exact fit in eighths{tail}", tenths, options)
        yield Case(
            f"exact fit, duplicated column{tail}", changed(_whole, _twice), options, SINGULAR
        )
        near = changed(gauss(40, 3), lambda X, y, w: (X, X.sum(-1) + 1e-9 * y, w))
        yield Case(f"almost exact fit{tail}", near, options)
        for value in (0.0, 3.0, 0.1, 1e200):
            data = changed(gauss(40, 3), _constant_y(value))
            yield Case(f"y constant, {value:g}{tail}", data, options)
            data = changed(gauss(40, 3, (2,), 2, with_zeros), _constant_y(value))
            yield Case(f"y constant, {value:g}, weights{tail}", data, options)
        data = changed(changed(gauss(40, 3), _twice), _constant_y(3.0))
        yield Case(f"y constant, duplicated column{tail}", data, options, SINGULAR)
        data = changed(gauss(40, 3, (), 3), put("y", (slice(None), 1), 0.0))
        yield Case(f"one response zero, shared{tail}", data, options)
    yield Case("k=0, y constant", changed(gauss(20, 0), _constant_y(2.0)), INTERCEPT)
    yield Case("k=0, y zero", changed(gauss(20, 0), _constant_y(0.0)), INTERCEPT)
    for n, status in ((1, FEW), (2, FINE), (5, FINE)):
        yield Case(f"p=1, n={n}, no intercept", gauss(n, 1), {}, status)
        zero = changed(gauss(n, 1), put("X", ..., 0.0))
        yield Case(f"p=1, n={n}, zeros, no intercept", zero, {}, SINGULAR)
    yield from _few()


def _few() -> Iterator[Case]:
    """No more rows than coefficients can take."""
    for singular in ("drop", "min_norm"):
        for options, tail in WAYS:
            chosen = options | {"singular": singular}
            tail = f"{tail}, {singular}"
            for n in (1, 2, 3, 4, 5):
                yield Case(f"{n} rows, p=6{tail}", gauss(n, 6 - len(options)), chosen, FEW)
            wide = gauss(5, 19)
            yield Case(f"5 rows, k=19{tail}", wide, chosen, FEW)
            yield Case(f"5 rows, k=19, shared{tail}", gauss(5, 19, (), 2), chosen, FEW)
            twin = changed(gauss(4, 5), dependent(1, 0))
            yield Case(f"4 rows, duplicated column{tail}", twin, chosen, FEW)
            # Three rows, two of rank: something is left over.
            left = changed(
                gauss(4 + len(options), 5), lambda X, y, w: (X[..., [0, 1, 2, 0, 0]], y, w)
            )
            yield Case(f"fewer rows than columns, but not than rank{tail}", left, chosen, SINGULAR)
            zero = changed(gauss(8, 3, weigh=uniform), put("weights", (..., slice(3, None)), 0.0))
            yield Case(f"3 rows of positive weight, k=3{tail}", zero, chosen, FEW)
            still = changed(gauss(3, 5), _constant_y(2.0))
            yield Case(f"3 rows, y constant{tail}", still, chosen, FEW)

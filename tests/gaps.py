"""Cases with rows that are not there: missing values that are dropped, vectors of weights."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from case import (
    BROKEN,
    FEW,
    FINE,
    HARD,
    Case,
    Data,
    Make,
    Place,
    cast,
    changed,
    gauss,
    offset,
    one_heavy,
    only,
    put,
    uniform,
    with_zeros,
)
from layouts import fortran, responses_as_rows, strided, unaligned

from gpuols import Status


def weight_vectors(m: int | None) -> Make:
    """One design, many vectors of weights."""

    def make(rng: np.random.Generator) -> Data:
        X, y, _ = gauss(40, 3, (), m)(rng)
        return X, y, with_zeros(rng, (5, 40))

    return make


def holed(*names: str, share: float = 0.1) -> Callable[..., None]:
    """A share of the values of X, y or the weights missing."""

    def change(X: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> None:
        rng = np.random.default_rng(len(names))
        for name in names:
            array = {"X": X, "y": y, "weights": weights}[name]
            array[rng.random(array.shape) < share] = np.nan

    return change


def _each(make: Make, *changes: Callable[..., Any]) -> Make:
    for change in changes:
        make = changed(make, change)
    return make


def missing() -> Iterator[Case]:
    """Rows that leave a regression, for each response by itself."""
    anywhere = holed("X", "y", share=0.05)
    for add in (False, True):
        options = {"add_intercept": add, "missing": "drop"}
        tail = f" dropped{', intercept' if add else ''}"

        for name, shape in {
            "batch": ((3,), None),
            "batch, m=1": ((3,), 1),
            "batch, m=2": ((3,), 2),
            "two leading axes": ((2, 3), None),
            "two leading axes, m=2": ((2, 3), 2),
            "one regression": ((), None),
            "shared, m=0": ((), 0),
            "shared, m=1": ((), 1),
            "shared, m=3": ((), 3),
            "shared, m=35": ((), 35),
        }.items():
            yield Case(f"{name}{tail}", _each(gauss(50, 3, *shape), anywhere), options)
            weighed = _each(
                gauss(50, 3, *shape, with_zeros), holed("X", "y", "weights", share=0.03)
            )
            yield Case(f"{name}, weights{tail}", weighed, options)
            yield Case(f"nothing of {name}{tail}", gauss(50, 3, *shape), options)
        rows = _each(gauss(50, 3, (), 5), anywhere, responses_as_rows)
        yield Case(f"responses as rows{tail}", rows, options)
        own = _each(rows, lambda X, y, w: (X, y, 1.0 + y**2))
        yield Case(f"responses as rows, weights each{tail}", own, options)
        for m in (None, 2):
            vectors = _each(weight_vectors(m), holed("X", "y", "weights", share=0.03))
            yield Case(f"weight vectors, m={m}{tail}", vectors, options)

        for n in (256, 257, 513, 4097):
            yield Case(f"n={n}{tail}", _each(gauss(n, 2, (1,)), anywhere), options)
            yield Case(f"shared, n={n}{tail}", _each(gauss(n, 2, (), 2), anywhere), options)
        for p in (1, 16, 17) if add else (1, 16, 17, 66):
            make = _each(gauss(2 * p + 30, p - add, (), 2), holed("y"))
            yield Case(f"shared, p={p}{tail}", make, options)
        yield Case(f"p=20{tail}", _each(gauss(60, 20 - add, (2,)), holed("y")), options)
        yield Case(f"n=0, m=2{tail}", gauss(0, 3, (), 2), options, FEW)
        few = _each(gauss(20, 3, (), 3), put("y", (slice(3 + add, None), 1), np.nan))
        yield Case(f"all rows but p{tail}", few, options, only((1,), FEW))
        few = _each(gauss(20, 3, (3,)), put("y", (1, slice(2, None)), np.nan))
        yield Case(f"all rows but two{tail}", few, options, only((1,), FEW))
        none = _each(gauss(20, 3, (), 3), put("y", (slice(None), 1), np.nan))
        yield Case(f"all rows of a response{tail}", none, options, only((1,), FEW))
        yield Case(
            f"all rows of X{tail}",
            _each(gauss(20, 3, (), 2), put("X", (slice(None), 1), np.nan)),
            options,
            FEW,
        )
        ends = _each(
            gauss(50, 3, (), 3),
            put("y", ([0, 1, 25, 26, 49], 0), np.nan),
            put("X", ([0, 49], 1), np.nan),
        )
        yield Case(f"first, middle and last row{tail}", ends, options)

        yield Case(
            f"float32{tail}", _each(gauss(40, 3, (), 3), cast(np.float32), anywhere), options
        )
        whole = _each(gauss(40, 3, (2,), 3), anywhere, lambda X, y, w: (X > 0.5, y, w))
        yield Case(f"boolean X{tail}", whole, options)
        yield Case(f"integers{tail}", _each(gauss(40, 3, (), 2), cast(int, 30)), options)
        for change in (fortran, strided, unaligned):
            name = change.__name__.strip("_")
            yield Case(f"{name}{tail}", _each(gauss(60, 3, (2,), 2), anywhere, change), options)
            shared = _each(gauss(60, 3, (), 3, uniform), anywhere, change)
            yield Case(f"{name}, shared{tail}", shared, options)

        for ridge in (2.0, np.array([0.0, 0.5, 20.0])):
            lead = () if np.ndim(ridge) == 0 else (3,)
            make = _each(gauss(40, 3, lead, 2), anywhere)
            yield Case(f"ridge, L={lead}{tail}", make, options | {"ridge": ridge})
        heavy = _each(gauss(60, 3, (), 3, one_heavy(1e20)), anywhere)
        yield Case(f"shared, one row of weight 1e20{tail}", heavy, options, HARD)
        for size in (1e200, 1e-200):
            vectors = _each(weight_vectors(None), lambda X, y, w, size=size: (X, y, w * size))
            yield Case(f"weights of {size:g}{tail}", vectors, options, HARD)
        tiny = _each(weight_vectors(None), lambda X, y, w: (X * 1e-160, y * 1e-100, w * 1e60))
        yield Case(f"columns of 1e-160, weights of 1e60{tail}", tiny, options, HARD)

        # What a row holds does not matter to a response that does not have it.
        for value in (np.inf, 1e200):
            wild = _each(
                gauss(40, 3, (), 3), put("X", (7, 1), value), put("y", (7, slice(2)), np.nan)
            )
            right = only((2,), BROKEN if np.isinf(value) else FINE)
            yield Case(f"{value:g} in a row of one response{tail}", wild, options, right)
            wild = _each(gauss(40, 3, (3,)), put("X", (1, 7, 1), value), put("y", (1, 7), np.nan))
            yield Case(f"{value:g} in a row missing{tail}", wild, options)
            for place in (0, 20, 39):
                wild = _each(
                    gauss(40, 3, (), 3), put("y", (place, 1), value), put("y", (3, 0), np.nan)
                )
                right = only((1,), BROKEN if np.isinf(value) else FINE)
                yield Case(f"{value:g} in y, row {place}{tail}", wild, options, right)
        wild = _each(gauss(40, 3, (3,)), put("X", (1, 0, 1), np.inf), put("y", (1, 7), np.nan))
        for name, lead in (("", (2,)), (", shared", ())):
            wild = _each(gauss(40, 3, lead, 2), put("y", (..., 1), np.inf), holed("y"))
            yield Case(f"nothing but inf in y{name}{tail}", wild, options, _second_broken)
        yield Case(f"inf in X beside NaN{tail}", wild, options, only((1,), BROKEN))
    offsets = _each(gauss(60, 3, (), 3, uniform), offset(1e7, 1e7), anywhere)
    options = {"add_intercept": True, "missing": "drop"}
    yield Case("offset 1e7, shared, dropped", offsets, options)
    offsets = _each(gauss(60, 3, (2,)), offset(1e7, 1e7), anywhere)
    yield Case("offset 1e7, dropped", offsets, options)


def _second_broken(place: Place) -> frozenset[Status]:
    return BROKEN if place[-1] == 1 else FINE


def hidden_by_vectors() -> Iterator[Case]:
    """What a row holds does not matter to a vector of weights that has zero there."""
    for value in (np.nan, np.inf, 1e200):

        def hidden(X: Any, y: Any, w: Any, value: float = value) -> None:
            w[:3, 5] = 0.0
            w[3:, 5] = 1.0
            X[5, 1] = value

        make = changed(weight_vectors(None), hidden)

        def right(place: Place, value: float = value) -> frozenset[Status]:
            return FINE if place[0] < 3 or value == 1e200 else BROKEN

        name = f"{value:g} in X where some weights are zero"
        yield Case(name, make, {"add_intercept": True}, right)

"""The cases that every engine must answer alike: shapes, weights, penalties, layouts and trouble.

Each is a recipe for data, the options of `gpuols.fit`, and the statuses that are right. A case
makes the same data each time, from its name, and hands it out read-only.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from case import (
    BROKEN,
    FEW,
    FINE,
    HARD,
    Case,
    Data,
    Place,
    cast,
    changed,
    collinear,
    constant,
    dependent,
    gauss,
    one_heavy,
    only,
    put,
    scaled,
    uniform,
    wide,
    with_zeros,
)
from gaps import hidden_by_vectors, missing, weight_vectors
from layouts import (
    backwards,
    batch_last,
    fortran,
    one_row_for_all,
    responses_as_rows,
    strided,
    unaligned,
)
from troubles import degenerate, extremes, scales, singular

from gpuols import Status


def _two_axes(rng: np.random.Generator) -> Data:
    X, y = rng.normal(size=(2, 1, 30, 3)), rng.normal(size=(1, 3, 30))
    return X, y, rng.uniform(0.5, 2.0, (3, 30))


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
    rows = changed(gauss(40, 3, (), 9), responses_as_rows)
    yield Case("responses as rows", rows, intercept)
    yield Case("responses as rows, no intercept", rows)
    yield Case("one response as a row", changed(gauss(40, 3, (), 1), responses_as_rows))
    weighed = changed(gauss(40, 3, (), 9, uniform), responses_as_rows)
    yield Case("responses as rows, weights shared", weighed, intercept)
    each = changed(rows, lambda X, y, w: (X, y, 1.0 + y**2))
    yield Case("responses as rows, weights each", each, intercept)
    yield Case("weight vectors over one design", weight_vectors(None), intercept)
    yield Case("weight vectors over one design, m=2", weight_vectors(2))


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
            status = HARD if size == 1e20 and not add else FINE
            yield Case(f"one row of weight {size:g}{tail}", heavy, options, status)
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
        yield Case(f"ridge 1e12{tail}", gauss(40, 3), options(1e12))
        each = np.array([0.0, 0.5, 20.0])
        yield Case(f"ridge for each{tail}", gauss(40, 3, (3,)), options(each))
        yield Case(f"ridge for each, weights{tail}", gauss(40, 3, (3,), 2, uniform), options(each))
        yield Case(f"ridge, shared{tail}", gauss(40, 3, (), 4, uniform), options(2.0))
        rows = changed(gauss(40, 3, (), 3), responses_as_rows)
        yield Case(f"ridge, responses as rows{tail}", rows, options(2.0))
        yield Case(f"ridge for each, responses as rows{tail}", rows, options(each))
        yield Case(f"ridge, p=20{tail}", gauss(50, 20 - add, (2,)), options(3.0))
        yield Case(f"ridge, n<p{tail}", gauss(5, 8), options(3.0))
        yield Case(f"ridge, n=p{tail}", gauss(4, 4 - add), options(3.0))
        yield Case(f"small ridge, n<p{tail}", gauss(5, 8), options(1e-4))
        twin = changed(gauss(40, 3), dependent(2, 0))
        yield Case(f"ridge, duplicated column{tail}", twin, options(3.0))
        zero = changed(gauss(40, 3), put("X", (1, slice(None), 1), 0.0))
        yield Case(f"ridge, zero column{tail}", zero, options(3.0))
        for power in (3, 5, 7):
            near = changed(gauss(40, 3), collinear(10.0**power))
            size = 10.0**-power
            yield Case(f"ridge {size:g}, condition 1e{power}{tail}", near, options(size))
        units = changed(gauss(40, 3), scaled(1e4, 1.0, 1e-4))
        yield Case(f"ridge, badly scaled{tail}", units, options(1e-2))
        one = FEW | {Status.UNTRUSTED} if add else FINE
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
    for change in (fortran, strided, backwards, batch_last, unaligned, one_row_for_all):
        name = change.__name__.strip("_").replace("_", " ")
        yield Case(name, changed(gauss(60, 3, (2,), None, uniform), change), intercept)
        yield Case(f"{name}, no weights", changed(gauss(60, 3), change))
    for change in (fortran, strided, unaligned):
        name = change.__name__.strip("_").replace("_", " ")
        yield Case(f"{name}, shared", changed(gauss(60, 3, (), 3), change), intercept)


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

    def dependent_columns(X: Any, y: Any, w: Any) -> None:
        X[1:, :, 2] = X[1:, :, 0] + X[1:, :, 1]
        y[1:, 4] = np.nan

    for tail, m, intercept in (("", None, False), (", intercept", None, True), (", m=2", 2, False)):
        data = changed(gauss(40, 3, (9,), m), dependent_columns)
        name, options = f"NaN in y, columns dependent{tail}", {"add_intercept": intercept}
        yield Case(name, data, options, _all_broken_but_the_first)
    for add, tail in ((False, ""), (True, ", intercept")):
        data = changed(gauss(3 + add, 3, (9,)), put("y", (1, 0), np.nan))
        yield Case(f"NaN in y, few rows{tail}", data, {"add_intercept": add}, _few_or_broken)
    penalised = changed(gauss(40, 3, (3,)), put("y", (1, 4), np.nan))
    yield Case("NaN in y, ridge", penalised, {"ridge": 2.0}, second)


def _all_broken_but_the_first(where: Place) -> frozenset[Status]:
    return BROKEN if where[0] else FINE


def _few_or_broken(where: Place) -> frozenset[Status]:
    return BROKEN if where == (1,) else FEW


CASES = (
    *_ordinary(),
    *_leading(),
    *_weights(),
    *_ridge(),
    *_layouts(),
    *_nonfinite(),
    *missing(),
    *hidden_by_vectors(),
    *scales(),
    *extremes(),
    *singular(),
    *degenerate(),
)

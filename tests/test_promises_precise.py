"""Bits under every solver and policy, beside neighbours with every kind of trouble."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuols
from gpuols import Status
from gpuols.options import THREADS_VARIABLE

NUMBERS = (
    *("params", "bse", "tvalues", "pvalues", "ssr", "scale", "centered_tss", "rsquared"),
    *("error_bound", "status", "rank", "nobs", "df_resid", "solved_precisely", "normalized_cov"),
)
SOLVERS = ("auto", "cholesky", "accurate")
POLICIES = ("drop", "min_norm", "nan")
# Around changes of strategy: k = 16 | 17, lanes of 64 rows, blocks of 256, pieces of 4096.
SHAPES = [(6, 2, 1), (9, 3, 2), (60, 4, 1), (130, 5, 3), (257, 7, 1), (300, 17, 2), (4100, 3, 2)]

WAYS = (
    *(("auto", "drop"), ("auto", "min_norm"), ("cholesky", "drop")),
    *(("accurate", "min_norm"), ("accurate", "nan")),
)

every_way = pytest.mark.parametrize(("solver", "singular"), WAYS)
every_weighting = pytest.mark.parametrize(
    ("solver", "singular", "weighted"),
    [*((*way, True) for way in WAYS), ("auto", "drop", False), ("accurate", "min_norm", False)],
)
every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_policy = pytest.mark.parametrize("singular", POLICIES)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)

# That lines are reached is seen elsewhere; to count them would take a third of the time.
pytestmark = pytest.mark.uncovered

TROUBLES = (
    "none",
    "close",
    "nan",
    "inf in y",
    "overflow",
    "twin",
    "zero",
    "exact",
    "flat y",
    "few",
    "rounded",
)


def troubled(trouble, X, y, w):
    """Put a trouble into one regression, in place: X (n, k), y (n, m), w (n,)."""
    k, middle = X.shape[1], len(X) // 2
    w[middle] = 1.0
    if trouble == "close":
        X[:, -1] = X[:, 0] + 1e-7 * X[:, -1] if k > 1 else X[:, -1] + 1e7
    elif trouble == "nan":
        X[middle, -1] = np.nan
    elif trouble == "inf in y":
        y[middle, 0] = np.inf
    elif trouble == "overflow":
        X *= 1e200
    elif trouble == "twin":
        X[:, -1] = X[:, 0] if k > 1 else 0.0
    elif trouble == "zero":
        X[:, 0] = 0.0
    elif trouble == "exact":
        X[:] = np.round(4 * X)
        y[:] = X[:, :1] * 3.0 + 1.0
    elif trouble == "flat y":
        y[:] = 0.1
    elif trouble == "few":
        w[k:] = 0.0
    elif trouble == "rounded":
        y[:] = 0.1 * X[:, :1] + 0.3


def mixture(shape, weighted, troubles=TROUBLES, seed=0):
    """A batch with one regression of each trouble, and the options of its fit; read-only."""
    n, k, m = shape
    rng = np.random.default_rng([seed, n, k, m])
    count = len(troubles)
    X = rng.standard_normal((count, n, k)) + 3.0
    y = X[:, :, :1] + rng.standard_normal((count, n, m))
    w = rng.uniform(0.1, 2.0, (count, n)) * (rng.random((count, n)) > 0.1)
    for i, trouble in enumerate(troubles):
        troubled(trouble, X[i], y[i], w[i])
    for array in (X, y, w):
        array.flags.writeable = False
    return X, y, {"weights": w} if weighted else {}


def some(options, where):
    """Options of some regressions of the batch."""
    return {
        name: value[where] if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }


def numbers(result):
    """Everything that must keep its bits."""
    return {name: np.asarray(getattr(result, name)) for name in NUMBERS}


def assert_same_bits(found, expected):
    """Compare two results to the last bit, NaN equal to NaN."""
    found, expected = numbers(found), numbers(expected)
    for name in NUMBERS:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name, strict=True)


@every_shape
@every_weighting
def test_alone_in_any_order_and_in_chunks(shape, solver, singular, weighted):
    X, y, options = mixture(shape, weighted)
    options |= {"solver": solver, "singular": singular, "add_intercept": True}
    whole = gpuols.fit(X, y, **options)
    for i in range(len(X)):
        one = slice(i, i + 1)
        assert_same_bits(gpuols.fit(X[one], y[one], **some(options, one)), whole[one])
    order = np.random.default_rng(1).permutation(len(X))
    assert_same_bits(gpuols.fit(X[order], y[order], **some(options, order)), whole[order])
    for size in (1, 3):
        assert_same_bits(gpuols.fit(X, y, batch_size=size, **options), whole)


@pytest.mark.parametrize("shape", SHAPES[1::2] + SHAPES[-1:], ids=str)
@every_solver
@pytest.mark.parametrize("add_intercept", [False, True])
def test_threads_and_memory(shape, solver, add_intercept, monkeypatch):
    X, y, options = mixture(shape, True)
    options |= {"solver": solver, "add_intercept": add_intercept, "singular": "min_norm"}
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    whole = gpuols.fit(X, y, **options)
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    assert_same_bits(gpuols.fit(X, y, batch_size=2, **options), whole)
    wide = np.repeat(X, 2, axis=-1)[..., ::2]
    odd = np.empty(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    odd[...] = X
    flipped = np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]
    for same in (np.asfortranarray(X), wide, odd, flipped):
        assert_same_bits(gpuols.fit(same, y, **options), whole)
    assert_same_bits(gpuols.fit(X, np.asfortranarray(y), **options), whole)


@every_solver
@every_policy
@pytest.mark.parametrize("design", ["none", "close", "twin", "zero", "overflow"])
def test_responses_that_share_a_design(solver, singular, design):
    n, m = 70, 300
    X, _, _ = mixture((n, 4, 1), False, [design])
    X = X[0]
    rng = np.random.default_rng(2)
    y = rng.standard_normal((n, m))
    y[3, 10], y[0, 20], y[:, 30] = np.nan, np.inf, 7.0
    y[:, 40:60] = np.nan_to_num(X[:, :1]) + 10.0 ** -np.arange(20) * y[:, 40:60]
    y[:, 60], y[:, 61] = 1e200 * y[:, 60], 1e-200 * y[:, 61]
    options = {"solver": solver, "singular": singular, "add_intercept": True}
    whole = gpuols.fit(X, y, **options)
    for count in (1, 2, 129):
        places = np.r_[rng.permutation(m)[: count // 2], rng.permutation(62)[: count - count // 2]]
        part = gpuols.fit(X, y[:, places].copy(), **options)
        assert_same_bits(part, whole[places])
    assert_same_bits(gpuols.fit(X, y, batch_size=50, **options), whole)
    rows = gpuols.fit(X[None], np.ascontiguousarray(y.T), **options)
    np.testing.assert_array_equal(rows.params, whole.params.T)
    np.testing.assert_array_equal(rows.status, whole.status)


@every_shape
@every_way
def test_groups_are_fits_alone(shape, solver, singular):
    n, k, m = shape
    X, y, options = mixture(shape, True)
    options |= {"solver": solver, "singular": singular, "add_intercept": True}
    options["device"] = "cpu:numpy"
    whole = gpuols.fit(X, y, **options)
    count = len(X)
    keys = np.repeat(np.arange(count), n)
    mixing = np.argsort(np.tile(np.arange(n), count), kind="stable")
    options["weights"] = options["weights"].reshape(-1)[mixing]
    grouped = gpuols.fit_groups(
        X.reshape(-1, k)[mixing], y.reshape(-1, m)[mixing], keys[mixing], **options
    )
    assert_same_bits(grouped, whole)


@every_shape
@pytest.mark.parametrize("add_intercept", [False, True])
def test_a_stream_of_precise_moments_is_the_same_in_any_company(shape, add_intercept):
    X, y, options = mixture(shape, True)
    n = shape[0]
    ends = [0, n // 3, n // 3 + 1, n]

    def stream(where, size=None):
        total = 0
        for first, last in pairwise(ends):
            total += gpuols.moments(
                X[where, first:last],
                y[where, first:last],
                weights=options["weights"][where, first:last],
                add_intercept=add_intercept,
                solver="accurate",
                batch_size=size,
            )
        return gpuols.fit_moments(total)

    whole = stream(slice(None))
    assert_same_bits(stream(slice(None), 3), whole)
    for i in range(len(X)):
        assert_same_bits(stream(slice(i, i + 1)), whole[i : i + 1])
    order = np.random.default_rng(3).permutation(len(X))
    assert_same_bits(stream(order), whole[order])


@every_solver
@pytest.mark.parametrize("singular", [*POLICIES, "raise"])
@pytest.mark.parametrize("verb", ["batch", "shared", "groups", "moments"])
def test_inputs_are_never_written(solver, singular, verb):
    troubles = TROUBLES if singular != "raise" else ("none", "close", "nan", "overflow", "exact")
    X, y, options = mixture((40, 3, 2), True, troubles)
    X, y, w = X.copy(), y.copy(), options["weights"].copy()
    before = [array.tobytes() for array in (X, y, w)]
    chosen = {"solver": solver, "add_intercept": True}
    if verb == "batch":
        gpuols.fit(X, y, weights=w, singular=singular, **chosen)
    elif verb == "shared":
        gpuols.fit(X[0], y[0], weights=w[0], singular=singular, **chosen)
    elif verb == "groups":
        keys = np.repeat(np.arange(len(X)), 40)
        flat = X.reshape(-1, 3), y.reshape(-1, 2), keys
        gpuols.fit_groups(*flat, weights=w.reshape(-1), singular=singular, **chosen)
    else:
        formed = gpuols.moments(X, y, weights=w, **chosen)
        held = [np.copy(array) for array in (formed.sxx, formed.sxy, formed.syy)]
        gpuols.fit_moments(formed, singular=singular)
        for array, kept in zip((formed.sxx, formed.sxy, formed.syy), held, strict=True):
            np.testing.assert_array_equal(array, kept)
    assert [array.tobytes() for array in (X, y, w)] == before


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 300),
    k=st.integers(1, 18),
    m=st.integers(1, 3),
    add_intercept=st.booleans(),
    weighted=st.booleans(),
    solver=st.sampled_from(SOLVERS),
    singular=st.sampled_from(POLICIES),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_beside_any_trouble(n, k, m, add_intercept, weighted, solver, singular, seed):
    troubles = np.random.default_rng(seed).choice(TROUBLES, 7)
    X, y, options = mixture((n, k, m), weighted, troubles, seed)
    options |= {"solver": solver, "singular": singular, "add_intercept": add_intercept}
    whole = gpuols.fit(X, y, **options)
    i = seed % len(troubles)
    alone = gpuols.fit(X[i : i + 1].copy(), y[i : i + 1], **some(options, slice(i, i + 1)))
    assert_same_bits(alone, whole[i : i + 1])


def test_the_mixture_has_every_status():
    X, y, options = mixture((60, 4, 1), True)
    status = gpuols.fit(X, y, add_intercept=True, **options).status[:, 0]
    assert status.tolist() == [
        *(Status.OK, Status.OK, Status.NONFINITE, Status.NONFINITE, Status.OK),
        *(Status.RANK_DEFICIENT, Status.RANK_DEFICIENT, Status.OK, Status.OK),
        *(Status.TOO_FEW_ROWS, Status.OK),
    ]
    fast = gpuols.fit(X, y, add_intercept=True, solver="cholesky", **options)
    assert (fast.status[[1, 5, 6], 0] == Status.UNTRUSTED).all()

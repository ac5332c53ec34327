"""The compiled CPU engine in double-double: the sums of the NumPy engine, to the bit."""

from importlib.util import find_spec

import numpy as np
import pytest
from problems import CASES

import gpuols
from gpuols import Status
from gpuols.engines import cpu
from gpuols.engines.workspace import Workspace
from gpuols.moments import Moments
from gpuols.sums import Low

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")

if find_spec("numba") is not None:
    from numba import njit

    from gpuols.engines import cpu_jit
    from gpuols.engines.jit.lanes import every
    from gpuols.engines.jit.memory import gather, load, store

    @njit
    def look_up(source, places, numbers, out):
        number = load(numbers, 0)
        store(out, 0, gather(source, places, 0, 1, number < 5.0, every(-1.0)))
        store(out, 1, -number)


NUMBERS = ("params", "bse", "ssr", "error_bound", "df_resid", "status", "rank")


def rows(n, k, m=1, count=11, seed=0):
    """A batch; some rows of weight zero, some anchors far from the mean."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(5.0, 1.0, (count, n, k)), rng.normal(size=(count, n, m))
    weights = rng.uniform(0.5, 2.0, (count, n))
    weights[:, 3::7] = 0.0
    for place in {0, n // 2, n - 1} if n > 2 else ():
        x[-1, place], y[-1, place] = 1e3, -1e4
    return x, y, weights


def sum_by_numpy(tables, places, **kind):
    return cpu.moments_batch(*tables, places, precise=True, space=Workspace(), **kind)


def assert_same_sums(found: Moments, expected: Moments):
    for name in ("nobs", "sumw", "anchor", "mean", "raw", "sxx", "sxy", "syy", "units"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    for name in Low.__annotations__:
        np.testing.assert_array_equal(getattr(found.low, name), getattr(expected.low, name), name)
    np.testing.assert_allclose(found.sum_log_w, expected.sum_log_w, rtol=1e-12, atol=1e-12)
    assert found.precise


def assert_same_answers(found, expected):
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def fit_both(X, y, **options):
    return (gpuols.fit(X, y, device=name, **options) for name in ("cpu:numba", "cpu:numpy"))


@pytest.mark.parametrize("place", range(0, len(CASES), 2), ids=lambda place: CASES[place].name)
def test_every_other_case(place):
    X, y, weights = CASES[place].data()
    options = {"singular": ("drop", "nan", "min_norm")[place // 2 % 3], **CASES[place].options}
    found, expected = fit_both(X, y, weights=weights, **{**options, "solver": "accurate"})
    assert_same_answers(found, expected)


@pytest.mark.parametrize("singular", ["drop", "nan", "min_norm"])
@pytest.mark.parametrize("intercept", [False, True])
def test_redundant_columns_exact_fits_and_penalties(intercept, singular):
    X, y, weights = rows(40, 4, 2, count=18)
    X[1, :, 2] = X[1, :, 0] - 2.0 * X[1, :, 1]
    X[2, :, 3] = X[2, :, 0] + 1e-7 * X[2, :, 3]
    X[3, :, 1], X[4, :, 0], y[5] = 3.0, 0.0, 0.0
    y[6] = X[6, :, :2] * 3.0 + 1.0
    X[7], y[7] = np.round(X[7]), np.round(X[7])[:, :2] / 3.0
    X[8, 4:], y[8, 4:], y[9, :, 0] = 0.0, 0.0, 1e9 + y[9, :, 0]
    X[10, 2, 2], y[11, 3, 1], weights[12], weights[13, 4:] = np.nan, np.inf, 0.0, 0.0
    options = {"add_intercept": intercept, "singular": singular, "solver": "accurate"}
    for more in ({}, {"weights": weights}, {"ridge": np.arange(18) % 2 * 0.5}):
        found, expected = fit_both(X, y, **more, **options)
        assert_same_answers(found, expected)
    helped = "cpu:numba+cpu:numpy" if singular == "min_norm" else "cpu:numba"
    assert gpuols.fit(X[:2], y[:2], device="cpu:numba", **options).engine == helped


@pytest.mark.parametrize(
    "n", [0, 1, 2, 15, 16, 31, 32, 63, 64, 127, 200, 511, 512, 4095, 4096, 4097, 13_000]
)
def test_any_number_of_rows(n):
    count = 11 if n < 4000 else 3
    places = np.arange(count)
    for k, m in ((3, 1), (0, 2), (2, 0)):
        x, y, weights = rows(n, k, m, count)
        for heavy in (None, weights):
            kind = {"centered": heavy is None or n % 2 == 0, "drop": False}
            found = cpu_jit.reduce_batch((x, y, heavy), (count,), places, **kind)
            assert_same_sums(found, sum_by_numpy((x, y, heavy), places, **kind))


@pytest.mark.parametrize(("k", "m"), [(4, 1), (5, 4), (1, 9), (13, 3), (33, 2)])
def test_any_number_of_columns(k, m):
    x, y, weights = rows(50, k, m)
    for heavy in (None, weights):
        kind = {"centered": True, "drop": False}
        found = cpu_jit.reduce_batch((x, y, heavy), (11,), np.arange(11), **kind)
        assert_same_sums(found, sum_by_numpy((x, y, heavy), np.arange(11), **kind))


@pytest.mark.parametrize("options", [{}, {"centered": True}, {"drop": True}], ids=str)
@pytest.mark.parametrize(("n", "k", "m"), [(40, 3, 1), (70, 5, 3), (600, 0, 2)])
def test_residuals(n, k, m, options):
    x, y, weights = rows(n, k, m, count=3)
    y[0] = x[0].sum(axis=-1, keepdims=True)
    x[1] = np.round(x[1])
    y[1] = x[1].sum(axis=-1, keepdims=True) / 3.0
    kind = {"centered": False, "drop": False} | options
    for heavy in (None, weights):
        tables, looks = (x, y, heavy), []
        for _ in range(3):
            expected = sum_by_numpy(tables, np.arange(3), fitted=looks, **kind)
            found = cpu_jit.reduce_batch(tables, (3,), np.arange(3), fitted=looks, **kind)
            assert_same_sums(found, expected)
            looks = [*looks, expected]


def test_residuals_of_many_rows():
    x, y, weights = rows(4100, 2, count=2)
    kind = {"centered": True, "drop": True}
    looks = [sum_by_numpy((x, y, weights), np.arange(2), **kind)]
    found = cpu_jit.reduce_batch((x, y, weights), (2,), np.arange(2), fitted=looks, **kind)
    assert_same_sums(found, sum_by_numpy((x, y, weights), np.arange(2), fitted=looks, **kind))


def test_negative_numbers_and_vectors_by_place():
    source, out = np.arange(20.0), np.empty((2, 8))
    places = np.array([[0, 3, 6, 9, 12, 1, 2, 15]])
    look_up(source, places, np.arange(8.0)[None], out)
    np.testing.assert_array_equal(out[0], [1.0, 4.0, 7.0, 10.0, 13.0, -1.0, -1.0, -1.0])
    np.testing.assert_array_equal(out[1], -np.arange(8.0))
    assert np.signbit(out[1, 0])


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_read_however_they_lie(weighted, drop):
    x, y, weights = rows(70, 3, 2, count=12)
    x[2, 5, 1], y[7, 6, 0], x[8, 4, 0] = np.nan, np.nan, np.inf
    y = y[:, ::-1]
    heavy = weights[:1] if weighted else None
    full = (x, y, heavy if heavy is None else np.broadcast_to(heavy, weights.shape))
    kind = {"centered": True, "drop": drop}
    places = np.array([0, 2, 7, 8, 11])
    expected = sum_by_numpy(full, places, **kind)
    turned = np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)
    bytes_before = np.zeros(x.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(x.shape)
    bytes_before[:] = x
    for own in (x, turned, x[::-1].copy()[::-1], x.astype(">f8"), bytes_before):
        shaped = [None if a is None else a.reshape(-1, 3, *a.shape[1:]) for a in (own, y)]
        given = *shaped, None if heavy is None else heavy.reshape(1, 1, 70)
        found = cpu_jit.reduce_batch(given, (4, 3), places, batch_size=2, **kind)
        assert_same_sums(found, expected)
    narrow = x.astype(np.float32), *full[1:]
    found = cpu_jit.reduce_batch(narrow, (12,), places, **kind)
    assert_same_sums(found, sum_by_numpy(narrow, places, **kind))


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("options", [{}, {"missing": "drop"}], ids=str)
def test_groups(options, ordered):
    sizes = (50, 9, 513, 0, 600, 70, 8, 10)
    keys = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(0)
    x, y = rng.normal(5.0, 1.0, (len(keys), 3)), rng.normal(size=(len(keys), 2))
    weights = rng.uniform(0.5, 2.0, len(keys))
    x[:50] *= [1.0, 1e150, 1.0]
    exact = (keys == 1) | (keys == 2) | (keys == 4)
    y[exact] = x[exact, :1] - [3.0, 7.0]
    y[:50] = x[:50, 1:2] * 3.0
    if options:
        x[::31, 0], y[::47, 1] = np.nan, np.nan
    if not ordered:
        moved = rng.permutation(len(keys))
        keys, x, y, weights = (a[moved] for a in (keys, x, y, weights))
    options |= {"solver": "accurate", "add_intercept": True}
    for heavy in (None, weights):
        found, expected = (
            gpuols.fit_groups(x, y, keys, weights=heavy, device=name, **options)
            for name in ("cpu:numba", "cpu:numpy")
        )
        assert_same_answers(found, expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_responses_on_one_design(weighted):
    x, y, weights = (a[0] for a in rows(70, 3, 40))
    y[:, 3] = x.sum(axis=1)
    y[:, 4] *= 1e100
    y[[0, 35, 69], 5] = 1e4
    y[7, 6] = np.nan
    options = {"weights": weights if weighted else None, "solver": "accurate"}
    for intercept in (False, True):
        found, expected = fit_both(x, y, add_intercept=intercept, batch_size=9, **options)
        assert_same_answers(found, expected)
    assert (found.status[[3, 5]] == Status.OK).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1e100, 1e-100, 1e300, 1e-300])
def test_columns_and_weights_that_need_units(scale, weighted):
    x, y, weights = rows(40, 3, count=6)
    x[1, :, 2] *= scale
    y[3] *= scale
    if weighted:
        weights[4] *= scale
        x[5, weights[5] == 0] = 1.0
        x[5, weights[5] > 0] *= scale
    tables = (x, y, weights if weighted else None)
    kind = {"centered": True, "drop": False}
    expected = sum_by_numpy(tables, np.arange(6), **kind)
    assert_same_sums(cpu_jit.reduce_batch(tables, (6,), np.arange(6), **kind), expected)
    found = cpu_jit.reduce_batch(tables, (6,), np.arange(6), fitted=[expected], **kind)
    assert_same_sums(found, sum_by_numpy(tables, np.arange(6), fitted=[expected], **kind))


def test_units_are_told_by_a_column_times_the_root_of_its_weights():
    x, y, weights = rows(40, 3, count=4)
    x[1, :, 2], weights[1] = 1e-320, weights[1] * 1e-40
    x[2, :, 2], weights[2] = x[2, :, 2] * 1e60, weights[2] * 1e40
    weights[3, :3] = 1e-60, 1e40, 1e-40
    x[3, :, 0] = 1e-30
    x[3, 1] = 0.0
    tables, kind = (x, y, weights), {"centered": True, "drop": False}
    found = cpu_jit.reduce_batch(tables, (4,), np.arange(4), **kind)
    assert_same_sums(found, sum_by_numpy(tables, np.arange(4), **kind))


def test_a_weight_that_tells_nothing_beside_the_largest_is_known():
    x, y, weights = rows(40, 3)
    weights[1] *= 1e40
    weights[1, 0] = 1e-263
    tables, kind = (x, y, weights), {"centered": True, "drop": False}
    found = cpu_jit.reduce_batch(tables, (11,), np.arange(11), **kind)
    assert_same_sums(found, sum_by_numpy(tables, np.arange(11), **kind))
    assert np.isinf(found.raw[:, 3]).tolist() == [i == 1 for i in range(11)]


@pytest.mark.parametrize("n", [20, 60, 5000])
def test_bits_are_a_regressions_own(n):
    x, y, weights = rows(n, 5, count=19)
    kind = {"centered": True, "drop": False}
    whole = cpu_jit.reduce_batch((x, y, weights), (19,), np.arange(19), **kind)
    x[2], y[3], weights[5] = np.nan, np.inf, 0.0
    fine = np.delete(np.arange(19), [2, 3, 5])
    for size in (1, 3, None):
        found = cpu_jit.reduce_batch((x, y, weights), (19,), fine, batch_size=size, **kind)
        assert_same_sums(found, whole[fine])
    beside = cpu_jit.reduce_batch((x, y, weights), (19,), np.arange(19), batch_size=7, **kind)
    assert_same_sums(beside[fine], whole[fine])

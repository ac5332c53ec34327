"""The compiled CPU engine: the answers of the NumPy engine, however rows lie, whoever is beside."""

from importlib.util import find_spec

import numpy as np
import pytest
from agreement import disagreements
from problems import CASES

import gpuols
from gpuols import DeviceError, Status, engines

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")
NUMBERS = ("params", "bse", "ssr", "error_bound", "df_resid", "status", "rank")


def fit_both(X, y, **options):
    return (gpuols.fit(X, y, device=name, **options) for name in ("cpu:numba", "cpu:numpy"))


def assert_same_bits(found, expected):
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(3.0, 1.0, shape)


@needs_numba
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case(case):
    X, y, weights = case.data()
    found, expected = fit_both(X, y, weights=weights, **case.options)
    assert disagreements(found, expected) == []


@needs_numba
@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 63, 64, 65, 255, 257, 2047, 2048, 2049, 20_000])
def test_any_number_of_rows(n):
    for k, m in ((2, 1), (3, 2)):
        X, y, weights = normal(5, n, k), normal(5, n, m, seed=1), normal(5, n, seed=2) ** 2
        weights[:, 3::7] = 0.0
        for heavy in (None, weights):
            found, expected = fit_both(X, y, weights=heavy, add_intercept=True)
            assert disagreements(found, expected) == []


@needs_numba
@pytest.mark.parametrize("m", [0, 1, 2, 7, 8, 9, 40])
@pytest.mark.parametrize("k", [0, 1, 4, 5, 6, 7, 8, 14, 15, 16, 23, 24, 40])
def test_any_number_of_columns_and_responses(k, m):
    X, y = normal(11, 60, k), normal(11, 60, m, seed=1)
    X[4, 7:9] = np.nan
    y[6:8, 3] = np.nan
    found, expected = fit_both(X, y, add_intercept=True)
    assert disagreements(found, expected) == []
    options = {"ridge": np.arange(11) % 3 * 1.5, "solver": "cholesky"}
    if m == 1:
        options["missing"] = "drop"
    found, expected = fit_both(X, y, **options)
    assert disagreements(found, expected) == []


@needs_numba
def test_a_bound_that_counts_long_runs_holds():
    X, y = np.round(normal(1, 100_000, 3), 1), np.round(normal(1, 100_000, seed=1), 1)
    found, _ = fit_both(X, y, add_intercept=True, solver="cholesky")
    exact = gpuols.fit(X, y, add_intercept=True, solver="accurate", device="cpu:numpy")
    assert disagreements(found, exact) == []


@needs_numba
def test_a_bound_holds_where_weights_round_alike():
    X, y, weights = normal(4, 20_000, 0), normal(4, 20_000) - 3.0, np.full((4, 20_000), 0.1)
    options = {"weights": weights, "add_intercept": True}
    found, _ = fit_both(X, y, solver="cholesky", **options)
    exact = gpuols.fit(X, y, solver="accurate", device="cpu:numpy", **options)
    assert disagreements(found, exact) == []


@needs_numba
@pytest.mark.parametrize("k", [3, 9])
def test_rows_are_read_however_they_lie(k):
    X, y, weights = normal(12, 50, k), normal(12, 50, seed=1), normal(12, 50, seed=2) ** 2
    expected = gpuols.fit(X, y, weights=weights, device="cpu:numba")
    doubled = np.repeat(X, 2, axis=1)
    bytes_before = np.zeros(X.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(X.shape)
    bytes_before[:] = X
    for own in (
        np.asfortranarray(X),
        X[::-1].copy()[::-1],
        doubled[:, ::2],
        np.concatenate([X, X], axis=1)[:, :50],
        bytes_before,
        X.astype(">f8"),
        X.astype(np.longdouble),
    ):
        assert_same_bits(gpuols.fit(own, y, weights=weights, device="cpu:numba"), expected)
    narrow = X.astype(np.float32)
    same = gpuols.fit(narrow.astype(np.float64), y, weights=weights, device="cpu:numba")
    assert_same_bits(gpuols.fit(narrow, y, weights=weights, device="cpu:numba"), same)


@needs_numba
def test_leading_axes_broadcast():
    X, y = normal(4, 1, 50, 3), normal(1, 3, 50, seed=1)
    found = gpuols.fit(X, y, device="cpu:numba")
    whole = np.broadcast_to(X, (4, 3, 50, 3)).reshape(12, 50, 3)
    expected = gpuols.fit(whole, np.tile(y[0], (4, 1)), device="cpu:numba")
    assert found.params.shape == (4, 3, 3)
    np.testing.assert_array_equal(found.params.reshape(12, 3), expected.params)
    for lead in ((), (2, 2), (1, 4)):
        X, y = normal(*lead, 50, 3), normal(*lead, 50, seed=1)
        found, expected = fit_both(X, y, add_intercept=True)
        assert disagreements(found, expected) == []


@needs_numba
@pytest.mark.parametrize(("n", "k"), [(60, 3), (300, 20), (5000, 2)])
def test_bits_are_a_regressions_own(n, k):
    X, y = normal(40, n, k), normal(40, n, seed=1)
    whole = gpuols.fit(X, y, add_intercept=True, device="cpu:numba")
    X[3], y[20, 5], X[21, :, 1] = np.inf, np.nan, X[21, :, 0]
    beside = gpuols.fit(X, y, add_intercept=True, device="cpu:numba", batch_size=7)
    fine = np.delete(np.arange(40), [3, 20, 21])
    assert_same_bits(beside[fine], whole[fine])
    for some in ([0], [39], [5, 30, 31]):
        alone = gpuols.fit(X[some], y[some], add_intercept=True, device="cpu:numba")
        assert_same_bits(alone, whole[some])
    assert (beside.status[[3, 20]] == Status.NONFINITE).all()
    assert beside.status[21] == Status.RANK_DEFICIENT


@needs_numba
def test_a_penalty_is_a_regressions_own():
    X, y = normal(8, 60, 3), normal(8, 60, seed=1)
    ridge = np.arange(8) % 3 * 1.5
    whole = gpuols.fit(X, y, ridge=ridge, add_intercept=True, device="cpu:numba")
    for b, penalty in enumerate(ridge):
        given = {"ridge": penalty, "add_intercept": True, "device": "cpu:numba"}
        assert_same_bits(gpuols.fit(X[[b]], y[[b]], **given)[0], whole[b])


@needs_numba
def test_the_result_says_who_was_at_work():
    X, y = normal(12, 50, 3), normal(12, 50, seed=1)
    keys = np.repeat(np.arange(12), 50)
    assert gpuols.fit(X, y, device="cpu:numba").engine == "cpu:numba"
    helped = "cpu:numba+cpu:numpy"
    groups = gpuols.fit_groups(X.reshape(-1, 3), y.reshape(-1), keys, device="cpu:numba")
    assert groups.engine == "cpu:numba"
    assert gpuols.fit(X[0], y.T, device="cpu:numba").engine == helped
    assert gpuols.fit(X, y, device="cpu:numba", solver="accurate").engine == helped
    X[5, :, 2] = X[5, :, 1]
    assert gpuols.fit(X, y, device="cpu:numba").engine == helped


@needs_numba
def test_progress_counts_all():
    X, y, told = normal(40, 50, 3), normal(40, 50, seed=1), []
    options = {"progress": lambda done, total: told.append((done, total)), "batch_size": 9}
    gpuols.fit(X, y, device="cpu:numba", **options)
    assert (len(told), told[-1]) == (5, (40, 40))


def test_without_numba_the_reason_is_given(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"Numba is not installed: pip install .*gpuols\[cpu\]"):
        gpuols.fit(normal(2, 9, 2), normal(2, 9), device="cpu:numba")
    assert "gpuols[cpu]" in gpuols.info().engines["cpu:numba"]

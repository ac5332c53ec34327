"""The compiled CPU engine: the answers of the NumPy engine, however rows lie, whoever is beside."""

from importlib.util import find_spec

import numpy as np
import pytest
from agreement import disagreements
from problems import CASES

import gpuols
from gpuols import Status
from gpuols.engines import workspace

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
        for own in (X, X.astype(np.float32)):
            found, expected = fit_both(own, y, add_intercept=True)
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
@pytest.mark.parametrize(("n", "k"), [(60, 3), (300, 20), (5000, 2)])
def test_whatever_memory_held_changes_no_bit(monkeypatch, n, k):
    X, y = normal(11, n, k), normal(11, n, seed=1)
    expected = gpuols.fit(X, y, add_intercept=True, device="cpu:numba")
    aligned = workspace.aligned

    def spoilt(shape):
        memory = aligned(shape)
        memory[...] = np.nan
        return memory

    monkeypatch.setattr(workspace, "aligned", spoilt)
    assert_same_bits(gpuols.fit(X, y, add_intercept=True, device="cpu:numba"), expected)


@needs_numba
def test_columns_that_fill_up_a_table_hold_no_denormal_numbers(monkeypatch):
    from gpuols.engines import cpu_jit

    rooms, room_for = [], cpu_jit.room_for

    def spoilt(shape, space):
        rooms.append(room_for(shape, space))
        rooms[-1][0][:] = 5e-324
        return rooms[-1]

    monkeypatch.setattr(cpu_jit, "room_for", spoilt)
    gpuols.fit(normal(60, 20), normal(60, seed=1), add_intercept=True, device="cpu:numba")
    ((memory, starts, _),) = rooms
    table = memory[starts[4] : starts[5]]
    assert table.size > 21
    assert not (table == 5e-324).any()


@needs_numba
def test_a_design_is_known_though_its_response_is_not_finite():
    X, y = normal(400, 40, 3), normal(400, 40, seed=1)
    y[:, 5] = np.nan
    for result in fit_both(X, y, add_intercept=True):
        assert (result.rank == 4).all()
        assert (result.df_resid == 36).all()
    for result in fit_both(
        X[:, :4], np.where(np.arange(4) == 1, np.nan, y[:, :4]), add_intercept=True
    ):
        assert (result.rank == -1).all()
        assert np.isnan(result.df_resid).all()
    apart = 10.0 ** np.random.default_rng(2).uniform(-9.0, -7.0, (400, 1))
    X[..., 2] = X[..., 1] + apart * X[..., 2]
    found, expected = fit_both(X, y, add_intercept=True)
    assert disagreements(found, expected) == []


@needs_numba
def test_a_rank_is_known_whatever_the_penalty_of_a_neighbour():
    X, y = normal(8, 3, 3), normal(8, 3, seed=1)
    y[1, 0] = np.nan
    for found in fit_both(X, y, ridge=np.zeros(8)), fit_both(X, y, ridge=np.arange(8.0) // 7):
        for result in found:
            assert (result.status[1], result.rank[1]) == (Status.NONFINITE, -1)
            assert np.isnan(result.df_resid[1])


@needs_numba
def test_the_result_says_who_was_at_work():
    X, y = normal(12, 50, 3), normal(12, 50, seed=1)
    keys = np.repeat(np.arange(12), 50)
    assert gpuols.fit(X, y, device="cpu:numba").engine == "cpu:numba"
    helped = "cpu:numba+cpu:numpy"
    groups = gpuols.fit_groups(X.reshape(-1, 3), y.reshape(-1), keys, device="cpu:numba")
    assert groups.engine == "cpu:numba"
    shared = gpuols.fit(X[0], y.T, device="cpu:numba")
    assert (shared.engine, shared.cov_params().shape) == (helped, (12, 3, 3))
    assert gpuols.fit_moments(gpuols.moments(X, y), device="cpu:numba").engine == helped
    assert gpuols.fit(X, y, device="cpu:numba", solver="accurate").engine == "cpu:numba"
    X[5, :, 2] = X[5, :, 1]
    assert gpuols.fit(X, y, device="cpu:numba").engine == "cpu:numba"
    y[3] = X[3, :, 0]
    assert gpuols.fit(X, y, device="cpu:numba").engine == helped


@needs_numba
def test_covariances_whoever_was_at_work():
    X, y = normal(3, 50, 3), normal(3, 50, seed=1)
    X[1, :, 2] = X[1, :, 1]
    found, expected = fit_both(X, y, add_intercept=True)
    np.testing.assert_allclose(found.normalized_cov, expected.normalized_cov, rtol=1e-9)


@needs_numba
@pytest.mark.parametrize(("n", "k"), [(40, 3), (0, 3), (40, 0)])
def test_one_regression_whose_rows_must_be_copied(n, k):
    X, y = normal(n, k).astype(np.float32), normal(n, seed=1)
    found = gpuols.fit(X, y, device="cpu:numba")
    assert_same_bits(found, gpuols.fit(X[None], y[None], device="cpu:numba")[0])


@needs_numba
def test_progress_counts_all():
    X, y, told = normal(40, 50, 3), normal(40, 50, seed=1), []
    options = {"progress": lambda done, total: told.append((done, total)), "batch_size": 9}
    gpuols.fit(X, y, device="cpu:numba", **options)
    assert (len(told), told[-1]) == (5, (40, 40))


@needs_numba
@pytest.mark.parametrize("k", [1, 4, 5, 20])
@pytest.mark.parametrize("weighted", [False, True])
def test_good_data_needs_no_second_look(k, weighted):
    from gpuols.engines import cpu, cpu_jit
    from gpuols.engines.workspace import Workspace

    X, y, weights = normal(11, 300, k), normal(11, 300, 1, seed=1), normal(11, 300, seed=2) ** 2
    given = X, y, weights if weighted else None
    options = {"centered": True, "drop": False}
    moments, solution, calls = cpu_jit.fit_batch(*given, (11,), np.zeros(11), tol=1e-10, **options)
    assert calls == 0
    assert not solution.precise.any()
    expected = cpu.moments_batch(*given, slice(0, 11), **options, space=Workspace())
    for name in ("nobs", "sumw", "anchor", "mean", "raw", "sxx", "sxy", "syy"):
        found, wanted = getattr(moments, name), getattr(expected, name)
        np.testing.assert_allclose(found, wanted, 1e-12, 1e-12 * np.abs(wanted).max(), False, name)


@needs_numba
def test_a_penalty_is_a_regressions_own():
    X, y, ridge = normal(16, 60, 3), normal(16, 60, seed=1), np.arange(16) % 2 * 2.0
    found = gpuols.fit(X, y, ridge=ridge, device="cpu:numba", add_intercept=True)
    free = gpuols.fit(X, y, device="cpu:numba", add_intercept=True)
    all_held = gpuols.fit(X, y, ridge=2.0, device="cpu:numba", add_intercept=True)
    assert_same_bits(found[ridge == 0.0], free[ridge == 0.0])
    assert_same_bits(found[ridge > 0.0], all_held[ridge > 0.0])


@needs_numba
def test_one_regression_alone_is_read_however_it_lies():
    X, y = normal(50, 3), normal(50, seed=1)
    expected = gpuols.fit(X, y, device="cpu:numba")
    for own in (np.asfortranarray(X), X.tolist(), X.astype(np.longdouble)):
        assert_same_bits(gpuols.fit(own, y, device="cpu:numba"), expected)


@needs_numba
def test_options_may_be_whole_numbers():
    X, y = normal(9, 50, 3), normal(9, 50, seed=1)
    expected = gpuols.fit(X, y, ridge=1.0, tol=1.0, device="cpu:numba")
    assert_same_bits(gpuols.fit(X, y, ridge=1, tol=1, device="cpu:numba"), expected)


@needs_numba
@pytest.mark.parametrize("lead", [(12,), (3, 4)])
def test_rows_are_left_out_with_weights_of_one(lead):
    X, y = normal(*lead, 50, 3), normal(*lead, 50, seed=1)
    y[..., 7] = np.nan
    found = gpuols.fit(X, y, missing="drop", device="cpu:numba")
    ones = gpuols.fit(X, y, weights=np.ones((*lead, 50)), missing="drop", device="cpu:numba")
    assert_same_bits(found, ones)
    assert (found.nobs == 49).all()


@needs_numba
def test_wide_designs_are_left_to_blas():
    names = {}
    for k, m in ((127, 1), (129, 1), (3, 125), (3, 126)):
        X, y = normal(2, 3 * k + 9, k), normal(2, 3 * k + 9, m, seed=1)
        names[k, m] = gpuols.fit(X, y, device="cpu:numba", solver="cholesky").engine
        found, expected = fit_both(X[0], y[0], solver="cholesky")
        assert disagreements(found, expected) == []
    own, helped = "cpu:numba", "cpu:numba+cpu:numpy"
    assert list(names.values()) == [own, helped, own, helped]


@needs_numba
def test_a_penalty_too_small_for_the_columns_units_is_one():
    X, y = 1e142 * normal(3, 4, 4), normal(3, 4, seed=1)
    found, expected = fit_both(X, y, ridge=1e-300, solver="cholesky")
    assert (found.status == Status.UNTRUSTED).all()
    assert disagreements(found, expected) == []

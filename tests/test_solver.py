"""solver=: who gets a second look, in double-double, and what it is worth."""

import numpy as np
import oracle
import pytest

import gpuols
from gpuols import Status
from gpuols.engines import cpu

SOLVERS = ("auto", "cholesky", "accurate")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def near_duplicate(X, distance=1e-7):
    """The last column almost the first."""
    X[..., -1] = X[..., 0] + distance * X[..., -1]
    return X


def precise_reads(monkeypatch):
    """Record of which regressions are summed in double-double."""
    read = []

    def sum_precise(x, y, weights, which, **options):
        read.extend(np.arange(x.shape[0])[which].tolist())
        return original(x, y, weights, which, **options)

    original = cpu.sum_precise
    monkeypatch.setattr(cpu, "sum_precise", sum_precise)
    return read


@pytest.mark.parametrize("batch_size", [None, 7])
def test_exactly_the_rejected_are_looked_at_again(batch_size, monkeypatch):
    X, y = normal(500, 40, 3), normal(500, 40, seed=1)
    bad = [3, 77, 78, 400, 499]
    X[bad] = near_duplicate(X[bad], 1e-6)
    read = precise_reads(monkeypatch)
    result = gpuols.fit(X, y, add_intercept=True, batch_size=batch_size, device="cpu:numpy")
    assert sorted(read) == bad
    assert np.flatnonzero(result.solved_precisely).tolist() == bad
    assert (result.status == Status.OK).all()


def test_nothing_is_looked_at_again_where_all_is_well(monkeypatch):
    read = precise_reads(monkeypatch)
    X, y = normal(50, 40, 3), normal(50, 40, seed=1)
    result = gpuols.fit(X, y, add_intercept=True, device="cpu:numpy")
    assert read == []
    assert not result.solved_precisely.any()


def test_missing_values_are_not_looked_at_again(monkeypatch):
    X, y = normal(50, 40, 3), normal(50, 40, seed=1)
    X[3, 5, 1] = np.nan
    y[7, 0] = np.nan
    read = precise_reads(monkeypatch)
    result = gpuols.fit(X, y, device="cpu:numpy")
    assert read == []
    assert np.flatnonzero(result.status == Status.NONFINITE).tolist() == [3, 7]


def test_cholesky_never_looks_again_and_accurate_always_does():
    X, y = near_duplicate(normal(6, 40, 3)), normal(6, 40, seed=1)
    fast, best = (gpuols.fit(X, y, solver=solver) for solver in ("cholesky", "accurate"))
    assert not fast.solved_precisely.any()
    assert (fast.status == Status.UNTRUSTED).all()
    assert best.solved_precisely.all()
    assert (best.status == Status.OK).all()


@pytest.mark.parametrize("m", [(), (3,)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_a_second_look_gives_the_bits_of_accurate(shared, weighted, m):
    X, y = near_duplicate(normal(5, 60, 4)), normal(5, 60, *m, seed=1)
    w = np.random.default_rng(2).uniform(0.0, 1.0, (5, 60)) if weighted else None
    if shared:
        X, y, w = X[0], normal(60, 3, seed=1), None if w is None else w[0]
    auto, accurate = (
        gpuols.fit(X, y, weights=w, add_intercept=True, solver=solver)
        for solver in ("auto", "accurate")
    )
    assert auto.solved_precisely.all()
    for name in ("params", "bse", "ssr", "error_bound", "status", "rank", "normalized_cov"):
        np.testing.assert_array_equal(getattr(auto, name), getattr(accurate, name), err_msg=name)


def test_a_response_gets_its_second_look_alone():
    """One response of a shared design is almost exact; the others keep the bits of the first."""
    X, Y = normal(200, 3), normal(200, 5, seed=1)
    Y[:, 2] = X @ [1.0, 2.0, 3.0] + 1e-9 * Y[:, 2]
    with_it = gpuols.fit(X, Y, add_intercept=True)
    without = gpuols.fit(X, np.delete(Y, 2, axis=1), add_intercept=True)
    assert with_it.solved_precisely.tolist() == [False, False, True, False, False]
    for name in ("params", "bse", "error_bound"):
        others = np.delete(getattr(with_it, name), 2, axis=-1)
        np.testing.assert_array_equal(others, getattr(without, name))
    exact = oracle.solve(X, Y, add_intercept=True)
    error = oracle.relative_error(with_it.params, exact.params, exact.bse)
    assert (error <= with_it.error_bound).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pieces", [2, 7])
def test_sums_of_precise_moments_stay_precise(pieces, weighted):
    X, y = near_duplicate(normal(90, 4) + 1e3, 1e-8), normal(90, seed=1)
    w = np.random.default_rng(2).uniform(0.1, 1.0, 90) if weighted else None
    parts = []
    for rows in np.array_split(np.arange(90), pieces):
        own = None if w is None else w[rows]
        options = {"weights": own, "add_intercept": True, "solver": "accurate"}
        parts.append(gpuols.moments(X[rows], y[rows], **options))
    result = gpuols.fit_moments(sum(parts))
    exact = oracle.solve(X, y[:, None], w, add_intercept=True)
    assert result.status == Status.OK
    assert result.solved_precisely
    error = oracle.relative_error(result.params[:, None], exact.params, exact.bse)
    assert (error <= 1e-15).all()
    assert (oracle.relative_error(result.bse[:, None], exact.bse, 0.0) <= 1e-15).all()


def test_moments_formed_in_double_are_never_called_precise():
    X, y = near_duplicate(normal(90, 4)), normal(90, seed=1)
    plain, precise = (gpuols.moments(X, y, solver=solver) for solver in ("auto", "accurate"))
    assert gpuols.fit_moments(plain).status == Status.UNTRUSTED
    assert gpuols.fit_moments(precise).status == Status.OK
    assert not gpuols.fit_moments(plain + precise).solved_precisely
    assert gpuols.fit_moments(precise + precise).solved_precisely


def test_moments_in_different_units_add_up():
    """The first rows need no units, the later ones, of 1e-200, do."""
    X, y = normal(60, 2), normal(60, seed=1)
    X[30:] *= 1e-200
    y[30:] *= 1e190
    parts = [
        gpuols.moments(X[rows], y[rows], add_intercept=True, solver="accurate")
        for rows in (slice(0, 30), slice(30, 60))
    ]
    assert parts[0].units.any() != parts[1].units.any()
    exact = oracle.solve(X, y[:, None], add_intercept=True)
    for total in (parts[0] + parts[1], parts[1] + parts[0]):
        result = gpuols.fit_moments(total)
        assert result.status == Status.OK
        error = oracle.relative_error(result.params[:, None], exact.params, exact.bse)
        assert (error <= result.error_bound).all()


def test_one_row_of_great_weight_is_seen_about_the_mean():
    X, y = normal(8, 60, 3) + 1.0, normal(8, 60, seed=1)
    w = np.ones((8, 60))
    w[:, 20] = 1e24
    moments = gpuols.moments(X, y, weights=w, add_intercept=True, solver="accurate")
    assert (moments.raw[:, 3:] < 2 * moments.syy).all()
    result = gpuols.fit(X, y, weights=w, add_intercept=True)
    assert (result.status == Status.OK).all()
    for i in range(8):
        exact = oracle.solve(X[i], y[i, :, None], w[i], add_intercept=True)
        error = oracle.relative_error(result.params[i, :, None], exact.params, exact.bse)
        assert (error <= result.error_bound[i]).all()


@pytest.mark.parametrize("device", ["cpu", "cpu:numpy"])
def test_cholesky_gives_the_coefficients_of_huge_responses_untrusted(device):
    X, y, options = normal(3, 40, 3), normal(3, 40, seed=1), {"add_intercept": True}
    y[1] *= 1e301
    result = gpuols.fit(X, y, solver="cholesky", device=device, **options)
    assert result.status.tolist() == [Status.OK, Status.UNTRUSTED, Status.OK]
    trusted = gpuols.fit(X[1], y[1], device=device, **options)
    assert trusted.status == Status.OK
    np.testing.assert_allclose(result.params[1], trusted.params, rtol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_any_number_of_rows_in_double_double(solver):
    for n in (9, 63, 64, 65, 511, 4095, 4096, 4097, 8193, 20000):
        X, y = normal(2, n, 3, seed=n), normal(2, n, seed=n + 1)
        if solver != "cholesky":
            X = near_duplicate(X)
        w = np.random.default_rng(n).uniform(0.0, 2.0, (2, n))
        result = gpuols.fit(X, y, weights=w, add_intercept=True, solver=solver)
        assert (result.status == Status.OK).all()
        assert result.solved_precisely.all() == (solver != "cholesky")
        exact = oracle.solve(X[1], y[1, :, None], w[1], add_intercept=True)
        error = oracle.relative_error(result.params[1, :, None], exact.params, exact.bse)
        assert (error <= result.error_bound[1]).all()


def test_saved_and_picked_results_keep_their_second_look(tmp_path):
    X, y = normal(6, 40, 3), normal(6, 40, seed=1)
    X[[1, 4]] = near_duplicate(X[[1, 4]], 1e-8)
    result = gpuols.fit(X, y, add_intercept=True)
    expected = result.normalized_cov
    result.save(tmp_path / "result.npz")
    loaded = gpuols.Result.load(tmp_path / "result.npz")
    np.testing.assert_array_equal(loaded.normalized_cov, expected)
    for where in (4, [4, 0, 1], slice(None, None, -1), np.arange(6) % 3 == 1, slice(2, 4)):
        np.testing.assert_array_equal(result[where].normalized_cov, expected[where])
        sd = loaded[where].t_test(np.eye(4)).sd
        np.testing.assert_allclose(sd, result.bse[where], rtol=1e-14)

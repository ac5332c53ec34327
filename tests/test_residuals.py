"""Fits so close that their squares hide the residuals, which are then looked at one by one."""

import numpy as np
import oracle
import pytest

import gpuols
from gpuols import Status

B = np.array([0.1, -2.0, 0.7])


def close(n, lead=(), seed=0):
    """Rows that fit to the last digit of y, but not exactly."""
    X = np.random.default_rng(seed).integers(-9, 10, (*lead, n, 3)).astype(np.float64)
    return X, X @ B + 0.3


def assert_right(result, X, y, weights=None, *, digits=13):
    """Every number of one design's m responses right, and its error bound true."""
    y = y.reshape(len(X), -1)
    exact = oracle.solve(X, y, weights, add_intercept=True)
    assert (exact.ssr > 0).all()
    assert (exact.ssr < 1e-20 * exact.centered_tss).all()
    shape = exact.params.shape
    for name, want, se in (("params", exact.params, exact.bse), ("bse", exact.bse, 0.0)):
        error = oracle.relative_error(np.reshape(getattr(result, name), shape), want, se)
        assert (error <= result.error_bound).all()
        assert (error <= 10.0**-digits).all()
    np.testing.assert_allclose(np.ravel(result.ssr), exact.ssr, rtol=1e-13)


@pytest.mark.parametrize("solver", ["auto", "accurate"])
@pytest.mark.parametrize("n", [6, 30, 300, 5000])
@pytest.mark.parametrize("weighted", [False, True])
def test_standard_errors_of_rounded_responses_are_right(n, weighted, solver):
    X, y = close(n, (3,))
    w = np.random.default_rng(1).integers(0, 3, (3, n)) + 0.5 if weighted else None
    result = gpuols.fit(X, y, weights=w, add_intercept=True, solver=solver)
    assert (result.status == Status.OK).all()
    assert result.solved_precisely.all()
    for i in range(3):
        assert_right(result[i], X[i], y[i], None if w is None else w[i])


@pytest.mark.parametrize("weighted", [False, True])
def test_responses_that_share_a_design(weighted):
    X, y = close(40)
    rng = np.random.default_rng(2)
    w = rng.uniform(0.5, 2.0, 40) if weighted else None
    y = np.stack([y, rng.standard_normal(40), y * 1.1, X[:, 0] * 3.0], axis=1)
    result = gpuols.fit(X, y, weights=w, add_intercept=True)
    assert (result.status == Status.OK).all()
    assert result.solved_precisely.tolist() == [True, False, True, True]
    for j in (0, 2):
        found = gpuols.fit(X, y[:, [j]], weights=w, add_intercept=True)
        assert_right(found, X, y[:, j], w)
        np.testing.assert_array_equal(found.bse[:, 0], result.bse[:, j])
    assert result.params[:, 3].tolist() == [0.0, 3.0, 0.0, 0.0]
    assert (result.bse[:, 3] == 0).all()


def test_groups_and_missing_rows():
    X, y = close(60)
    keys = np.arange(60) % 3
    y[[4, 5]] = np.nan
    result = gpuols.fit_groups(X, y, keys, add_intercept=True, missing="drop")
    assert (result.status == Status.OK).all()
    for g in range(3):
        rows = (keys == g) & ~np.isnan(y)
        assert_right(result[g], X[rows], y[rows])


def test_columns_and_responses_of_extreme_units():
    X, y = close(30)
    result = gpuols.fit(X * 2.0**-900, y * 2.0**900, add_intercept=True)
    plain = gpuols.fit(X, y, add_intercept=True)
    assert result.status == Status.OK
    assert result.ssr == np.inf or result.ssr == np.ldexp(plain.ssr, 1800)
    np.testing.assert_array_equal(result.tvalues, plain.tvalues)


def test_one_heavy_row_hides_no_residual_of_the_others():
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(19), np.r_[1e12, np.full(18, 1e7)]])
    y = X[:, 1] * 0.7 + rng.standard_normal(19)
    w = np.r_[1e20, rng.uniform(0.5, 2.0, 18)]
    result = gpuols.fit(X, y, weights=w, tol=1e-6)
    exact = oracle.solve(X, y[:, None], w)
    error = oracle.relative_error(result.params[:, None], exact.params, exact.bse)
    assert result.status == Status.OK
    assert (error <= result.error_bound).all()
    np.testing.assert_allclose(result.bse, exact.bse[:, 0], rtol=1e-6)


@pytest.mark.parametrize("singular", ["drop", "min_norm"])
def test_redundant_columns(singular):
    X, y = close(40)
    X = np.column_stack([X, X[:, 0]])
    result = gpuols.fit(X, y, add_intercept=True, singular=singular)
    exact = oracle.solve(X, y[:, None], add_intercept=True, singular=singular)
    assert result.status == Status.RANK_DEFICIENT
    assert result.error_bound < 1e-12
    np.testing.assert_allclose(result.params, exact.params[:, 0], rtol=1e-13)
    np.testing.assert_allclose(result.bse, exact.bse[:, 0], rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 2.0**-500, 2.0**500])
def test_exact_fits_have_no_error_and_their_zeros_are_zero(scale):
    X, _ = close(30, (4,))
    y = X @ np.array([2.0, 0.0, -1.0]) * scale + 3.0 * scale
    result = gpuols.fit(X, y, add_intercept=True)
    assert (result.status == Status.OK).all()
    np.testing.assert_array_equal(result.params, np.tile([3.0, 2.0, 0.0, -1.0], (4, 1)) * scale)
    assert (result.bse == 0).all()
    assert (result.ssr == 0).all()


def test_without_rows_zeros_are_not_trusted():
    X, _ = close(30)
    for b, status in (([2.0, 0.0, -1.0], Status.UNTRUSTED), ([2.0, 1.0, -1.0], Status.OK)):
        y = X @ np.array(b) + 3.0
        moments = gpuols.moments(X, y, add_intercept=True, solver="accurate")
        result = gpuols.fit_moments(moments)
        assert result.status == status
        np.testing.assert_array_equal(result.params, [3.0, *b])


def test_the_error_bound_of_shortest_solutions_is_true_in_mixed_units():
    rng = np.random.default_rng(4)
    for power in (0, 3, 6, 9, 12, 15, 20, 40, 100):
        X = rng.standard_normal((30, 5))
        X[:, 3] = X[:, 0] + 2 * X[:, 1]
        X[:, 4] = X[:, 2]
        X[:, 3:] *= 2.0**power
        y = rng.standard_normal((30, 2))
        result = gpuols.fit(X, y, add_intercept=True, singular="min_norm")
        exact = oracle.solve(X, y, add_intercept=True, singular="min_norm")
        assert (result.status == Status.RANK_DEFICIENT).all()
        for got, want, se in (
            (result.params, exact.params, exact.bse),
            (result.bse, exact.bse, 0.0),
        ):
            assert (oracle.relative_error(got, want, se) <= result.error_bound).all()
        assert (result.error_bound < (1e-10 if power < 20 else np.inf)).all()


def dummies(y, weights=None):
    """Two groups of ten rows with a column of ones each: y's means, whatever the other holds."""
    D = np.zeros((20, 2))
    D[:10, 0] = D[10:, 1] = 1.0
    return gpuols.fit(D, y, weights=weights)


@pytest.mark.parametrize("power", [20, 24, 40, 60, 100])
def test_what_is_small_beside_the_rest_is_no_zero(power):
    noise = np.random.default_rng(5).standard_normal(10)
    light = np.ones(10)
    for y, w in (
        (np.r_[np.full(10, 7.0), 5.0 + noise], np.r_[np.full(10, 10.0**power), light]),
        (np.r_[np.full(10, 7.0), 1e-17 * noise], np.r_[np.full(10, 10.0**power), light]),
        (np.r_[np.full(10, 10.0 ** (power / 2)), 5.0 + noise], None),
    ):
        result = dummies(y, w)
        for j, rows in enumerate((slice(10), slice(10, 20))):
            mean = y[rows].mean()
            if result.status == Status.OK:
                se = noise.std(ddof=1) * (abs(mean) < 6) + 1e-300
                assert abs(result.params[j] - mean) <= 1e-10 * max(abs(mean), se)
        np.testing.assert_allclose(result.params[1], y[10:].mean(), rtol=1e-6)


def test_a_coefficient_that_no_sum_shows_is_no_zero():
    i = np.arange(1.0, 11.0)
    X = np.zeros((20, 2))
    X[:10, 0] = X[10:, 1] = i
    result = gpuols.fit(X, X[:, 0] + 2.0**-100 * X[:, 1])
    assert result.status == Status.UNTRUSTED
    assert result.params.tolist() == [1.0, 2.0**-100]
    result = gpuols.fit(3.0 * X, X[:, 0], add_intercept=True)
    assert result.status == Status.OK
    assert result.params.tolist() == [0.0, 1.0 / 3.0, 0.0]


@pytest.mark.parametrize("power", [0, 100, 250, 280, 299, 320])
@pytest.mark.parametrize("shift", [(0, 0), (-500, 1000), (-520, 1000), (400, -800)])
def test_weights_of_any_range_lose_no_digit_unseen(power, shift):
    rng = np.random.default_rng(6)
    X, a = np.zeros((40, 3)), rng.standard_normal(20)
    X[:20, 0] = rng.standard_normal(20)
    X[20:, 1:] = np.column_stack([a, a + 1e-7 * rng.standard_normal(20)])
    y = X[:, 1] * 2.0 + X[:, 2] * 3.0
    y[20:] += rng.standard_normal(20)
    half = min(power, 299 - 301 * (shift != (0, 0))) / 2
    w = np.repeat([10.0**half, 10.0**-half], 20) if half > 0 else np.ones(40)
    result = gpuols.fit(np.ldexp(X, shift[0]), np.ldexp(y, shift[0]), weights=np.ldexp(w, shift[1]))
    alone = oracle.solve(X[20:, 1:], y[20:, None])
    assert not (result.status == Status.RANK_DEFICIENT and result.error_bound < 1)
    if result.status == Status.OK:
        error = oracle.relative_error(result.params[1:, None], alone.params, alone.bse)
        assert (error <= 1e-10).all()
        assert np.isfinite(result.bse).all()
    assert result.status == Status.OK or power > 280


def test_responses_far_from_their_anchor_are_moved_to_their_mean():
    X, _ = close(400)
    rng = np.random.default_rng(7)
    y = rng.standard_normal((400, 3))
    y[[0, 200, 399], 1] = 1e6
    moments = gpuols.moments(X, y, add_intercept=True, solver="accurate")
    k = X.shape[1]
    assert (moments.raw[k:] < 16 * moments.syy).all()
    np.testing.assert_allclose(moments.anchor[k + 1], y[:, 1].mean(), rtol=1e-13)


def test_units_beyond_a_float64_are_not_trusted_to_find_the_shortest():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((30, 3))
    X[:, 2] = X[:, 0] * 2.0**1000
    result = gpuols.fit(X, rng.standard_normal(30), singular="min_norm")
    assert result.status == Status.RANK_DEFICIENT
    assert result.error_bound == np.inf


def test_the_choice_of_the_shortest_reaches_the_intercept():
    rng = np.random.default_rng(9)
    X = rng.standard_normal((30, 4))
    X[:, 2] = X[:, 0] - X[:, 1]
    X[:, 3] = 2.0**40 * X[:, 0]
    X += 2.0**60
    X[:, 2] = X[:, 0] - X[:, 1]
    X = np.round(X)
    y = rng.standard_normal((30, 1))
    result = gpuols.fit(X, y, add_intercept=True, singular="min_norm")
    exact = oracle.solve(X, y, add_intercept=True, singular="min_norm")
    error = oracle.relative_error(result.params, exact.params, exact.bse)
    assert (error <= result.error_bound).all()


def test_a_coefficient_that_underflows_is_not_called_zero():
    rng = np.random.default_rng(10)
    X = rng.standard_normal((30, 3))
    X[:, 2] = X[:, 0] * 2.0**-500
    X[:, 0] *= 2.0**600
    result = gpuols.fit(X, rng.standard_normal(30), singular="min_norm")
    assert result.status == Status.RANK_DEFICIENT
    assert result.error_bound == np.inf

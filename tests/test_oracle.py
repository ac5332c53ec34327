"""The oracle itself, where NumPy's singular values and statsmodels can tell."""

import numpy as np
import oracle
import pytest
import statsmodels.api as sm
from exact import ABSOLUTE, RELATIVE

RNG = np.random.default_rng(17)
X = RNG.normal(size=(30, 4)) + 2.0
TWICE = np.column_stack([X[:, 0], X[:, 1], X[:, 0] - X[:, 1], X[:, 2], 0.5 * X[:, 2], X[:, 3]])
Y = RNG.normal(size=(30, 2)) + X[:, :1]
W = RNG.uniform(0.5, 2.0, 30) * (RNG.random(30) > 0.2)


def close(got, want, rtol=1e-10, atol=1e-13):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


@pytest.mark.parametrize("add_intercept", [False, True])
def test_statistics_are_statsmodels(add_intercept):
    exact = oracle.solve(X, Y, W, add_intercept=add_intercept)
    there = W > 0
    design = np.column_stack([np.ones(30), X])[:, 1 - add_intercept :][there]
    for i in range(2):
        model = sm.WLS(Y[there, i], design, W[there], hasconst=add_intercept).fit(method="qr")
        for name in ("params", "bse", "tvalues"):
            close(getattr(exact, name)[:, i], getattr(model, name))
        for name in ("ssr", "rsquared", "centered_tss", "uncentered_tss"):
            close(getattr(exact, name)[i], getattr(model, name))
        close(exact.normalized_cov, model.normalized_cov_params)
        assert exact.df_resid == model.df_resid


@pytest.mark.parametrize("add_intercept", [False, True])
def test_the_smallest_slopes_are_those_of_singular_values(add_intercept):
    exact = oracle.solve(TWICE, Y, W, add_intercept=add_intercept, singular="min_norm")
    mean = W @ np.column_stack([TWICE, Y]) / W.sum() * add_intercept
    root = np.sqrt(W)[:, None]
    design, target = (TWICE - mean[:6]) * root, (Y - mean[6:]) * root
    slopes, _, rank, _ = np.linalg.lstsq(design, target, rcond=1e-10)
    first = int(add_intercept)
    close(exact.params[first:], slopes)
    close(exact.normalized_cov[first:, first:], np.linalg.pinv(design.T @ design, rcond=1e-10))
    assert exact.rank == rank + add_intercept
    assert exact.kept[first:].tolist() == [True, True, False, True, False, True]
    close(exact.ssr, ((target - design @ slopes) ** 2).sum(axis=0))
    if add_intercept:
        close(exact.params[0], mean[6:] - mean[:6] @ slopes)


def test_dropped_coefficients_are_nan_and_the_rest_are_without_them():
    exact = oracle.solve(TWICE, Y, W, add_intercept=True, singular="drop")
    without = oracle.solve(TWICE[:, [0, 1, 3, 5]], Y, W, add_intercept=True)
    kept = [0, 1, 2, 4, 6]
    for name in ("params", "bse", "tvalues"):
        np.testing.assert_array_equal(getattr(exact, name)[kept], getattr(without, name))
        assert np.isnan(getattr(exact, name)[[3, 5]]).all()
    np.testing.assert_array_equal(exact.normalized_cov[np.ix_(kept, kept)], without.normalized_cov)
    assert (exact.df_resid, exact.rank) == (without.df_resid, 5)


def test_a_singular_design_is_refused_unless_columns_may_go():
    with pytest.raises(oracle.SingularDesignError, match=r"\[4\]"):
        oracle.solve(TWICE, Y)


@pytest.mark.parametrize(("distance", "margin"), [(1e-8, 4), (1e-9, 2), (1e-11, -2), (1e-12, -4)])
def test_margins_tell_how_far_a_column_is_from_being_dropped(distance, margin):
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.normal(size=(64, 3)) - 0.0)[0]
    near = np.column_stack([basis[:, 0], basis[:, 0] + distance * basis[:, 1]])
    exact = oracle.solve(near, basis[:, 2:], singular="drop")
    assert abs(exact.margins[1] - margin) < 0.1
    assert exact.kept[1] == (margin > 0)


def test_the_absolute_threshold_is_of_the_square_about_zero():
    column = 1e15 + np.arange(8.0)[:, None]
    exact = oracle.solve(column, np.arange(8.0)[:, None] ** 2, add_intercept=True, singular="drop")
    centred, raw = 42.0, float((column**2).sum())
    assert float(ABSOLUTE) * raw > float(RELATIVE) * centred
    close(exact.margins, np.log10(centred / (2.0**-100 * raw)))


def test_exact_fits_have_no_residuals_and_true_zeros_are_zero():
    whole = RNG.integers(-9, 10, (20, 3)).astype(float)
    exact = oracle.solve(whole, whole @ [[2.0], [0.0], [-1.0]] + 3.0, add_intercept=True)
    assert exact.params[:, 0].tolist() == [3.0, 2.0, 0.0, -1.0]
    assert exact.ssr == 0.0
    assert (exact.bse == 0.0).all()
    assert exact.noise.max() == -np.inf
    y = 0.1 * whole[:, :1]
    assert 0.0 < oracle.solve(whole, y, add_intercept=True).ssr < 1e-30
    tenths = oracle.solve(whole, y, add_intercept=True, singular="drop", rows=False)
    assert tenths.ssr == 0.0
    assert -np.inf < tenths.noise.max() < 0.0


def test_a_constant_response_is_its_intercept():
    exact = oracle.solve(X, np.full((30, 1), 0.1), W, add_intercept=True)
    assert exact.params[:, 0].tolist() == [0.1, 0.0, 0.0, 0.0, 0.0]
    assert exact.ssr == exact.centered_tss == 0.0
    assert np.isnan(exact.rsquared)


@pytest.mark.parametrize("nobs", [0, 1, 3, 5])
def test_too_few_rows_keep_the_first_columns(nobs):
    exact = oracle.solve(X[:nobs], Y[:nobs], add_intercept=True, singular="drop")
    assert exact.kept.tolist() == [i < nobs for i in range(5)]
    assert exact.df_resid == 0.0
    assert np.isnan(exact.bse).all()
    assert (exact.ssr == 0.0).all()
    np.testing.assert_array_equal(np.isnan(exact.params[:, 0]), ~exact.kept)
    if nobs:
        close(exact.params[0, 0] + X[:nobs, : nobs - 1] @ exact.params[1:nobs, 0], Y[:nobs, 0])


def test_a_penalty_is_that_of_the_textbook():
    exact = oracle.solve(X, Y, W, ridge=2.0)
    a = X.T @ (W[:, None] * X) + 2.0 * np.eye(4)
    close(exact.params, np.linalg.solve(a, X.T @ (W[:, None] * Y)))
    close(exact.df_resid, (W > 0).sum() - 4 + 2.0 * np.trace(np.linalg.inv(a)))


def test_the_bound_holds_for_statsmodels_in_double():
    """A double-double bound, scaled to double, is one that QR keeps on a fair design."""
    exact = oracle.solve(X, Y, add_intercept=True)
    for i in range(2):
        model = sm.OLS(Y[:, i], sm.add_constant(X)).fit(method="qr")
        error = oracle.relative_error(model.params, exact.params[:, i], exact.bse[:, i]).max()
        assert 0.0 < error < exact.bound[i] * 2.0**51

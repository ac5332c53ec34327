"""Rank: decided rightly, in any order of rows and any units, and followed by every number."""

import judging
import numpy as np
import pytest
import statsmodels.api as sm
from case import regressions
from singular import KINDS, Designs, Kind, famous

import gpuols
from gpuols import FitError, Status

COUNT = 12_000 // len(KINDS) + 2
SAMPLE = 300 // len(KINDS) + 2
FAMOUS = famous()

# That lines are reached is seen elsewhere; to count them would take a third of the time.
pytestmark = pytest.mark.uncovered

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
every_policy = pytest.mark.parametrize("singular", ["drop", "min_norm"])


def fit(designs: Designs, y: np.ndarray, **options: object) -> gpuols.Result:
    intercept = designs.add_intercept
    return gpuols.fit(designs.X, y, weights=designs.weights, add_intercept=intercept, **options)


def noise(X: np.ndarray) -> np.ndarray:
    """A response to designs X (..., n, k)."""
    return np.random.default_rng(1).normal(size=X.shape[:-1])


# Twelve thousand singular designs.


@every_kind
def test_none_of_many_singular_designs_is_called_full(kind: Kind):
    for designs in kind.designs(1, COUNT):
        result = fit(designs, noise(designs.X))
        assert (result.status != Status.OK).all()
        if not designs.sharp:
            continue
        np.testing.assert_array_equal(result.rank, designs.rank)
        assert (result.status == Status.RANK_DEFICIENT).all()
        dropped = np.isnan(result.params).sum(axis=-1)
        np.testing.assert_array_equal(dropped, result.params.shape[-1] - designs.rank)


def test_there_are_twelve_thousand_of_them():
    count = sum(len(designs.X) for kind in KINDS for designs in kind.designs(1, COUNT))
    assert count >= 12_000


@every_kind
@every_policy
def test_numbers_of_singular_designs_are_those_of_exact_arithmetic(kind: Kind, singular: str):
    seen = 0
    for designs in kind.designs(2, SAMPLE):
        y = noise(designs.X)
        options = {"add_intercept": designs.add_intercept, "singular": singular}
        said = judging.numbers(gpuols.fit(designs.X, y, weights=designs.weights, **options))
        for each in regressions((designs.X, y, designs.weights), options):
            mine = judging.said_of(said, each)
            verdict = judging.judge(each, mine, options)
            assert not verdict.complaints
            assert bool(verdict.aside) != designs.sharp
            seen += 1
    assert seen >= 10


@every_kind
@pytest.mark.parametrize("solver", ["accurate", "cholesky"])
def test_other_solvers_call_none_of_them_full(kind: Kind, solver: str):
    for designs in kind.designs(3, 40):
        status = fit(designs, noise(designs.X), solver=solver).status
        assert (status != Status.OK).all()
        if designs.sharp:
            wanted = Status.RANK_DEFICIENT if solver == "accurate" else Status.UNTRUSTED
            assert (status == wanted).all()


# No accident of order, units or the verb.


@pytest.mark.parametrize("name", FAMOUS)
def test_the_order_of_rows_never_changes_the_rank(name: str):
    X, rank = FAMOUS[name]
    rng = np.random.default_rng(4)
    order = np.array([rng.permutation(len(X)) for _ in range(100)])
    y = rng.normal(size=len(X))
    result = gpuols.fit(X[order], y[order], add_intercept=True)
    np.testing.assert_array_equal(result.rank, rank)
    full = rank == X.shape[1] + 1
    assert (result.status == (Status.OK if full else Status.RANK_DEFICIENT)).all()
    pattern = np.isnan(result.params)
    np.testing.assert_array_equal(pattern, pattern[:1].repeat(100, axis=0))


@pytest.mark.parametrize("name", FAMOUS)
def test_the_rank_of_famous_designs_is_that_of_exact_arithmetic(name: str):
    X, rank = FAMOUS[name]
    y = noise(X)
    options = {"add_intercept": True}
    (each,) = regressions((X, y, None), options)
    said = judging.numbers(gpuols.fit(X, y, **options))
    assert judging.judge(each, said, options) == ([], 0)
    assert judging.solve(each).rank == rank


@every_kind
def test_powers_of_two_scale_columns_and_nothing_else(kind: Kind):
    for designs in kind.designs(5, 8):
        y = noise(designs.X)
        size = 2.0 ** np.random.default_rng(6).integers(-30, 30, designs.X.shape[-1])
        plain = fit(designs, y)
        moved = fit(designs._replace(X=designs.X * size), y)
        np.testing.assert_array_equal(moved.rank, plain.rank)
        np.testing.assert_array_equal(moved.status, plain.status)
        back = np.r_[np.ones(int(designs.add_intercept)), size]
        for name in ("params", "bse"):
            np.testing.assert_array_equal(getattr(moved, name) * back, getattr(plain, name))
        for name in ("ssr", "error_bound", "rsquared"):
            np.testing.assert_array_equal(getattr(moved, name), getattr(plain, name))


@every_kind
def test_groups_shared_designs_and_moments_have_the_same_rank(kind: Kind):
    for designs in kind.designs(7, 6):
        y = noise(designs.X)
        count, n, k = designs.X.shape
        w = designs.weights
        options = {"add_intercept": designs.add_intercept}
        grouped = gpuols.fit_groups(
            designs.X.reshape(-1, k),
            y.reshape(-1),
            np.repeat(np.arange(count), n),
            weights=None if w is None else w.reshape(-1),
            **options,
        )
        formed = gpuols.moments(designs.X, y, weights=w, solver="accurate", **options)
        added = gpuols.fit_moments(formed)
        shared = gpuols.fit(designs.X[0], y.T, weights=None if w is None else w[0], **options)
        for result in (grouped, added, shared) if designs.sharp else ():
            np.testing.assert_array_equal(result.rank, designs.rank)
            assert (result.status == Status.RANK_DEFICIENT).all()


# What follows from the rank.


FOLLOWING = (
    *("ssr", "scale", "centered_tss", "uncentered_tss", "rsquared", "rsquared_adj"),
    *("fvalue", "f_pvalue", "llf", "aic", "bic", "nobs", "df_model", "df_resid"),
)


def example(add_intercept: bool, weighted: bool) -> tuple[np.ndarray, ...]:
    """X (40, 5) with columns 2 and 4 redundant, y and weights."""
    rng = np.random.default_rng(8)
    X = rng.normal(size=(40, 5)) + 1.0
    X[:, 2], X[:, 4] = X[:, 0] + X[:, 1], -3.0 * X[:, 3]
    weights = rng.uniform(0.5, 2.0, 40) * (rng.random(40) > 0.2) if weighted else np.ones(40)
    return X, X @ [1.0, 2.0, 0.0, -1.0, 0.0] + rng.normal(size=40), weights


KEPT = np.array([0, 1, 3])


def reference(X: np.ndarray, y: np.ndarray, w: np.ndarray, add_intercept: bool) -> object:
    """The regression on the kept columns, by statsmodels."""
    design = np.column_stack([np.ones(len(X)), X])[:, 1 - add_intercept :]
    there = w > 0
    return sm.WLS(y[there], design[there], w[there], hasconst=add_intercept).fit(method="qr")


@every_policy
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("add_intercept", [False, True])
def test_statistics_are_those_of_the_regression_on_the_kept_columns(
    add_intercept: bool, weighted: bool, singular: str
):
    X, y, w = example(add_intercept, weighted)
    options = {"add_intercept": add_intercept, "singular": singular}
    result = gpuols.fit(X, y, weights=w, **options)
    model = reference(X[:, KEPT], y, w, add_intercept)
    assert result.status == Status.RANK_DEFICIENT
    assert result.rank == 3 + add_intercept
    for name in FOLLOWING:
        np.testing.assert_allclose(getattr(result, name), getattr(model, name), rtol=1e-10)
    fitted = X[:, KEPT] @ model.params[add_intercept:]
    fitted = fitted + model.params[0] if add_intercept else fitted
    np.testing.assert_allclose(result.predict(X), fitted, rtol=1e-10)
    np.testing.assert_allclose(result.resid(X, y), y - fitted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("add_intercept", [False, True])
def test_dropped_coefficients_are_nan_and_the_kept_ones_those_without_them(
    add_intercept: bool, weighted: bool
):
    X, y, w = example(add_intercept, weighted)
    result = gpuols.fit(X, y, weights=w, add_intercept=add_intercept)
    model = reference(X[:, KEPT], y, w, add_intercept)
    kept = np.r_[np.arange(add_intercept), KEPT + add_intercept]
    dropped = np.setdiff1d(np.arange(5 + add_intercept), kept)
    for name in ("params", "bse", "tvalues", "pvalues"):
        numbers = getattr(result, name)
        np.testing.assert_allclose(numbers[kept], getattr(model, name), rtol=1e-9)
        assert np.isnan(numbers[dropped]).all()
    np.testing.assert_allclose(result.conf_int()[kept], model.conf_int(), rtol=1e-9)
    assert np.isnan(result.conf_int()[dropped]).all()
    covariances = [
        (result.normalized_cov, model.normalized_cov_params),
        (result.cov_params(), model.cov_params()),
    ]
    for mine, theirs in covariances:
        np.testing.assert_allclose(mine[np.ix_(kept, kept)], theirs, rtol=1e-9, atol=1e-12)
        assert np.isnan(mine[dropped]).all()
        assert np.isnan(mine[:, dropped]).all()


def test_tests_of_kept_coefficients_are_those_of_the_regression_on_them():
    X, y, w = example(True, True)
    result = gpuols.fit(X, y, weights=w, add_intercept=True)
    model = reference(X[:, KEPT], y, w, True)
    R = np.array([[0.0, 1, -1, 0, 0, 0], [1.0, 0, 0, 0, 2, 0]])
    mine, theirs = result.t_test(R), model.t_test(R[:, [0, 1, 2, 4]])
    for name in ("effect", "sd", "pvalue"):
        want = np.ravel(getattr(theirs, name))
        np.testing.assert_allclose(getattr(mine, name), want, rtol=1e-9)
    mine, theirs = result.f_test(R), model.f_test(R[:, [0, 1, 2, 4]])
    np.testing.assert_allclose(mine.statistic, theirs.fvalue, rtol=1e-9)
    np.testing.assert_allclose(mine.pvalue, theirs.pvalue, rtol=1e-9)
    np.testing.assert_array_equal(mine.df_denom, theirs.df_denom)


def test_a_test_of_a_dropped_coefficient_is_nan():
    X, y, _ = example(True, False)
    result = gpuols.fit(X, y, add_intercept=True)
    test = result.t_test(np.array([[0.0, 1, 0, 0, 0, 0], [0.0, 1, 0, 1, 0, 0]]))
    for name in ("effect", "sd", "statistic", "pvalue"):
        np.testing.assert_array_equal(np.isnan(getattr(test, name)), [False, True])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("add_intercept", [False, True])
def test_the_smallest_slopes_are_numpys_and_their_errors_the_pseudo_inverses(
    add_intercept: bool, weighted: bool
):
    X, y, w = example(add_intercept, weighted)
    result = gpuols.fit(X, y, weights=w, add_intercept=add_intercept, singular="min_norm")
    mean = w @ np.column_stack([X, y]) / w.sum() * add_intercept
    root = np.sqrt(w)
    centred, target = (X - mean[:-1]) * root[:, None], (y - mean[-1]) * root
    slopes = np.linalg.lstsq(centred, target, rcond=1e-10)[0]
    cov = np.linalg.pinv(centred.T @ centred, rcond=1e-10, hermitian=True)
    first = int(add_intercept)
    np.testing.assert_allclose(result.params[first:], slopes, rtol=1e-10)
    np.testing.assert_allclose(result.normalized_cov[first:, first:], cov, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(result.bse[first:], np.sqrt(np.diag(cov) * result.scale), rtol=1e-10)
    if add_intercept:
        shift = mean[:-1] @ slopes
        np.testing.assert_allclose(result.params[0], mean[-1] - shift, rtol=1e-10)
        variance = 1 / w.sum() + mean[:-1] @ cov @ mean[:-1]
        np.testing.assert_allclose(result.bse[0] ** 2, variance * result.scale, rtol=1e-10)


def test_nan_blanks_every_coefficient_of_the_deficient_alone():
    rng = np.random.default_rng(9)
    X, y = rng.normal(size=(3, 30, 3)), rng.normal(size=(3, 30))
    X[1, :, 2] = X[1, :, 0]
    result = gpuols.fit(X, y, add_intercept=True, singular="nan")
    assert result.status.tolist() == [Status.OK, Status.RANK_DEFICIENT, Status.OK]
    assert result.rank.tolist() == [4, 3, 4]
    for name in ("params", "bse", "tvalues", "pvalues"):
        broken = np.isnan(getattr(result, name))
        assert broken[1].all()
        assert not broken[[0, 2]].any()


@pytest.mark.parametrize("harm", [None, np.nan])
def test_raise_says_how_many_are_deficient(harm: float | None):
    rng = np.random.default_rng(10)
    X, y = rng.normal(size=(5, 30, 3)), rng.normal(size=(5, 30))
    options = {"add_intercept": True, "singular": "raise"}
    if harm is not None:
        y[0, 0] = harm
    gpuols.fit(X, y, **options)
    X[[1, 4], :, 2] = X[[1, 4], :, 0]
    with pytest.raises(FitError, match=r"\b2\b"):
        gpuols.fit(X, y, **options)


@every_policy
@pytest.mark.parametrize("add_intercept", [False, True])
@pytest.mark.parametrize("nobs", [0, 1, 2, 3, 4, 5])
def test_too_few_rows_give_what_they_can(nobs: int, add_intercept: bool, singular: str):
    rng = np.random.default_rng(nobs)
    X, y = rng.normal(size=(2, nobs, 5)), rng.normal(size=(2, nobs))
    options = {"add_intercept": add_intercept, "singular": singular}
    result = gpuols.fit(X, y, **options)
    assert (result.status == Status.TOO_FEW_ROWS).all()
    assert (result.rank == nobs).all()
    said = judging.numbers(result)
    for each in regressions((X, y, None), options):
        mine = judging.said_of(said, each)
        assert judging.judge(each, mine, options) == ([], 0)


def test_a_penalty_leaves_no_design_deficient():
    for kind in KINDS:
        for designs in kind.designs(11, 4):
            result = fit(designs, noise(designs.X), ridge=0.5)
            assert not (result.status == Status.RANK_DEFICIENT).any()
            assert (result.rank == result.params.shape[-1]).all()

"""What least squares is, held against what gpuols gives: gradients, orthogonality, sums, merging.

Nothing here compares with another program: each test is an identity of the mathematics.
"""

from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuols

SEEDS = st.integers(0, 2**32 - 1)
modestly = settings(deadline=None, max_examples=40, derandomize=True)

with_and_without_intercept = pytest.mark.parametrize(
    "add_intercept", [False, True], ids=["no intercept", "intercept"]
)
with_and_without_weights = pytest.mark.parametrize(
    "weighted", [False, True], ids=["no weights", "weights"]
)


def frozen(array):
    array.setflags(write=False)
    return array


def draw(n, k, m=None, weighted=False, seed=0, offset=0.0):
    """X (n, k), y (n,) or (n, m), weights (n,) or None; a tenth of the weights are zero."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, k)) + offset
    y = rng.normal(size=n if m is None else (n, m)) + X.sum(axis=1).reshape((n,) + (1,) * bool(m))
    weights = frozen(rng.uniform(0.2, 3.0, n) * (rng.random(n) > 0.1)) if weighted else None
    return frozen(X), frozen(y), weights


def with_ones(X, add_intercept):
    return np.column_stack([np.ones(len(X)), X]) if add_intercept else X


def weights_or_ones(weights, n):
    return np.ones(n) if weights is None else weights


# The solution is a minimum.


def objective(design, y, w, b, ridge=0.0, free=0):
    return w @ (y - design @ b) ** 2 + ridge * b[free:] @ b[free:]


@with_and_without_weights
@with_and_without_intercept
@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_finite_differences_of_the_objective_vanish(add_intercept, weighted, ridge):
    X, y, weights = draw(40, 4, weighted=weighted)
    b = gpuols.fit(X, y, weights=weights, add_intercept=add_intercept, ridge=ridge).params
    design, w = with_ones(X, add_intercept), weights_or_ones(weights, 40)
    for step in 1e-3 * np.eye(len(b)):
        up, down = (
            objective(design, y, w, at, ridge, int(add_intercept)) for at in (b + step, b - step)
        )
        curvature = 2.0 * (w @ (design @ step) ** 2 + ridge * step @ step)
        assert abs(up - down) < 1e-6 * curvature


@with_and_without_weights
@with_and_without_intercept
@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_gradient_vanishes(add_intercept, weighted, ridge):
    X, y, weights = draw(200, 6, m=3, weighted=weighted)
    b = gpuols.fit(X, y, weights=weights, add_intercept=add_intercept, ridge=ridge).params
    design, w = with_ones(X, add_intercept), weights_or_ones(weights, 200)[:, None]
    penalised = np.ones((len(b), 1))
    penalised[: int(add_intercept)] = 0.0
    gradient = -2.0 * design.T @ (w * (y - design @ b)) + 2.0 * ridge * penalised * b
    size = np.abs(design).T @ (w * np.abs(y))
    assert (np.abs(gradient) < 1e-13 * size).all()


@with_and_without_weights
@with_and_without_intercept
def test_residuals_are_orthogonal_to_the_columns(add_intercept, weighted):
    X, y, weights = draw(300, 5, m=2, weighted=weighted)
    result = gpuols.fit(X, y, weights=weights, add_intercept=add_intercept)
    residuals = result.resid(X, y)
    design, w = with_ones(X, add_intercept), weights_or_ones(weights, 300)
    cosines = (
        design.T @ (w[:, None] * residuals) / np.sqrt(np.outer(w @ design**2, w @ residuals**2))
    )
    assert (np.abs(cosines) < 1e-14).all()
    np.testing.assert_allclose(result.ssr, w @ residuals**2, rtol=1e-13)
    explained = w @ (result.predict(X) ** 2)
    np.testing.assert_allclose(explained + result.ssr, result.uncentered_tss, rtol=1e-13)


@modestly
@given(seed=SEEDS, m=st.integers(1, 4), add_intercept=st.booleans())
def test_joint_fit_minimises_every_generalised_variance(seed, m, add_intercept):
    """B minimises tr((Y - XB) S⁻¹ (Y - XB)') whatever the positive definite S."""
    X, Y, _ = draw(30, 3, m=m, seed=seed)
    design = with_ones(X, add_intercept)
    B = gpuols.fit(X, Y, add_intercept=add_intercept).params
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(m, m))
    inverse = np.linalg.inv(root @ root.T + 0.1 * np.eye(m))

    def trace(at):
        residuals = Y - design @ at
        return np.einsum("ni,ij,nj->", residuals, inverse, residuals)

    lowest = trace(B)
    gradient = -2.0 * design.T @ (Y - design @ B) @ inverse
    assert np.abs(gradient).max() < 1e-11 * np.abs(inverse).max()
    for size in (1e-3, 1.0):
        change = size * rng.normal(size=B.shape)
        rise = np.einsum("ni,ij,nj->", design @ change, inverse, design @ change)
        np.testing.assert_allclose(trace(B + change) - lowest, rise, rtol=1e-6, atol=1e-9 * lowest)
        assert trace(B + change) > lowest


@with_and_without_weights
@with_and_without_intercept
@pytest.mark.parametrize("k", [4, 20])
def test_joint_fit_is_separate_fits(add_intercept, weighted, k):
    X, Y, weights = draw(80, k, m=5, weighted=weighted)
    options = {"weights": weights, "add_intercept": add_intercept}
    joint = gpuols.fit(X, Y, **options)
    for i in range(5):
        alone = gpuols.fit(X, Y[:, i], **options)
        for name in ("params", "bse", "tvalues"):
            got, want = getattr(joint, name)[:, i], getattr(alone, name)
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
        for name in ("ssr", "rsquared", "fvalue", "llf", "centered_tss"):
            np.testing.assert_allclose(getattr(joint, name)[i], getattr(alone, name), rtol=1e-11)


# How the solution moves with the data.


@modestly
@given(
    seed=SEEDS, column=st.integers(0, 2), power=st.integers(-60, 60), add_intercept=st.booleans()
)
def test_scaling_a_column_scales_its_coefficient(seed, column, power, add_intercept):
    """To the bit for powers of two."""
    X, y, _ = draw(30, 3, seed=seed)
    factors = np.ones(3)
    factors[column] = 2.0**power
    before = gpuols.fit(X, y, add_intercept=add_intercept)
    after = gpuols.fit(frozen(X * factors), y, add_intercept=add_intercept)
    shrink = 1.0 / (np.append(1.0, factors) if add_intercept else factors)
    np.testing.assert_array_equal(after.params, before.params * shrink)
    np.testing.assert_allclose(after.bse, before.bse * shrink, rtol=1e-14)
    np.testing.assert_array_equal(after.ssr, before.ssr)
    np.testing.assert_array_equal(after.status, before.status)


@modestly
@given(seed=SEEDS, column=st.integers(0, 2), multiple=st.floats(-100, 100))
@with_and_without_intercept
def test_adding_a_column_to_y_adds_to_its_coefficient(seed, column, multiple, add_intercept):
    X, y, _ = draw(30, 3, seed=seed)
    before = gpuols.fit(X, y, add_intercept=add_intercept)
    after = gpuols.fit(X, frozen(y + multiple * X[:, column]), add_intercept=add_intercept)
    added = np.zeros_like(before.params)
    added[column + add_intercept] = multiple
    np.testing.assert_allclose(after.params, before.params + added, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(after.bse, before.bse, rtol=1e-8)


@modestly
@given(seed=SEEDS, x_shift=st.floats(-1e7, 1e7), y_shift=st.floats(-1e7, 1e7))
def test_shifts_move_only_the_intercept(seed, x_shift, y_shift):
    X, y, _ = draw(40, 3, seed=seed)
    shifted_x, shifted_y = X + x_shift, y + y_shift
    before = gpuols.fit(
        frozen(shifted_x - x_shift), frozen(shifted_y - y_shift), add_intercept=True
    )
    after = gpuols.fit(frozen(shifted_x), frozen(shifted_y), add_intercept=True)
    np.testing.assert_allclose(after.params[1:], before.params[1:], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(after.bse[1:], before.bse[1:], rtol=1e-12)
    moved = before.params[0] + y_shift - before.params[1:].sum() * x_shift
    np.testing.assert_allclose(after.params[0], moved, rtol=1e-9, atol=1e-8)


@modestly
@given(seed=SEEDS, factor=st.floats(1e-6, 1e6))
def test_weights_matter_up_to_a_factor(seed, factor):
    X, y, weights = draw(40, 3, weighted=True, seed=seed)
    before = gpuols.fit(X, y, weights=weights, add_intercept=True)
    after = gpuols.fit(X, y, weights=frozen(weights * factor), add_intercept=True)
    np.testing.assert_allclose(after.params, before.params, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(after.bse, before.bse, rtol=1e-12)
    np.testing.assert_allclose(after.llf, before.llf, rtol=1e-12)
    np.testing.assert_allclose(after.ssr, before.ssr * factor, rtol=1e-12)


@with_and_without_intercept
def test_a_weight_of_three_is_three_rows(add_intercept):
    X, y, _ = draw(30, 3)
    weights = frozen(np.arange(30) % 4.0)
    once = gpuols.fit(X, y, weights=weights, add_intercept=add_intercept)
    times = weights.astype(int)
    repeated = gpuols.fit(
        frozen(X.repeat(times, 0)), frozen(y.repeat(times)), add_intercept=add_intercept
    )
    for name in ("params", "ssr", "centered_tss", "uncentered_tss", "normalized_cov", "rsquared"):
        np.testing.assert_allclose(getattr(once, name), getattr(repeated, name), rtol=1e-12)
    assert once.nobs == np.sum(weights > 0)
    assert repeated.nobs == weights.sum()


@with_and_without_intercept
def test_rows_in_any_order(add_intercept):
    X, y, weights = draw(500, 4, weighted=True)
    order = np.random.default_rng(1).permutation(500)
    before = gpuols.fit(X, y, weights=weights, add_intercept=add_intercept)
    after = gpuols.fit(
        frozen(X[order]), frozen(y[order]), weights=weights[order], add_intercept=add_intercept
    )
    np.testing.assert_allclose(after.params, before.params, rtol=1e-12)
    np.testing.assert_allclose(after.bse, before.bse, rtol=1e-12)


@with_and_without_intercept
def test_a_ridge_penalty_is_rows_added(add_intercept):
    """λ‖b‖² is the square of k more rows √λ I with y = 0, outside the mean."""
    X, y, weights = draw(40, 4, weighted=True)
    penalised = gpuols.fit(X, y, weights=weights, ridge=2.0, add_intercept=add_intercept)
    design = np.vstack([with_ones(X, add_intercept), np.eye(5)[1:, 1 - add_intercept :]])
    long = gpuols.fit(
        frozen(design),
        frozen(np.append(y, np.zeros(4))),
        weights=np.append(weights, np.full(4, 2.0)),
    )
    np.testing.assert_allclose(penalised.params, long.params, rtol=1e-12)
    shrunk = 2.0 * np.sum(penalised.params[int(add_intercept) :] ** 2)
    np.testing.assert_allclose(penalised.ssr + shrunk, long.ssr, rtol=1e-12)


# Moments add.


def mean_of(moments):
    near = moments.anchor + moments.mean
    return near if moments.low is None else near + moments.low.mean


FIELDS = ("nobs", "sumw", "sum_log_w", "sxx", "sxy", "syy")


def same_moments(got, whole, rtol=1e-13):
    """Compare in units of the sums of squares that each number is made of."""
    size_x = np.sqrt(np.einsum("...ii->...i", whole.sxx))
    size_y = np.sqrt(whole.syy)
    sizes = {
        "sxx": size_x[..., :, None] * size_x[..., None, :],
        "sxy": size_x[..., :, None] * size_y[..., None, :],
        "syy": whole.syy,
    }
    for name in FIELDS:
        mine, want = getattr(got, name), getattr(whole, name)
        assert (np.abs(mine - want) <= rtol * sizes.get(name, 1.0 + np.abs(want))).all(), name
    np.testing.assert_allclose(mean_of(got), mean_of(whole), rtol=rtol, atol=rtol)
    about_the_mean = np.concatenate([size_x**2, whole.syy], axis=-1)
    assert (got.raw >= (1.0 - 1e-12) * about_the_mean).all(), "raw: no point has less than the mean"


def pieces_of(edges, X, y, weights, add_intercept):
    return [
        gpuols.moments(
            X[a:b],
            y[a:b],
            weights=None if weights is None else weights[a:b],
            add_intercept=add_intercept,
        )
        for a, b in pairwise(edges)
    ]


@with_and_without_weights
@with_and_without_intercept
def test_sums_of_outer_products_of_rows_are_the_gram_matrix(add_intercept, weighted):
    """Σᵢ wᵢ xᵢ xᵢ' = X'WX, one row at a time."""
    X, Y, weights = draw(60, 3, m=2, weighted=weighted)
    whole = gpuols.moments(X, Y, weights=weights, add_intercept=add_intercept)
    added = reduce(add, pieces_of(range(61), X, Y, weights, add_intercept))
    same_moments(added, whole)
    w = weights_or_ones(weights, 60)[:, None]
    mean = (w * X).sum(0) / w.sum() if add_intercept else 0.0
    outer = sum(w[i] * np.outer(X[i] - mean, X[i] - mean) for i in range(60))
    np.testing.assert_allclose(added.sxx, outer, rtol=1e-12, atol=1e-12)


@modestly
@given(
    seed=SEEDS,
    cuts=st.lists(st.integers(0, 200), max_size=12),
    weighted=st.booleans(),
    add_intercept=st.booleans(),
    offset=st.sampled_from([0.0, 1e7]),
)
def test_moments_of_pieces_add_to_those_of_the_whole(seed, cuts, weighted, add_intercept, offset):
    """Cuts may coincide, and then a piece is empty."""
    X, Y, weights = draw(200, 3, m=2, weighted=weighted, seed=seed, offset=offset)
    whole = gpuols.moments(X, Y, weights=weights, add_intercept=add_intercept)
    pieces = pieces_of([0, *sorted(cuts), 200], X, Y, weights, add_intercept)
    same_moments(reduce(add, pieces), whole)
    same_moments(reduce(add, pieces[::-1]), whole)


@pytest.mark.uncovered
@with_and_without_weights
@pytest.mark.parametrize(("offset", "add_intercept"), [(0.0, False), (1e7, True)])
def test_a_thousand_pieces(offset, add_intercept, weighted):
    X, y, weights = draw(3000, 2, weighted=weighted, offset=offset)
    rng = np.random.default_rng(3)
    edges = [0, *np.sort(rng.integers(0, 3001, 999)), 3000]
    whole = gpuols.moments(X, y, weights=weights, add_intercept=add_intercept)
    added = reduce(add, pieces_of(edges, X, y, weights, add_intercept))
    same_moments(added, whole)


@pytest.mark.uncovered
@with_and_without_intercept
def test_a_stream_in_either_order(add_intercept):
    """Low parts keep what a thousand additions would round away."""
    X, y, _ = draw(1000, 2)
    pieces = pieces_of(range(1001), X, y, None, add_intercept)
    same_moments(reduce(add, pieces), reduce(add, pieces[::-1]), rtol=3e-16)


@pytest.mark.parametrize("far_first", [False, True])
def test_a_light_piece_far_away(far_first):
    """The mean steps from the heavier side, or the step would swallow the spread."""
    X, y, _ = draw(51, 2)
    X = X.copy()
    X[0] += (1e12, -2e12)
    weights = frozen(np.append(1e-22, np.ones(50)))
    far, near = pieces_of((0, 1, 51), frozen(X), y, weights, add_intercept=True)
    added = far + near if far_first else near + far
    np.testing.assert_allclose(mean_of(added)[:2], X[1:].mean(0) + 2e-24 * X[0], rtol=1e-9)
    exact = oracle.solve(X, y[:, None], weights, add_intercept=True)
    result = gpuols.fit_moments(added, tol=1e-6)
    assert result.status == gpuols.Status.OK
    error = oracle.relative_error(result.params, exact.params[:, 0], exact.bse[:, 0])
    assert (error <= result.error_bound).all()


def test_total_weight_of_a_stream_does_not_drift():
    """A thousand rows, each too light to move a total kept in one double."""
    heavy, light = np.full(10, 2.0**20), np.full(1000, 0.49 * 2.0**-29)
    X, y, _ = draw(1010, 0)
    y, weights = frozen(y + 5.0), frozen(np.append(heavy, light))
    pieces = pieces_of([0, *range(10, 1011)], X, y, weights, add_intercept=True)
    result = gpuols.fit_moments(reduce(add, pieces))
    exact = oracle.solve(X, y[:, None], weights, add_intercept=True)
    assert oracle.relative_error(result.bse, exact.bse[:, 0], 0.0) <= result.error_bound


@with_and_without_intercept
def test_moments_of_batches_add(add_intercept):
    rng = np.random.default_rng(5)
    X, Y = frozen(rng.normal(size=(4, 90, 3))), frozen(rng.normal(size=(4, 90, 2)))
    whole = gpuols.moments(X, Y, add_intercept=add_intercept)
    parts = [
        gpuols.moments(X[:, a:b], Y[:, a:b], add_intercept=add_intercept)
        for a, b in pairwise((0, 1, 40, 40, 90))
    ]
    added = reduce(add, parts)
    same_moments(added, whole)
    result, merged = (
        gpuols.fit(X, Y, add_intercept=add_intercept),
        gpuols.fit_moments(added),
    )
    for name in ("params", "bse", "llf", "rsquared", "uncentered_tss"):
        np.testing.assert_allclose(getattr(merged, name), getattr(result, name), rtol=1e-10)


@modestly
@given(seed=SEEDS, add_intercept=st.booleans())
def test_addition_commutes_and_associates(seed, add_intercept):
    X, Y, weights = draw(60, 3, m=2, weighted=True, seed=seed, offset=1e3)
    a, b, c = pieces_of((0, 7, 31, 60), X, Y, weights, add_intercept)
    same_moments(a + b, b + a, rtol=1e-15)
    same_moments((a + b) + c, a + (b + c), rtol=1e-15)


def test_an_empty_piece_changes_nothing():
    X, Y, weights = draw(40, 3, m=2, weighted=True, offset=1e7)
    whole = gpuols.moments(X, Y, weights=weights, add_intercept=True)
    nothing = gpuols.moments(X, Y, weights=np.zeros(40), add_intercept=True)
    no_rows = gpuols.moments(X[:0], Y[:0], add_intercept=True)
    for added in (whole + nothing, nothing + whole, whole + no_rows, no_rows + whole):
        same_moments(added, whole, rtol=2e-16)
        np.testing.assert_array_equal(added.raw, whole.raw)

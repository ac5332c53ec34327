"""The compiled CPU engine, responses on one design: as NumPy answers, however they lie."""

from importlib.util import find_spec

import numpy as np
import pytest
from agreement import disagreements

import gpuols
from gpuols import Status

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")

NUMBERS = ("params", "bse", "ssr", "error_bound", "status")


def draw(n, k, m, seed=0):
    rng = np.random.default_rng([seed, n, k])
    X, Y = rng.normal(3.0, 1.0, (n, k)), rng.normal(1.0, 1.0, (n, m))
    return X, Y, np.where(np.arange(n) % 5 == 1, 0.0, rng.uniform(0.5, 2.0, n))


def fit_both(X, Y, **options):
    return (gpuols.fit(X, Y, device=name, **options) for name in ("cpu:numba", "cpu:numpy"))


def assert_same_bits(found, expected, some=slice(None)):
    for name in NUMBERS:
        mine, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(mine, theirs[..., some], name)


@pytest.mark.parametrize("k", [0, 1, 4, 11, 12, 13, 29, 40])
def test_any_number_of_columns(k):
    X, Y, weights = draw(90, k, 21)
    Y[3, 2], Y[1, 5] = np.nan, np.inf  # the second in a row of no weight
    for lying in (Y, np.asfortranarray(Y)):
        for options in ({"add_intercept": True}, {"weights": weights, "solver": "cholesky"}):
            assert disagreements(*fit_both(X, lying, **options)) == []


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 255, 256, 257, 1300])
def test_any_number_of_rows(n):
    X, Y, weights = draw(n, 2, 5)
    assert disagreements(*fit_both(X, Y, add_intercept=True, weights=weights)) == []
    assert disagreements(*fit_both(X, Y.T.copy().T, ridge=0.7, add_intercept=True)) == []


def test_redundant_columns_are_told_by_numpy():
    X, Y, _ = draw(60, 3, 9)
    X = np.concatenate([X, X[:, :1] + X[:, 1:2]], axis=1)
    for singular in ("drop", "min_norm", "nan"):
        found, expected = fit_both(X, Y, add_intercept=True, singular=singular)
        assert (found.status == Status.RANK_DEFICIENT).all()
        assert disagreements(found, expected) == []


def test_a_design_that_is_not_finite_and_weights_of_nothing():
    X, Y, weights = draw(60, 3, 9)
    assert disagreements(*fit_both(X, Y, weights=0.0 * weights)) == []
    X[7, 1] = np.nan
    found, expected = fit_both(X, Y, add_intercept=True)
    assert (found.status == Status.NONFINITE).all()
    assert disagreements(found, expected) == []


@pytest.mark.parametrize("k", [4, 20])
def test_bits_are_a_responses_own_however_they_lie(k):
    X, Y, _ = draw(300, k, 600)
    options = {"add_intercept": True, "device": "cpu:numba", "solver": "cholesky"}
    whole = gpuols.fit(X, Y, **options)
    lying = gpuols.fit(X, np.asfortranarray(Y), batch_size=7, **options)
    assert_same_bits(lying, whole)
    for part in (slice(3, 4), slice(7, 30), slice(500, 600)):
        assert_same_bits(gpuols.fit(X, Y[:, part], **options), whole, part)
        assert_same_bits(gpuols.fit(X, Y[:, part].copy(), **options), whole, part)
    spoilt = Y.copy()
    spoilt[5, 9], spoilt[299, 10] = np.nan, np.inf
    beside, fine = gpuols.fit(X, spoilt, **options), np.delete(np.arange(600), [9, 10])
    assert (beside.status[[9, 10]] == Status.NONFINITE).all()
    assert_same_bits(gpuols.fit(X, Y[:, fine], **options), beside, fine)
    longer = np.repeat(Y, 2, axis=0)[::2]
    assert_same_bits(gpuols.fit(X, longer, **options), whole)
    assert_same_bits(gpuols.fit(X, Y[:, ::-1], **options), whole, slice(None, None, -1))

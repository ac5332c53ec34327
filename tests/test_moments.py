"""Moments as a user holds them: adding, indexing, refusing what does not fit."""

import numpy as np
import oracle
import pytest

import gpuols
from gpuols import InputError

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 3, 30, 4))
Y = RNG.standard_normal((2, 3, 30))


def reduce(x=X, y=Y, **options):
    return gpuols.moments(x, y, **{"add_intercept": True, **options})


def test_a_list_of_moments_can_be_summed():
    pieces = [reduce(X[..., i : i + 10, :], Y[..., i : i + 10]) for i in (0, 10, 20)]
    found = gpuols.fit_moments(sum(pieces))
    whole = gpuols.fit(X, Y, add_intercept=True)
    np.testing.assert_allclose(found.params, whole.params, rtol=1e-12)
    np.testing.assert_allclose(found.bse, whole.bse, rtol=1e-12)


def test_only_moments_can_be_added():
    with pytest.raises(TypeError):
        reduce() + 1
    with pytest.raises(TypeError):
        1 + reduce()


def test_indexing_is_that_of_the_batch():
    whole = gpuols.fit(X, Y, add_intercept=True, device="cpu:numpy").params
    moments = reduce(device="cpu:numpy")
    for where in (1, (0, 2), slice(None), np.array([[True, False, True], [False] * 3]), -1):
        part = gpuols.fit_moments(moments[where])
        np.testing.assert_array_equal(part.params, whole[where])
    with pytest.raises(IndexError):
        moments[2]
    with pytest.raises(IndexError, match="no batch axis"):
        reduce(X[0, 0], Y[0, 0])[0]


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (lambda: reduce(X[0], Y[0]), "batch shape"),
        (lambda: reduce(X[..., :3], Y), "columns"),
        (lambda: reduce(X, np.stack([Y, Y], axis=-1)), "responses"),
        (lambda: reduce(add_intercept=False), "add_intercept"),
        (lambda: reduce(names=["d", "c", "b", "a"]), "names"),
    ],
)
def test_moments_of_other_regressions_are_refused(other, word):
    with pytest.raises(InputError, match=word):
        reduce(names=["a", "b", "c", "d"]) + other()


def test_the_repr_tells_shapes_and_rows():
    assert repr(reduce()) == "Moments(lead=(2, 3), k=4, m=1, rows=180)"


def test_moments_keep_the_names_they_came_with():
    total = reduce(names=["a", "b", "c", "d"]) + reduce(names=["a", "b", "c", "d"])
    assert gpuols.fit_moments(total).terms == ("Intercept", "a", "b", "c", "d")
    renamed = gpuols.fit_moments(total, names=["e", "f", "g", "h"])
    assert renamed.terms == ("Intercept", "e", "f", "g", "h")


def test_a_mean_that_cancels_its_anchor_keeps_its_digits():
    far = 1e9 * RNG.standard_normal((5, 2))
    near = RNG.standard_normal((40, 2)) + 1.0
    y = RNG.standard_normal(45)
    weights = np.r_[np.full(5, 1e-18), np.ones(40)]
    pieces = [
        gpuols.moments(far, y[:5], weights=weights[:5], add_intercept=True),
        gpuols.moments(near, y[5:], weights=weights[5:], add_intercept=True),
    ]
    exact = oracle.solve(np.r_[far, near], y[:, None], weights, add_intercept=True)
    for total in (pieces[0] + pieces[1], pieces[1] + pieces[0]):
        found = gpuols.fit_moments(total, tol=1e-6).check()
        error = np.abs(found.bse / exact.bse[:, 0] - 1.0)
        assert error.max() <= found.error_bound

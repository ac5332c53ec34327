"""The compiled CPU engine, one design under masks and weights of each response's own."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from agreement import disagreements

import gpuols
from gpuols import Status

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")

NUMBERS = ("params", "bse", "ssr", "llf", "nobs", "error_bound", "status")
DROP = {"missing": "drop", "add_intercept": True}


def draw(n, k, m, seed=0):
    """X (n, k), y (m, n) of which a tenth is missing, weights (m, n), some zero or missing."""
    rng = np.random.default_rng([seed, n, k, m])
    X, y = rng.normal(3.0, 1.0, (n, k)), rng.normal(1.0, 1.0, (m, n))
    y[rng.random(y.shape) < 0.1] = np.nan
    weights = rng.uniform(0.1, 2.0, y.shape)
    weights[rng.random(y.shape) < 0.1] = 0.0
    weights[rng.random(y.shape) < 0.02] = np.nan
    return X, y, weights


def fit_both(X, y, weights=None, **options):
    names = "cpu:numba", "cpu:numpy"
    return (gpuols.fit(X[None], y, weights=weights, device=name, **options) for name in names)


def assert_same_bits(found, expected):
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


@pytest.mark.parametrize("k", [0, 1, 2, 4, 5, 7, 12, 30])
def test_any_number_of_columns(k):
    X, y, weights = draw(2 * k + 40, k, 21)
    assert disagreements(*fit_both(X, y, **DROP, solver="cholesky")) == []
    assert disagreements(*fit_both(X, y, weights, **DROP)) == []
    ridge = np.arange(21) % 3 * 0.5
    assert disagreements(*fit_both(X, y, missing="drop", ridge=ridge)) == []


@pytest.mark.parametrize("n", [0, 1, 2, 31, 32, 33, 255, 256, 257, 289, 1024, 1025, 1300])
def test_any_number_of_rows(n):
    X, y, weights = draw(n, 3, 17)
    y[1] = np.nan
    X[n // 3 : n // 3 + 1] = np.nan
    assert disagreements(*fit_both(X, np.asfortranarray(y), **DROP)) == []
    found, expected = fit_both(X, y, weights, **DROP)
    assert disagreements(found, expected) == []
    np.testing.assert_allclose(found.llf, expected.llf, rtol=1e-9)


def test_rows_of_the_design_that_are_not_finite_hurt_those_that_have_them():
    X, y, weights = draw(80, 3, 40)
    X[7, 1], X[70, 0] = np.nan, np.inf
    present = np.where(np.isnan(weights), 0.0, weights)
    y = np.nan_to_num(y)
    present[::2, [7, 70]] = 0.0
    found, expected = fit_both(X, y, present, add_intercept=True)
    assert (found.status[::2] == Status.OK).all()
    assert (found.status == Status.NONFINITE).sum() > 10
    assert disagreements(found, expected) == []


def test_weights_of_any_size():
    X, y, weights = draw(80, 3, 20)
    for size in (1e-310, 1e-200, 1e18, 1e30, 1e200):
        found, expected = fit_both(X, y, weights * size, **DROP)
        assert disagreements(found, expected) == []
        np.testing.assert_allclose(found.llf, expected.llf, rtol=1e-9)


def test_weights_of_many_sizes():
    X, y, weights = draw(80, 3, 20)
    weights *= 10.0 ** np.random.default_rng(1).integers(-45, 46, y.shape)
    found, expected = fit_both(X, y, weights, **DROP)
    assert disagreements(found, expected) == []
    np.testing.assert_allclose(found.llf, expected.llf, rtol=1e-9)


def test_one_response_and_one_set_of_weights_for_all():
    X, y, weights = draw(300, 3, 21)
    settings = {"device": "cpu:numba", "solver": "cholesky", **DROP}
    repeated = gpuols.fit(X[None], np.repeat(y[:1], 21, axis=0), weights=weights, **settings)
    assert_same_bits(gpuols.fit(X, y[0], weights=weights, **settings), repeated)
    repeated = gpuols.fit(X[None], y, weights=np.repeat(weights[:1], 21, axis=0), **settings)
    assert_same_bits(gpuols.fit(X[None], y, weights=weights[0], **settings), repeated)


def test_nothing_is_left_out_where_nothing_may_be_missing():
    X, y, _ = draw(300, 2, 30)
    y = np.nan_to_num(y, nan=0.5)
    y[1, 3], y[2], y[3, 40] = np.nan, np.nan, np.inf
    ridge = np.arange(30) * 0.5
    for solver in ("auto", "cholesky"):
        found, expected = fit_both(X, y, ridge=ridge, solver=solver)
        assert (found.status[1:4] == Status.NONFINITE).all()
        assert (found.status[4:] == Status.OK).all()
        assert disagreements(found, expected) == []
    X[3, 0] = np.nan
    found, expected = fit_both(X, y, ridge=ridge)
    assert (found.status == Status.NONFINITE).all()
    assert disagreements(found, expected) == []


def test_only_those_that_have_a_row_of_infinities_are_hurt_by_it():
    X, y, _ = draw(300, 3, 40)
    X[7, 1], X[270, 0] = np.inf, -np.inf
    y = np.nan_to_num(y, nan=0.5)
    y[::2, [7, 270]] = np.nan
    found, expected = fit_both(X, y, **DROP)
    assert (found.status[::2] == Status.OK).all()
    assert (found.status[1::2] == Status.NONFINITE).all()
    assert disagreements(found, expected) == []


def test_weights_are_no_second_thing_to_compile():
    masked_jit = pytest.importorskip("gpuols.engines.masked_jit")
    X, y, weights = draw(60, 2, 9)
    gpuols.fit(X[None], y, device="cpu:numba", **DROP)
    before = len(masked_jit.fit_some.signatures)
    gpuols.fit(X[None], y, weights=weights, device="cpu:numba", **DROP)
    assert len(masked_jit.fit_some.signatures) == before


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.3, 0.6, 0.97])
@pytest.mark.parametrize(("n", "k"), [(200, 5), (700, 13), (1100, 2)])
def test_any_share_of_missing_rows(n, k, share):
    X, y, _ = draw(n, k, 33)
    y = np.nan_to_num(y, nan=0.5)
    y[np.random.default_rng(2).random(y.shape) < share] = np.nan
    y[:3] = [[np.nan], [1.0], [2.0]]
    y[1, : n // 2], y[2, n // 3 :] = np.nan, np.nan
    for settings in (DROP, {"missing": "drop", "solver": "cholesky"}):
        assert disagreements(*fit_both(X, np.asfortranarray(y), **settings)) == []


def test_rows_that_outweigh_all_others_take_no_digits_with_them():
    X, y, _ = draw(200, 3, 40)
    X[17], X[180, 1] = 1e9, 3e11
    y = np.nan_to_num(y, nan=0.5)
    y[:, [17, 180]] = np.nan
    kept = np.delete(np.arange(200), [17, 180])
    settings = {"solver": "cholesky", "device": "cpu:numba", **DROP}
    found = gpuols.fit(X[None], y, **settings)
    alone = gpuols.fit(X[None, kept], y[:, kept], **settings)
    assert (found.status == Status.OK).all()
    assert (found.error_bound < 1e-12).all()
    size = np.maximum(abs(alone.params), alone.bse)
    far = (abs(found.params - alone.params) / size).max(axis=-1)
    assert (far <= found.error_bound + alone.error_bound).all()


def test_products_too_large_for_a_sum_hurt_only_those_that_have_them():
    X, y, _ = draw(120, 2, 30)
    X[[3, 60], 0] = 1.3e154
    y = np.nan_to_num(y, nan=0.5)
    y[::2, [3, 60]] = np.nan
    settings = {"solver": "cholesky", "add_intercept": False}
    found, expected = fit_both(X, y, missing="drop", **settings)
    assert (found.status[::2] == Status.OK).all()
    assert (found.status[1::2] != Status.OK).all()
    assert disagreements(found, expected) == []


def test_bits_do_not_depend_on_the_processor(tmp_path):
    X, y, _ = draw(300, 5, 20)
    np.savez(tmp_path / "given", X=X[None], y=y)
    settings = {"device": "cpu:numba", "solver": "cholesky", **DROP}
    code = f"""
import numpy, gpuols
given = numpy.load("given.npz")
found = gpuols.fit(given["X"], given["y"], **{settings!r})
numpy.savez("found", **{{name: getattr(found, name) for name in {NUMBERS!r}}})
"""
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    path = os.pathsep.join([str(Path(gpuols.__file__).parents[1]), *sys.path])
    chosen = {**os.environ, **plain, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], env=chosen, cwd=tmp_path, check=True)
    found = SimpleNamespace(**np.load(tmp_path / "found.npz"))
    assert_same_bits(found, gpuols.fit(X[None], y, **settings))


@pytest.mark.parametrize("n", [100, 600])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.6])
def test_gaps_of_one_response_do_not_reach_the_bits_of_another(n, share):
    X, y, _ = draw(n, 4, 150)
    y = np.nan_to_num(y, nan=0.5)
    y[np.random.default_rng(3).random(y.shape) < share] = np.nan
    settings = {"device": "cpu:numba", "solver": "cholesky", **DROP}
    whole = gpuols.fit(X[None], y, **settings)
    assert_same_bits(gpuols.fit(X[None], np.asfortranarray(y), **settings), whole)
    repeated = gpuols.fit(X[None], np.broadcast_to(y[3], (40, n)), **settings)
    assert_same_bits(repeated, whole[[3] * 40])
    for some in (slice(5, 7), slice(9, 90), slice(149, None, -1)):
        assert_same_bits(gpuols.fit(X[None], y[some], batch_size=7, **settings), whole[some])
        columns = np.asfortranarray(y)[some]
        assert_same_bits(gpuols.fit(X[None], columns, **settings), whole[some])
    spoilt = y.copy()
    spoilt[::3], spoilt[4, :5] = np.nan, np.inf
    beside = gpuols.fit(X[None], np.asfortranarray(spoilt), **settings)
    others = [i for i in range(150) if i % 3 and i != 4]
    assert_same_bits(beside[others], whole[others])


@pytest.mark.parametrize("n", [100, 600])
def test_bits_are_a_responses_own_however_they_lie(n):
    X, y, weights = draw(n, 4, 150)
    settings = {"device": "cpu:numba", "solver": "cholesky", **DROP}
    whole = gpuols.fit(X[None], y, weights=weights, **settings)
    for some in (slice(5, 7), slice(9, 90), slice(149, None, -1)):
        part = gpuols.fit(X[None], y[some], weights=weights[some], batch_size=7, **settings)
        assert_same_bits(part, whole[some])
        columns = np.asfortranarray(y)[some], np.asfortranarray(weights)[some]
        assert_same_bits(gpuols.fit(X[None], columns[0], weights=columns[1], **settings), part)
    lying = np.asfortranarray(y), np.asfortranarray(weights)
    assert_same_bits(gpuols.fit(X[None], lying[0], weights=lying[1], **settings), whole)
    assert_same_bits(gpuols.fit(X[None], y, weights=lying[1], **settings), whole)
    spoilt = y.copy()
    spoilt[3], spoilt[4, 5] = np.nan, np.inf
    beside = gpuols.fit(X[None], spoilt, weights=np.nan_to_num(weights, nan=0.5), **settings)
    assert beside.status[3] == Status.TOO_FEW_ROWS
    assert beside.status[4] == Status.NONFINITE
    for axes in ((2, 75), (5, 30)):
        stacked = y.reshape(*axes, n), weights.reshape(*axes, n)
        found = gpuols.fit(X[None, None], stacked[0], weights=stacked[1], **settings)
        np.testing.assert_array_equal(found.params.reshape(whole.params.shape), whole.params)

"""The compiled CPU engine, one design under masks and weights of each response's own."""

import os
import subprocess
import sys
from importlib.util import find_spec

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


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("n", [200, 600, 1100])
@pytest.mark.parametrize("k", range(6))
def test_sums_in_one_pass_have_the_bits_of_those_in_several(k, n, centered, monkeypatch):
    masked_jit = pytest.importorskip("gpuols.engines.masked_jit")
    kept, table_from, found = [], masked_jit._table, []
    monkeypatch.setattr(masked_jit, "_table", lambda *of: kept.append(table_from(*of)) or kept[-1])
    X, y, _ = draw(n, k, 37)
    X[9:10] = np.nan
    options = {**DROP, "add_intercept": centered, "device": "cpu:numba"}
    for together in (True, False):
        monkeypatch.setattr(masked_jit, "are_wide", lambda together=together: together)
        several = (y, np.asfortranarray(y), np.broadcast_to(y[3], y.shape))
        found += [gpuols.fit(X[None], rows, **options) for rows in several]
    assert [table.together for table in kept] == [True] * 3 + [False] * 3
    for pair in zip(found[:3], found[3:], strict=True):
        assert_same_bits(*pair)


@pytest.mark.parametrize(
    ("features", "wide"), [("", False), ("+avx,+avx2", False), ("+avx2,+avx512f,+avx512vl", True)]
)
def test_registers_are_those_of_the_processor_that_is_compiled_for(features, wide):
    code = "from gpuols.engines.jit import gaps; print(gaps.are_wide())"
    chosen = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}
    found = subprocess.run(
        [sys.executable, "-c", code], env=chosen, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(wide)


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

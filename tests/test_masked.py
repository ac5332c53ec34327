"""Weights of their own on one design and one response: answered together, as if each were alone."""

import numpy as np
import pytest

import gpuols
from gpuols import Status
from gpuols.engines.anchors import weighted_rows
from gpuols.numerics.lanes import tile_of

ROWS, COLUMNS = 300, 3
COUNT = tile_of(ROWS, COLUMNS) + 20

ANSWERS = ("params", "bse", "ssr", "rsquared", "llf", "nobs", "error_bound", "status")


@pytest.fixture
def design():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, COLUMNS)) + 100.0
    return x, x.sum(axis=1) + rng.standard_normal(ROWS)


@pytest.fixture
def weights():
    """Most of them everyday ones; those of the first few have rows left out, or are extreme."""
    rng = np.random.default_rng(1)
    found = rng.uniform(0.5, 1.5, (COUNT, ROWS))
    found[1, 0] = 0.0
    found[2] = rng.integers(0, 3, ROWS)
    found[3] *= 1e-150
    found[4, 7] = 1e120
    found[5, 2:] = 0.0
    found[6, [0, 3]] = 1e-90, 1e90
    found[7, 11] = np.inf
    return found


def judge(together, alone, place):
    """Statuses alike, and numbers within both bounds."""
    assert together.status[place] == alone.status
    if together.status[place] != Status.OK:
        return
    bound = together.error_bound[place] + alone.error_bound
    size = np.maximum(abs(alone.params), alone.bse)
    assert (abs(together.params[place] - alone.params) <= bound * size).all()
    assert together.nobs[place] == alone.nobs
    np.testing.assert_allclose(together.llf[place], alone.llf, rtol=1e-12)


@pytest.mark.parametrize("intercept", [True, False])
def test_each_is_answered_as_if_it_were_alone(design, weights, intercept):
    together = gpuols.fit(*design, weights=weights, add_intercept=intercept)
    for place in [*range(9), COUNT - 1]:
        alone = gpuols.fit(*design, weights=weights[place], add_intercept=intercept)
        judge(together, alone, place)


def test_missing_weights_and_responses_leave_their_rows(design, weights):
    (x, y), weights = design, weights.copy()
    y[20], weights[8, 5], weights[9, :2] = np.nan, np.nan, np.nan
    options = {"add_intercept": True, "missing": "drop"}
    together = gpuols.fit(x, y, weights=weights, **options)
    for place in range(11):
        judge(together, gpuols.fit(x, y, weights=weights[place], **options), place)


@pytest.mark.parametrize("device", ["cpu:numpy", "auto"])
def test_a_missing_response_leaves_its_row_whatever_its_weight(design, device):
    (x, y), rng = design, np.random.default_rng(4)
    responses, weights = np.tile(y, (3, 1)), rng.uniform(0.5, 1.5, (3, ROWS))
    responses[0, 4], responses[1, 20:] = np.nan, np.nan
    options = {"add_intercept": True, "missing": "drop", "device": device}
    together = gpuols.fit(x[None], responses, weights=weights, **options)
    for place, (own, weight) in enumerate(zip(responses, weights, strict=True)):
        judge(together, gpuols.fit(x, own, weights=weight, **options), place)


@pytest.mark.parametrize("solver", ["auto", "cholesky"])
def test_bits_depend_on_ones_own_weights_alone(design, weights, solver):
    order = np.random.default_rng(2).permutation(COUNT)[: COUNT // 3]
    options = {"add_intercept": True, "solver": solver}
    together = gpuols.fit(*design, weights=weights, **options)
    several = gpuols.fit(*design, weights=np.asfortranarray(weights[order]), **options)
    alone = gpuols.fit(*design, weights=weights[:1], **options)
    for name in ANSWERS:
        every = getattr(together, name)
        np.testing.assert_array_equal(getattr(several, name), every[order], err_msg=name)
        np.testing.assert_array_equal(getattr(alone, name), every[:1], err_msg=name)


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 250, 300])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("order", ["C", "F"])
def test_first_middle_and_last_of_the_rows_that_count(rows, share, order):
    valid = np.asarray(np.random.default_rng(rows).random((100, rows)) < share, order=order)
    for first, middle, last, own in zip(*weighted_rows(valid), valid, strict=True):
        found = np.flatnonzero(own) if own.any() else [0]
        assert (first, middle, last) == (found[0], found[len(found) // 2], found[-1])

"""How work is cut: everything is covered once, within the budget and the caller's wish."""

import tracemalloc

import numpy as np
import pytest

import gpuols
from gpuols import plan
from gpuols.numerics.cholesky import TILE
from gpuols.numerics.lanes import tile_of
from gpuols.options import THREADS_VARIABLE


def covered(spans):
    return [i for span in spans for i in range(span.start, span.stop)]


@pytest.mark.parametrize("count", [0, 1, 127, 128, 5000, 100_000])
@pytest.mark.parametrize("batch_size", [None, 1000])
def test_every_regression_is_in_one_chunk(count, batch_size):
    reading = plan.reading(count, n=100, columns=5, batch_size=batch_size)
    solving = plan.solving(count, k=4, m=1, batch_size=batch_size)
    columns = plan.column_chunks(count, k=4, n=100, batch_size=batch_size)
    masked = plan.masked_chunks(count, n=100, k=4, batch_size=batch_size)
    for spans in (reading, solving, columns, masked):
        assert covered(spans) == list(range(count))
    assert all(span.start % TILE == 0 for span in columns)
    if batch_size is None:
        assert all(span.start % tile_of(100, 4) == 0 for span in masked)
    else:
        assert (
            max(s.stop - s.start for s in [*reading, *solving, *masked, slice(0, 0)]) <= batch_size
        )


def test_wide_regressions_are_solved_within_the_budget(monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "4")
    step = plan.solving(100_000, k=200, m=1, batch_size=None)[0].stop
    assert 1 <= step < 100
    assert plan.solving(10, k=20_000, m=1, batch_size=None)[0] == slice(0, 1)


@pytest.mark.parametrize(
    ("shape", "responses"),
    [((40_000, 30, 6), ()), ((60, 3000, 60), ()), ((1, 200_000, 8), ()), ((500, 10), (60_000,))],
)
def test_temporaries_stay_within_the_budget(shape, responses, monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "2")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    y = rng.standard_normal((*shape[:-1], *responses))
    tracemalloc.start()
    try:
        result = gpuols.fit(x, y, add_intercept=True)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.status.any() == 0
    assert peak - kept < plan.BUDGET


@pytest.mark.parametrize(
    ("lead", "n", "k", "m"),
    [((), 200, 64, 4000), ((), 1_000_000, 3, 3), ((), 200, 3, 60_000), ((3,), 300, 3, 5000)],
)
def test_temporaries_of_a_fit_by_response_stay_within_the_budget(lead, n, k, m, monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "2")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((*lead, n, k)), rng.standard_normal((*lead, n, m))
    y[..., ::9, 0] = np.nan
    tracemalloc.start()
    try:
        moments = gpuols.moments(x, y, add_intercept=True, missing="drop")
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert moments.lead == (*lead, m)
    assert peak - kept < plan.BUDGET


def test_many_responses_of_a_batch_are_read_in_turn():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((1, 300, 3)), rng.standard_normal((1, 300, 40_000))
    tracemalloc.start()
    try:
        result = gpuols.fit(x, y, add_intercept=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    result.check()
    assert peak < y.nbytes / 2

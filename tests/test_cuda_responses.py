"""Responses on one design: the CUDA engine's kernels for them against the CPU's."""

import machines
import numpy as np
import pytest
from agreement import disagreements
from case import Case, gauss
from machines import in_order, uncovered, upload
from problems import CASES

import gpuols
from gpuols import DeviceError, Status
from gpuols.engines import device, launches
from gpuols.engines.link import between
from gpuols.engines.responses import ResponseWork
from gpuols.engines.ring import Ring

machine, pretended = machines.machine, machines.pretended
pytestmark = [pytest.mark.usefixtures("machine"), in_order]


def serves(case: Case) -> bool:
    """Whether the case is one design with several responses, and nothing left out."""
    X, y, weights = case.data()
    one = X[..., 0, 0].size == 1 and (weights is None or weights[..., 0].size == 1)
    one = one and np.size(case.options.get("ridge", 0.0)) == 1
    several = y.ndim == X.ndim or y.size != y.shape[-1]
    return one and X.ndim <= y.ndim + 1 and several and case.options.get("missing") != "drop"


SHARED = [case for case in CASES if case.data()[0].size and serves(case)]
VARIANTS = (
    {"solver": "cholesky"},
    {"solver": "accurate"},
    {"singular": "min_norm"},
    {"singular": "nan"},
)


def launched(pretended, before):
    """Kernels for responses that were launched."""
    return [name for name, *_ in pretended.launches[before:] if "responses" in name]


def fit_both(data, **options):
    X, y, weights = data
    expected = gpuols.fit(X, y, weights=weights, device="cpu:numpy", **options)
    return gpuols.fit(X, y, weights=weights, device="cuda", **options), expected


@uncovered
@pytest.mark.parametrize("case", SHARED, ids=lambda case: case.name)
def test_every_case_is_answered_as_by_the_cpu(case):
    for variant in VARIANTS:
        if case.options.keys() & variant.keys():
            continue
        assert disagreements(*fit_both(case.data(), **case.options, **variant)) == [], variant


def test_the_table_has_cases_of_every_kind(pretended):
    assert len(SHARED) > 80
    statuses = set()
    for case in SHARED:
        X, y, weights = case.data()
        result = gpuols.fit(X, y, weights=weights, **{**case.options, "solver": "cholesky"})
        statuses |= set(np.unique(result.status).tolist())
    assert statuses >= {Status.OK, Status.UNTRUSTED, Status.TOO_FEW_ROWS, Status.NONFINITE}


@uncovered
@pytest.mark.parametrize("m", [9, 16, 63, 64, 65, 130])
@pytest.mark.parametrize("k", [0, 1, 8, 9, 16, 17, 32, 33, 70])
def test_any_number_of_columns_and_responses(pretended, k, m):
    before = len(pretended.launches)
    data = Case(f"k={k}, m={m}", gauss(k + 40, k, (), m)).data()
    assert disagreements(*fit_both(data, add_intercept=True)) == []
    assert disagreements(*fit_both(data, ridge=0.3)) == []
    names = launched(pretended, before)
    expected = ["responses"] if k <= 32 else ["responses", "solve_responses"]
    assert names == 2 * expected


ROWS = (0, 1, 2, 15, 16, 17, 127, 128, 129, 4095, 4096, 4097, 12291)


@uncovered
@pytest.mark.parametrize(("n", "k"), [*((n, 3) for n in ROWS), (129, 40), (4097, 33)])
def test_any_number_of_rows(n, k):
    X, y, _ = Case(f"n={n}, k={k}", gauss(n, k, (), 10)).data()
    weights = np.random.default_rng(n).uniform(0.5, 2.0, n)
    weights[::7] = 0.0
    for data in ((X, y, None), (X.astype(np.float32), y.astype(np.float32), weights)):
        assert disagreements(*fit_both(data, add_intercept=True)) == []


@pytest.mark.parametrize(
    ("n", "k", "options"),
    [(60, 3, {}), (60, 33, {"ridge": 0.1}), (4100, 2, {"add_intercept": True})],
)
def test_bits_do_not_depend_on_neighbours_place_or_chunks(n, k, options):
    X, y, _ = (a if a is None else a.copy() for a in Case("bits", gauss(n, k, (), 90)).data())
    weights = np.random.default_rng(1).uniform(0.5, 2.0, n)
    y[3, 5], y[:, 71] = np.nan, 1e300

    def bits(y, X=X, **more):
        result = gpuols.fit(X, y, weights=weights, device="cuda", **options, **more)
        names = "params", "bse", "ssr", "error_bound", "status"
        return [np.moveaxis(getattr(result, name), -1, 0) for name in names]

    whole = bits(y)
    for found, expected in zip(bits(y, batch_size=7), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    some = [80, 2, 71, 16, 15, 5, 89, 40, 41, 42]
    for found, expected in zip(bits(y[:, some]), whole, strict=True):
        np.testing.assert_array_equal(found, expected[some])
    for found, expected in zip(bits(np.asfortranarray(y)), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    given = [upload(a) for a in (X, np.asfortranarray(y), weights)]
    there = gpuols.fit(given[0], given[1], weights=given[2], **options)
    np.testing.assert_array_equal(there.params.get().T, whole[0])
    rows = gpuols.fit(X[None], y.T, weights=weights, device="cuda", **options)
    np.testing.assert_array_equal(rows.params, whole[0])


@pytest.mark.parametrize(("n", "k"), [(30, 12), (70, 40), (4100, 5)])
@pytest.mark.parametrize("singular", ["drop", "min_norm", "nan"])
def test_redundant_columns_of_any_number(n, k, singular):
    X, y, _ = (a if a is None else a.copy() for a in Case("redundant", gauss(n, k, (), 20)).data())
    X[:, k - 1], X[:, 1] = X[:, 0] - X[:, 2], 1.0
    found, expected = fit_both((X, y, None), add_intercept=True, singular=singular)
    assert disagreements(found, expected) == []
    assert (found.status == Status.RANK_DEFICIENT).all()
    assert not found.solved_precisely.any()


def test_every_64_responses_have_a_block(pretended):
    for n, k, m, blocks in ((40, 2, 6400, [100]), (4100, 40, 70, [8, 2])):
        before = len(pretended.launches)
        gpuols.fit(*Case("grid", gauss(n, k, (), m)).data()[:2], device="cuda", solver="cholesky")
        launches = pretended.launches[before:]
        assert [grid[0] for name, _, grid, *_ in launches if "responses" in name] == blocks


@pytest.mark.parametrize("solver", ["auto", "cholesky"])
def test_rows_may_be_freed_when_the_call_returns(pretended, solver):
    X, y = (upload(array) for array in Case("freed", gauss(40, 4, (), 20)).data()[:2])
    gpuols.fit(X, y, solver=solver)
    assert not device.namespace().cuda.get_current_stream()._queue.work


@pytest.mark.parametrize("y", [np.zeros((200, 1)), np.zeros((1, 200_000))])
def test_many_responses_of_the_host_go_through_the_ring(y):
    work = ResponseWork(None, None, np.broadcast_to(y, (200, 200_000)), None, None, 0.0, None)
    assert isinstance(between(0, work.tables, print), Ring)


def test_more_responses_than_blocks(pretended, monkeypatch):
    for n, k in ((60, 3), (4100, 2), (60, 40)):
        data = Case("many", gauss(n, k, (), 200)).data()
        before = gpuols.fit(*data[:2], device="cuda")
        with monkeypatch.context() as patch:
            patch.setattr(launches, "_GRID", 1)
            found = gpuols.fit(*data[:2], device="cuda")
        assert {grid for _, _, grid, _, _ in pretended.launches[-1:]} == {(1,)}
        np.testing.assert_array_equal(found.params, before.params)
        np.testing.assert_array_equal(found.error_bound, before.error_bound)


def test_one_bad_response_is_looked_at_again_alone():
    X, y, _ = (a if a is None else a.copy() for a in Case("mixed", gauss(40, 4, (), 12)).data())
    y[:, 5] = X @ np.ones(4)
    y[3, 7] = np.nan
    found, expected = fit_both((X, y, None))
    assert found.solved_precisely.tolist() == [r == 5 for r in range(12)]
    assert found.status.tolist() == [Status.NONFINITE if r == 7 else 0 for r in range(12)]
    assert disagreements(found, expected) == []
    there = gpuols.fit(upload(X), upload(y))
    assert disagreements(there, expected) == []


def test_columns_with_units_are_left_to_the_cpu(pretended):
    X, y, _ = (a if a is None else a.copy() for a in Case("extreme", gauss(40, 3, (), 12)).data())
    X[:, 1] *= 1e200
    before = len(pretended.launches)
    assert disagreements(*fit_both((X, y, None))) == []
    assert launched(pretended, before) == []


def test_moments_are_those_of_the_cpu():
    X, y, _ = Case("moments", gauss(40, 4, (), 12)).data()
    found = gpuols.moments(X, y, device="cuda", add_intercept=True)
    expected = gpuols.moments(X, y, add_intercept=True)
    for name in ("nobs", "sumw", "anchor", "mean", "sxx", "sxy", "syy", "raw"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)


def test_progress_is_reported():
    X, y, _ = Case("progress", gauss(40, 4, (), 20)).data()
    told = []
    gpuols.fit(X, y, device="cuda", batch_size=8, progress=lambda *step: told.append(step))
    assert told == [(8, 20), (16, 20), (20, 20)]


def test_out_of_memory_halves_the_chunk_and_goes_on(pretended):
    X, y, _ = Case("large", gauss(500, 4, (), 256)).data()
    expected = gpuols.fit(X, y)
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 2**16 + y.nbytes // 4
    launched = len(pretended.launches)
    try:
        found = gpuols.fit(X, y, device="cuda", batch_size=256)
    finally:
        pretended.memory = before
    assert len(pretended.launches) > launched + 2
    assert disagreements(found, expected) == []


def test_one_response_too_large_for_the_device_is_an_error(pretended):
    X, y, _ = Case("too large", gauss(5000, 4, (), 12)).data()
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 190_000
    try:
        with pytest.raises(DeviceError, match=r"one regression of 5,000 rows .* cuda:0"):
            gpuols.fit(X, y, device="cuda")
    finally:
        pretended.memory = before


def test_answers_that_do_not_fit_on_the_device_are_an_error(pretended):
    X, y = (upload(array) for array in Case("answers", gauss(6, 4, (), 2000)).data()[:2])
    before, pretended.memory = pretended.memory, pretended.taken(0) + 2**17
    try:
        with pytest.raises(DeviceError, match=r"2,000 regressions whose answers .* cuda:0"):
            gpuols.fit(X, y)
    finally:
        pretended.memory = before

"""The CUDA engine against the CPU's: on the emulator with CuPy's stand-in, or on a device."""

import dataclasses
from itertools import product

import machines
import numpy as np
import pytest
from agreement import disagreements
from case import Case, Data, gauss
from machines import in_order, uncovered, upload
from problems import CASES

import gpuols
from gpuols import DeviceError, Status
from gpuols.engines import catalogue, device, launches
from gpuols.engines.kernels import Kernel

machine, pretended = machines.machine, machines.pretended
pytestmark = pytest.mark.usefixtures("machine")


def fit_both(data: Data, **options) -> tuple[gpuols.Result, gpuols.Result]:
    X, y, weights = data
    expected = gpuols.fit(X, y, weights=weights, device="cpu:numpy", **options)
    return gpuols.fit(X, y, weights=weights, device="cuda", **options), expected


@uncovered
@in_order
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_on_the_device_is_answered_there(case):
    X, y, weights = case.data()
    expected = gpuols.fit(X, y, weights=weights, **case.options)
    given = [upload(array) for array in (X, y, weights)]
    found = gpuols.fit(given[0], given[1], weights=given[2], **case.options)
    assert (found.kind, found.place) == ("cupy", "cuda:0")
    assert disagreements(found, expected) == []


@uncovered
@in_order
@pytest.mark.parametrize("case", CASES[::4], ids=lambda case: case.name)
def test_cases_in_host_memory_are_answered_as_by_the_cpu(case):
    found, expected = fit_both(case.data(), **case.options)
    assert disagreements(found, expected) == []


@uncovered
@in_order
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("p", [*range(1, 41), 64, 65, 130, 241])
def test_any_number_of_columns(p, centered):
    case = Case(f"p={p}", gauss(2 * p + 9, p - centered, (2,)))
    found, expected = fit_both(case.data(), add_intercept=centered, solver="cholesky")
    assert found.engine == "cuda:0"
    assert disagreements(found, expected) == []


ROWS = (0, 1, 2, 3, 4, 5, 31, 33, 127, 128, 129, 256, 257, 513, 1024, 1025, 4095, 4096, 4097, 12291)
FEWER = (0, 2, 33, 129, 513, 4095, 4097)


@uncovered
@in_order
@pytest.mark.parametrize(("n", "k"), [*((n, 3) for n in ROWS), *product(FEWER, (20, 40))])
def test_any_number_of_rows(n, k):
    X, y, _ = Case(f"n={n}, k={k}", gauss(n, k, (2,))).data()
    weights = np.random.default_rng(n).uniform(0.5, 2.0, (2, n))
    weights[:, ::7] = 0.0
    for data in ((X, y, None), (X, y, weights)):
        assert disagreements(*fit_both(data, add_intercept=True)) == []


@uncovered
@in_order
@pytest.mark.parametrize(
    ("k", "m"), [*product((0, 1, 12, 64, 70), (1, 7, 30)), (12, 2), (12, 70), (0, 150), (70, 150)]
)
def test_any_number_of_responses(k, m):
    data = Case(f"k={k}, m={m}", gauss(k + 40, k, (3,), m)).data()
    assert disagreements(*fit_both(data, add_intercept=True)) == []
    assert disagreements(*fit_both(data, ridge=0.3)) == []


@uncovered
@in_order
@pytest.mark.parametrize(("n", "k"), [(20, 3), (20, 14), (20, 30), (50, 35), (4100, 2)])
def test_more_regressions_than_blocks(pretended, monkeypatch, n, k):
    data = Case(f"{n} x {k}", gauss(n, k, (83,))).data()
    before = gpuols.fit(*data[:2], device="cuda", solver="cholesky")
    monkeypatch.setattr(launches, "_GRID", 2)
    found = gpuols.fit(*data[:2], device="cuda", solver="cholesky")
    assert {grid for _, _, grid, _, _ in pretended.launches[-1:]} == {(2,)}
    np.testing.assert_array_equal(found.params, before.params)
    np.testing.assert_array_equal(found.error_bound, before.error_bound)


OPTIONS = [{}, {"missing": "drop"}, {"ridge": 0.1}, {"add_intercept": True}]


@uncovered
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("n", "k"), [(20, 3), (700, 10), (60, 33), (4100, 2)])
def test_bits_do_not_depend_on_neighbours_place_or_chunks(n, k, options):
    X, y, _ = (a if a is None else a.copy() for a in Case(f"{n} x {k}", gauss(n, k, (9,))).data())
    weights = np.random.default_rng(1).uniform(0.5, 2.0, (9, n))
    X[3, 5, 0] = np.nan
    y[6] = 1e300

    def bits(which, **more):
        result = gpuols.fit(
            X[which], y[which], weights=weights[which], device="cuda", **options, **more
        )
        return [getattr(result, name) for name in ("params", "bse", "ssr", "error_bound", "status")]

    whole = bits(slice(None))
    for found, expected in zip(bits(slice(None), batch_size=2), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip(bits([7, 2, 8]), whole, strict=True):
        np.testing.assert_array_equal(found, expected[[7, 2, 8]])


def test_a_neighbours_penalty_does_not_reach_the_bits():
    X, y, _ = Case("ridge", gauss(40, 5, (3,))).data()
    alone = gpuols.fit(X, y, device="cuda")
    beside = gpuols.fit(X, y, device="cuda", ridge=[0.0, 1.0, 0.0])
    for name in ("params", "bse", "ssr", "error_bound"):
        np.testing.assert_array_equal(getattr(beside, name)[::2], getattr(alone, name)[::2])
    assert (beside.params[1] != alone.params[1]).all()


@pytest.mark.parametrize("lead", [(4, 3), (1, 5), (2, 1, 3)])
def test_leading_axes_that_broadcast(lead):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(*lead[:-1], 1, 30, 3))
    y, weights = rng.normal(size=(*lead, 30)), rng.uniform(0.5, 2.0, (lead[-1], 30))
    for missing in ("nan", "drop"):
        assert disagreements(*fit_both((X, y, weights), missing=missing)) == []


def test_out_of_memory_halves_the_chunk_and_goes_on(pretended):
    X, y, _ = Case("large", gauss(500, 4, (64,))).data()
    expected = gpuols.fit(X, y)
    used = pretended.launches[:]
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 64 * 2**10 + X.nbytes // 4
    try:
        found = gpuols.fit(X, y, device="cuda", batch_size=64)
    finally:
        pretended.memory = before
    assert len(pretended.launches) > len(used) + 2
    assert disagreements(found, expected) == []


def test_one_regression_too_large_for_the_device_is_an_error(pretended):
    X, y, _ = Case("too large", gauss(5000, 4, (2,))).data()
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 2**16
    try:
        with pytest.raises(DeviceError, match=r"one regression of 5,000 rows .* cuda:0"):
            gpuols.fit(X, y, device="cuda")
    finally:
        pretended.memory = before


def test_answers_that_do_not_fit_on_the_device_are_an_error(pretended):
    X, y = (upload(array) for array in Case("answers", gauss(6, 4, (2000,))).data()[:2])
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 2**17
    try:
        with pytest.raises(DeviceError, match=r"2,000 regressions whose answers .* cuda:0"):
            gpuols.fit(X, y)
    finally:
        pretended.memory = before


def test_little_shared_memory_takes_fewer_regressions_at_a_time():
    shape = launches.Shape(100, 31, 1, "double", True, False, False)
    assert launches.fit_batch(shape, 10**6, 100, 227 << 10).round == 8
    little = launches.fit_batch(shape, 10**6, 100, 64 << 10)
    assert little.round == 4
    assert little.shared_bytes <= 64 << 10


def test_rejected_regressions_are_solved_there_too_and_the_result_says_so():
    X, y, _ = (a if a is None else a.copy() for a in Case("mixed", gauss(40, 4, (6,))).data())
    X[2, :, 3] = X[2, :, 0]
    result = gpuols.fit(X, y, device="cuda")
    assert result.engine == "cuda:0"
    np.testing.assert_array_equal(result.solved_precisely, np.arange(6) == 2)
    assert result.status.tolist() == [0, 0, Status.RANK_DEFICIENT, 0, 0, 0]
    assert gpuols.fit(X[:2], y[:2], device="cuda").engine == "cuda:0"
    assert gpuols.fit(X, y, device="cuda", solver="cholesky").engine == "cuda:0"
    assert gpuols.fit(X, y, device="cuda", solver="accurate").engine == "cuda:0"


def test_missing_values_alone_need_no_second_look():
    X, y, _ = (a if a is None else a.copy() for a in Case("NaN", gauss(40, 4, (6,))).data())
    X[2, 3, 1] = np.nan
    result = gpuols.fit(X, y, device="cuda")
    assert result.engine == "cuda:0"
    assert result.status.tolist() == [0, 0, Status.NONFINITE, 0, 0, 0]


def test_ranks_where_a_tiny_penalty_leaves_no_degrees_of_freedom_are_those_of_the_cpu():
    X, y, _ = Case("3 x 5", gauss(3, 5, (4,))).data()
    found, expected = fit_both((X, y, None), ridge=1e-12, solver="cholesky")
    np.testing.assert_array_equal(found.rank, expected.rank)


def test_covariances_and_tests_come_from_the_moments():
    data = Case("moments", gauss(40, 4, (5,))).data()
    found, expected = fit_both(data, add_intercept=True)
    for name in ("normalized_cov", "pvalues", "rsquared", "fvalue", "aic"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-11)
    np.testing.assert_allclose(found.cov_params(), expected.cov_params(), rtol=1e-11)
    np.testing.assert_allclose(
        found.t_test(np.eye(5)).sd, expected.t_test(np.eye(5)).sd, rtol=1e-11
    )


@in_order
@pytest.mark.parametrize(
    ("k", "options"),
    [
        *((k, {"add_intercept": True}) for k in (2, 40)),
        *((k, {"solver": "cholesky"}) for k in (2, 40, 130)),
    ],
)
def test_squares_that_overflow_in_several_chunks_are_no_missing_values(k, options):
    X, y, _ = (a if a is None else a.copy() for a in Case("large", gauss(4100, k, (2,))).data())
    X[0] *= 1e160
    y[1] *= 1e160
    assert disagreements(*fit_both((X, y, None), **options)) == []


@pytest.mark.parametrize("k", [2, 40, 130])
def test_a_column_whose_square_overflows_leaves_no_factor(k):
    X, y, _ = (a if a is None else a.copy() for a in Case("one", gauss(k + 20, k)).data())
    X[1, :, 0] *= 1e160
    for result in fit_both((X, y, None), solver="cholesky"):
        assert result.status[1] == Status.UNTRUSTED
        assert result.rank[1] == -1
        assert np.isnan(result.params[1]).all()
        assert not np.isnan(result.params[0]).any()


def test_extreme_columns_on_a_device_have_every_statistic():
    X, y, _ = (a if a is None else a.copy() for a in Case("extreme", gauss(40, 3, (3,))).data())
    X[1] *= [1e200, 1e-200, 1.0]
    expected = gpuols.fit(X, y, add_intercept=True)
    found = gpuols.fit(upload(X), upload(y), add_intercept=True)
    assert found.status.get().tolist() == [0, 0, 0]
    for name in ("fvalue", "f_pvalue", "rsquared", "tvalues", "pvalues", "llf", "aic"):
        np.testing.assert_allclose(getattr(found, name).get(), getattr(expected, name), rtol=1e-9)


def test_moments_are_those_of_the_cpu():
    X, y, _ = Case("moments", gauss(40, 4, (5,))).data()
    found = gpuols.moments(X, y, device="cuda", add_intercept=True)
    expected = gpuols.moments(X, y, device="cpu:numpy", add_intercept=True)
    for name in ("nobs", "sumw", "anchor", "mean", "sxx", "sxy", "syy", "raw"):
        own, wanted = getattr(found, name), getattr(expected, name)
        # Rounding errors of a product are in proportion to the squares, not to the product.
        np.testing.assert_allclose(own, wanted, rtol=1e-12, atol=1e-15 * np.abs(wanted).max())


def test_progress_is_reported():
    X, y, _ = Case("progress", gauss(40, 4, (10,))).data()
    told = []
    gpuols.fit(X, y, device="cuda", batch_size=4, progress=lambda *step: told.append(step))
    assert told == [(4, 10), (8, 10), (10, 10)]


def test_more_products_than_can_be_numbered_are_refused():
    x, y = np.zeros((1, 2, 50_000), np.float32), np.zeros((1, 2))
    with pytest.raises(DeviceError, match=r"50,000 columns and 1 responses.*fewer responses"):
        gpuols.fit(x, y, device="cuda")


def test_moments_are_not_solved_on_a_device():
    moments = gpuols.moments(np.eye(5, 2), np.arange(5.0))
    with pytest.raises(DeviceError, match=r"moments, which are small.*leave the option out"):
        gpuols.fit_moments(moments, device="cuda")


def test_inputs_are_left_alone():
    X, y, weights = Case("read-only", gauss(40, 4, (3,))).data()
    before = X.copy(), y.copy()
    gpuols.fit(X, y, weights=weights, device="cuda")
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_kernels_are_compiled_ahead(pretended, monkeypatch):
    kernels = catalogue.every_kernel()[:3]
    monkeypatch.setattr(catalogue, "every_kernel", lambda: kernels)
    device.forget()
    told = []
    assert gpuols.precompile("cuda", progress=lambda *step: told.append(step)) == 3
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert {kernel for _, kernel in device._functions} == {*kernels, Kernel("probe")}


def test_every_kernel_that_a_batch_asks_for_is_compiled_ahead():
    ahead = set(catalogue.every_kernel())
    shape = launches.Shape(1, 1, 1, "float", True, True, True)
    for n in (0, 100, 5000):
        for k in (0, 1, 7, 8, 15, 23, 31, 32, 64, 130, 300):
            for m in (0, 1, 9, 70):
                own = dataclasses.replace(shape, n=n, k=k, m=m)
                assert set(catalogue._kernels_of(own)) <= ahead

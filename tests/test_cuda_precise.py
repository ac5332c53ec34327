"""Sums in double-double on the device, of rows and of residuals: the NumPy engine's, to the bit."""

from dataclasses import replace

import machines
import numpy as np
import pandas as pd
import pytest
from agreement import disagreements
from case import Case, gauss
from machines import in_order, uncovered, upload
from problems import CASES

import gpuols
from gpuols import DeviceError
from gpuols.engines import catalogue, cpu, device, launches, precision
from gpuols.engines.cuda import Cuda
from gpuols.engines.residuals import Model
from gpuols.engines.workspace import Workspace
from gpuols.sums import Low

machine, pretended, unanchored = machines.machine, machines.pretended, machines.unanchored
pytestmark = pytest.mark.usefixtures("machine", "unanchored")

NUMBERS = ("params", "bse", "ssr", "error_bound", "status", "rank")


def rows(n, k, m=1, count=3, seed=0):
    """Regressions, the last with an anchor far from its mean; weights, some of them zero."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(3.0, 1.0, (count, n, k)), rng.normal(size=(count, n, m))
    weights = rng.uniform(0.5, 2.0, (count, n))
    weights[:, 3::7] = 0.0
    for place in {0, n // 2, n - 1} if n > 2 else ():
        x[-1, place], y[-1, place] = 1e3, -1e4
    return x, y, weights


def sum_on_host(tables, places, **kind):
    return cpu.moments_batch(*tables, places, precise=True, space=Workspace(), **kind)


def assert_same_bits(found, expected):
    for name in ("nobs", "sumw", "anchor", "mean", "raw", "sxx", "sxy", "syy", "units"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    for name in Low.__annotations__:
        np.testing.assert_array_equal(getattr(found.low, name), getattr(expected.low, name), name)
    np.testing.assert_allclose(found.sum_log_w, expected.sum_log_w, rtol=1e-12, atol=1e-12)
    assert found.precise


@uncovered
@in_order
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_has_the_sums_of_the_cpu_and_so_its_answers(case):
    X, y, weights = case.data()
    options = {
        name: case.options[name] for name in ("add_intercept", "missing") & case.options.keys()
    }
    found, expected = (
        gpuols.moments(X, y, weights=weights, solver="accurate", device=name, **options)
        for name in ("cuda", "cpu:numpy")
    )
    assert_same_bits(found, expected)


ROWS = (0, 1, 2, 15, 16, 31, 32, 63, 127, 200, 511, 512, 4095, 4096, 4097, 21000)


@uncovered
@in_order
@pytest.mark.parametrize("n", ROWS)
def test_any_number_of_rows(n):
    for k, m in ((3, 1), (0, 2)):
        x, y, weights = rows(n, k, m)
        for heavy in (None, weights):
            kind = {"centered": heavy is None or n % 2 == 0, "drop": False}
            found = Cuda(0).reduce_batch((x, y, heavy), (3,), np.arange(3), **kind)
            assert_same_bits(found, sum_on_host((x, y, heavy), np.arange(3), **kind))


@in_order
@pytest.mark.parametrize(("k", "m"), [(4, 1), (5, 4), (1, 9), (13, 3), (33, 2), (64, 1)])
def test_any_number_of_columns(k, m):
    x, y, weights = rows(50, k, m)
    for heavy in (None, weights):
        found = Cuda(0).reduce_batch((x, y, heavy), (3,), np.arange(3), centered=True, drop=False)
        expected = sum_on_host((x, y, heavy), np.arange(3), centered=True, drop=False)
        assert_same_bits(found, expected)


@in_order
@pytest.mark.parametrize("options", [{}, {"centered": True}, {"drop": True}], ids=str)
@pytest.mark.parametrize(("n", "k", "m"), [(40, 3, 1), (70, 5, 3), (600, 0, 2), (4100, 2, 2)])
def test_residuals_are_those_of_the_cpu(n, k, m, options):
    x, y, weights = rows(n, k, m)
    y[0] = x[0].sum(axis=-1, keepdims=True)
    x[1] = np.round(x[1])
    y[1] = x[1].sum(axis=-1, keepdims=True) / 3.0
    kind = {"centered": False, "drop": False} | options
    for heavy in (None, weights):
        tables, looks = (x, y, heavy), []
        for _ in range(3):
            expected = sum_on_host(tables, np.arange(3), fitted=looks, **kind)
            found = Cuda(0).reduce_batch(tables, (3,), np.arange(3), fitted=looks, **kind)
            assert_same_bits(found, expected)
            looks = [*looks, expected]


@in_order
@pytest.mark.parametrize("there", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_read_wherever_they_lie(weighted, there):
    x, y, weights = rows(70, 3, 2, count=12)
    x[2, 5, 1], y[7, 6, 0], x[8, 4, 0] = np.nan, np.nan, np.inf
    x, y = x.astype(np.float32)[:, ::-1].transpose(0, 2, 1).copy().transpose(0, 2, 1), y[:, ::-1]
    heavy = weights[:1] if weighted else None
    shaped = [a if a is None else a.reshape(-1, 3, *a.shape[1:]) for a in (x, y)]
    shaped.append(None if heavy is None else heavy.reshape(1, 1, 70))
    given = tuple(map(upload, shaped)) if there else tuple(shaped)
    full = (x, y, heavy if heavy is None else np.broadcast_to(heavy, weights.shape))
    places = np.array([0, 2, 7, 8, 11])
    for drop in (False, True):
        kind = {"centered": True, "drop": drop}
        found = Cuda(0).reduce_batch(given, (4, 3), places, batch_size=2, **kind)
        assert_same_bits(found, sum_on_host(full, places, **kind))


@in_order
@pytest.mark.parametrize(("there", "ordered"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("options", [{}, {"missing": "drop"}], ids=str)
def test_groups_are_summed_as_batches_of_their_rows(options, ordered, there):
    sizes = (50, 9, 513, 0, 4100, 70)
    keys = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(0)
    x, y = rng.normal(5.0, 1.0, (len(keys), 3)), rng.normal(size=(len(keys), 2))
    weights = rng.uniform(0.5, 2.0, len(keys))
    x[:50] *= [1.0, 1e150, 1.0]
    exact = (keys == 1) | (keys == 2) | (keys == 4)
    y[exact] = x[exact, :1] - [3.0, 7.0]
    y[:50] = x[:50, 1:2] * 3.0
    if options:
        x[::31, 0], y[::47, 1] = np.nan, np.nan
    if not ordered:
        moved = rng.permutation(len(keys))
        keys, x, y, weights = (a[moved] for a in (keys, x, y, weights))
    options |= {"solver": "accurate", "add_intercept": True}
    for heavy in (None, weights):
        expected = gpuols.fit_groups(x, y, keys, weights=heavy, device="cpu:numpy", **options)
        given = [upload(a) for a in (x, y, heavy)] if there else [x, y, heavy]
        found = gpuols.fit_groups(
            given[0], given[1], keys, weights=given[2], device="cuda", **options
        )
        for name in NUMBERS:
            mine = getattr(found, name)
            np.testing.assert_array_equal(mine.get() if there else mine, getattr(expected, name))


@in_order
def test_frames_are_summed_there():
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=90) for name in ("a", "b", "y")}
    frame = pd.DataFrame({**columns, "g": np.arange(90) % 2})
    found, expected = (
        gpuols.fit_frame(frame, "y ~ a + b", by="g", solver="accurate", device=name)
        for name in ("cuda", "cpu:numpy")
    )
    assert found.engine == "cuda:0"
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@in_order
def test_rejected_regressions_alone_are_summed_again_and_their_rows_stay(pretended, monkeypatch):
    X, y, _ = (a if a is None else a.copy() for a in Case("mixed", gauss(600, 4, (40,))).data())
    X[[3, 30], :, 3] = X[[3, 30], :, 0]
    X[20] = np.round(X[20])
    y[20] = X[20].sum(axis=-1)
    given, copied = [upload(a) for a in (X, y)], []
    monkeypatch.setattr(
        device, "download", lambda array: copied.append(array.nbytes) or array.get()
    )
    del pretended.launches[:]
    result = gpuols.fit(*given)
    assert result.solved_precisely.get().tolist() == [i in (3, 20, 30) for i in range(40)]
    assert max(copied) < X[0].nbytes / 2
    grids = [(name, grid) for name, _, grid, _, _ in pretended.launches]
    assert [grid for name, grid in grids if name == "settle"] == [(3,), (1,)]
    assert [grid for name, grid in grids if name == "residuals"] == [(1,)]
    assert disagreements(result, gpuols.fit(X, y)) == []


def left_to_the_cpu(monkeypatch):
    """Numbers of the regressions that will be."""
    left, on_host = [], precision._sum_on_host
    monkeypatch.setattr(
        precision, "_sum_on_host", lambda *given: left.append(given[3]) or on_host(*given)
    )
    return left


@in_order
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1e100, 1e-100, 1e300, 1e-300])
def test_columns_and_weights_that_need_units_are_left_to_the_cpu(scale, weighted, monkeypatch):
    x, y, weights = rows(40, 3, count=6)
    x[1, :, 2] *= scale
    y[3] *= scale
    if weighted:
        weights[4] *= scale
    left = left_to_the_cpu(monkeypatch)
    tables = (x, y, weights if weighted else None)
    kind = {"centered": True, "drop": False}
    expected = sum_on_host(tables, np.arange(6), **kind)
    assert_same_bits(Cuda(0).reduce_batch(tables, (6,), np.arange(6), **kind), expected)
    found = Cuda(0).reduce_batch(tables, (6,), np.arange(6), fitted=[expected], **kind)
    assert_same_bits(found, sum_on_host(tables, np.arange(6), fitted=[expected], **kind))
    assert left == 2 * [1, 3, 4][: 2 + weighted]


@in_order
def test_what_needs_units_is_told_by_a_column_times_the_root_of_its_weights(monkeypatch):
    x, y, weights = rows(40, 3, count=4)
    x[1, :, 2], weights[1] = 1e-320, weights[1] * 1e-40
    x[2, :, 2], weights[2] = x[2, :, 2] * 1e60, weights[2] * 1e40
    left, tables = left_to_the_cpu(monkeypatch), (x, y, weights)
    found = Cuda(0).reduce_batch(tables, (4,), np.arange(4), centered=True, drop=False)
    assert_same_bits(found, sum_on_host(tables, np.arange(4), centered=True, drop=False))
    assert left == [1]


@in_order
def test_a_residual_below_its_own_rounding_is_zero(monkeypatch):
    k, edge = 2, 2.0**-102 * 6
    sizes = edge * np.array([0.5, 0.999, 1.0, 1.001, 2.0])
    x, y = np.zeros((5, 9, k)), np.ones((5, 9, 1))
    level = np.ones((1, 5)), sizes[None]
    slopes = np.zeros((k, 1, 5)), np.zeros((k, 1, 5))
    partly = [False] * 3 + [True] * 2
    for anchor, seen in ((0.0, partly), (2.0**20, partly), (-1.0, [True] * 5)):
        anchors = np.full((k + 1, 5), anchor)
        anchors[:k] = 0.0
        monkeypatch.setattr(
            Model, "of", lambda looks, anchors=anchors: Model(slopes, level, anchors)
        )
        tables, kind = (x, y + anchor, None), {"centered": False, "drop": False}
        look = sum_on_host(tables, np.arange(5), **kind)
        look.anchor[:, k] = anchor
        expected = sum_on_host(tables, np.arange(5), fitted=[look], **kind)
        found = Cuda(0).reduce_batch(tables, (5,), np.arange(5), fitted=[look], **kind)
        assert_same_bits(found, expected)
        assert (found.syy[:, 0] > 0).tolist() == seen


@in_order
def test_a_weight_that_tells_nothing_beside_the_largest_is_known():
    x, y, weights = rows(40, 3)
    weights[1] *= 1e40
    weights[1, 0] = 1e-263
    found = Cuda(0).reduce_batch((x, y, weights), (3,), np.arange(3), centered=True, drop=False)
    assert_same_bits(found, sum_on_host((x, y, weights), np.arange(3), centered=True, drop=False))
    assert np.isinf(found.raw[:, 3]).tolist() == [False, True, False]


@pytest.mark.parametrize("n", [40, 5000])
def test_bits_do_not_depend_on_neighbours_or_blocks(pretended, monkeypatch, n):
    x, y, weights = rows(n, 5, count=7)
    places = np.array([1, 4, 6])
    kind = {"centered": True, "drop": False}
    whole = Cuda(0).reduce_batch((x, y, weights), (7,), np.arange(7), **kind)
    monkeypatch.setattr(launches, "_GRID", 1)
    found = Cuda(0).reduce_batch((x, y, weights), (7,), places, **kind)
    assert {grid for _, _, grid, _, _ in pretended.launches[-3:]} == {(1,)}
    assert_same_bits(found, whole[places])


def test_out_of_memory_halves_what_is_summed_and_goes_on(pretended):
    x, y, _ = rows(300, 4, count=32)
    expected = sum_on_host((x, y, None), np.arange(32), centered=True, drop=False)
    device.release()
    used = len(pretended.launches)
    before, pretended.memory = pretended.memory, pretended.taken(0) + x.nbytes // 3
    try:
        found = Cuda(0).reduce_batch(
            (x, y, None), (32,), np.arange(32), batch_size=32, centered=True, drop=False
        )
    finally:
        pretended.memory = before
    names = [name for name, *_ in pretended.launches[used:]]
    assert names.count("anchors") > 2
    assert_same_bits(found, expected)


def test_a_regression_that_the_device_can_not_hold_is_an_error(pretended):
    x, y, _ = rows(5000, 4, count=2)
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 2**16
    try:
        with pytest.raises(DeviceError, match=r"one regression of 5,000 rows .* cuda:0"):
            gpuols.fit(x, y, device="cuda", solver="accurate")
    finally:
        pretended.memory = before


def test_every_kernel_is_compiled_ahead():
    ahead = set(catalogue.every_kernel())
    for real in ("float", "double"):
        shape = launches.Shape(9, 2, 1, real, True, True, False)
        for own in (shape, replace(shape, n=9000, k=90, weighted=False)):
            asked = [launch for launch, _ in launches.precise_sums(own)]
            asked += [launches.anchors(own), launches.residuals(own), launches.settle()]
            for wide in (replace(own, k=k) for k in (0, 8, 31, 64)):
                asked += [launches.solve_precise(wide), launches.shortest(wide)[0]]
            assert {launch.kernel for launch in asked} <= ahead

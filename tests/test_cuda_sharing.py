"""Responses on one design summed in double-double on the device: the CPU's sums, to the bit."""

import machines
import numpy as np
import pytest
from case import Case, gauss
from machines import in_order, upload

import gpuols
from gpuols import DeviceError
from gpuols.engines import cpu, device, launches, sharing
from gpuols.engines.cuda import Cuda
from gpuols.engines.workspace import Workspace
from gpuols.sums import Low

machine, pretended = machines.machine, machines.pretended
pytestmark = [pytest.mark.usefixtures("machine"), in_order]

NUMBERS = ("params", "bse", "ssr", "error_bound", "df_resid", "status", "rank")


def rows(n, k, m=9, seed=0):
    """A design with an anchor far from its mean, as that of the second response; weights."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(3.0, 1.0, (n, k)), rng.normal(size=(n, m))
    for place in {0, n // 2, n - 1} if n > 2 else ():
        x[place, :1], y[place, 1:2] = 1e3, -1e4
    y[:, 4] = x.sum(axis=1) - 7.0
    weights = rng.uniform(0.5, 2.0, n)
    weights[3::7] = 0.0
    return x, y, weights


def reduce_design(x, weights, centered):
    tables = x[None], x[None, :, :0], None if weights is None else weights[None]
    kind = {"centered": centered, "drop": False, "precise": True}
    return cpu.moments_batch(*tables, np.zeros(1, np.int64), **kind, space=Workspace()).reshape(())


def sum_on_host(tables, design, columns, fitted=()):
    x, y, weights = tables
    kind = {"precise": True, "fitted": fitted, "space": Workspace()}
    return cpu.moments_shared(x, y[:, columns], weights, design, **kind)


def assert_same_bits(found, expected):
    for name in ("nobs", "sumw", "anchor", "mean", "raw", "sxx", "sxy", "syy", "units"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    for name in Low.__annotations__:
        np.testing.assert_array_equal(getattr(found.low, name), getattr(expected.low, name), name)


@pytest.mark.parametrize("n", [0, 1, 5, 70, 513, 4100])
@pytest.mark.parametrize("weighted", [False, True])
def test_any_number_of_rows(n, weighted):
    for k, centered in ((3, True), (5, False), (0, True)):
        x, y, weights = rows(n, k)
        tables = x, y, weights if weighted else None
        design = reduce_design(x, tables[2], centered)
        for columns in (np.arange(9), np.array([1, 4, 5, 8])):
            found = Cuda(0).reduce_shared(tables, design, columns)
            assert_same_bits(found, sum_on_host(tables, design, columns))


@pytest.mark.parametrize(("n", "k"), [(40, 3), (600, 6), (4100, 2), (30, 0)])
@pytest.mark.parametrize("weighted", [False, True])
def test_residuals_are_those_of_the_cpu(n, k, weighted):
    x, y, weights = rows(n, k)
    tables, columns = (x, y, weights if weighted else None), np.array([1, 4, 5, 8])
    for centered in (True, False):
        design, looks = reduce_design(x, tables[2], centered), []
        for _ in range(3):
            expected = sum_on_host(tables, design, columns, looks)
            assert_same_bits(Cuda(0).reduce_shared(tables, design, columns, fitted=looks), expected)
            looks = [*looks, expected]


@pytest.mark.parametrize("there", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_read_wherever_they_lie(order, real, there):
    x, y, weights = rows(70, 3, 12)
    y[5, 7], y[6, 8] = np.nan, np.inf
    x, y = x.astype(np.float32)[:, ::-1], np.array(y, real, order=order)[::-1]
    tables, columns = (x, y, weights[::-1]), np.array([1, 4, 7, 8, 9, 11])
    given = tuple(map(upload, tables)) if there else tables
    design = reduce_design(x.astype(np.float64), tables[2], True)
    looks = []
    for _ in range(2):
        found = Cuda(0).reduce_shared(given, design, columns, fitted=looks, batch_size=2)
        assert_same_bits(found, sum_on_host(tables, design, columns, looks))
        looks = [found]


@pytest.mark.parametrize("there", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("options", [{}, {"singular": "min_norm"}, {"ridge": 0.5}], ids=str)
def test_answers_are_those_of_the_cpu(there, options):
    x, y, weights = rows(60, 4, 40)
    x[:, 3] = x[:, 0] - x[:, 2]
    y[3, 7], y[:, 11], y[:, 12] = np.nan, 5.0, y[:, 12] * 1e200
    options = {"solver": "accurate", "add_intercept": True, **options}
    expected = gpuols.fit(x, y, weights=weights, device="cpu:numpy", **options)
    given = [upload(a) if there else a for a in (x, y, weights)]
    found = gpuols.fit(given[0], given[1], weights=given[2], device="cuda", **options)
    for name in NUMBERS:
        mine = getattr(found, name)
        mine = device.download(mine) if there else mine
        np.testing.assert_array_equal(mine, getattr(expected, name))


def test_rejected_responses_alone_are_summed_again_and_their_rows_stay(pretended, monkeypatch):
    x, y, _ = (a if a is None else a.copy() for a in Case("mixed", gauss(600, 4, (), 40)).data())
    y[:, [3, 30]] = x @ np.ones((4, 1)) + 1e-9 * y[:, [3, 30]]
    y[:, 20] = x.sum(axis=1)
    expected = gpuols.fit(x, y, device="cpu:numpy")
    given, copied = [upload(a) for a in (x, y)], []
    monkeypatch.setattr(
        device, "download", lambda array: copied.append(array.nbytes) or array.get()
    )
    sent = len(pretended.uploads)
    found = gpuols.fit(*given)
    assert found.solved_precisely.get().tolist() == [r in (3, 20, 30) for r in range(40)]
    assert found.status.get().tolist() == expected.status.tolist()
    for name in ("params", "ssr"):
        mine, theirs = (getattr(of, name)[..., [3, 20, 30]] for of in (found, expected))
        np.testing.assert_array_equal(mine.get(), theirs)
    assert max(copied) < x[:, 0].nbytes
    assert max(pretended.uploads[sent:]) < x[:, 0].nbytes


def left_to_the_cpu(monkeypatch):
    """Numbers of responses that will be, each time."""
    left, on_host = [], cpu.moments_shared
    monkeypatch.setattr(
        sharing.cpu,
        "moments_shared",
        lambda *given, **kind: left.append(given[1].shape[1]) or on_host(*given, **kind),
    )
    return left


@pytest.mark.parametrize("scale", [1e100, 1e-100, 1e300, 1e-300])
def test_responses_that_need_units_are_left_to_the_cpu(scale, monkeypatch):
    x, y, weights = rows(40, 3)
    y[:, 2], y[:, 5] = y[:, 2] * scale, 0.0
    columns, left = np.arange(9), left_to_the_cpu(monkeypatch)
    for heavy in (None, weights):
        tables, design = (x, y, heavy), reduce_design(x, heavy, True)
        expected = sum_on_host(tables, design, columns)
        del left[:]
        assert_same_bits(Cuda(0).reduce_shared(tables, design, columns), expected)
        assert left == [1]
        found = Cuda(0).reduce_shared(tables, design, columns, fitted=[expected])
        assert left == [1, 1]
        assert_same_bits(found, sum_on_host(tables, design, columns, [expected]))
        one = [expected.take_responses([2])]
        alone = Cuda(0).reduce_shared(tables, design, columns[2:3], fitted=one)
        assert_same_bits(alone, found.take_responses([2]))


def test_what_needs_units_is_told_by_a_number_times_the_root_of_its_weight(monkeypatch):
    x, y, weights = rows(40, 3)
    columns, left = np.arange(9), left_to_the_cpu(monkeypatch)
    y[1, 2], weights[1] = 1e90, 1e-60
    for scale, several in ((1.0, []), (1e-40, [1]), (5e74, [9])):
        tables = x, y, np.where(np.arange(40) == 1, weights, weights * scale)
        design = reduce_design(x, tables[2], True)
        expected = sum_on_host(tables, design, columns)
        del left[:]
        assert_same_bits(Cuda(0).reduce_shared(tables, design, columns), expected)
        assert left == several, scale


def test_designs_near_the_need_of_units_are_left_to_the_cpu(monkeypatch):
    x, y, _ = rows(40, 3)
    x[:, 1] *= 1e75 / np.abs(x[:, 1]).max()
    design, left = reduce_design(x, None, True), left_to_the_cpu(monkeypatch)
    assert not design.units.any()
    found = Cuda(0).reduce_shared((x, y, None), design, np.arange(9))
    assert left == [9]
    assert_same_bits(found, sum_on_host((x, y, None), design, np.arange(9)))


def test_bits_do_not_depend_on_neighbours_or_blocks(pretended, monkeypatch):
    tables, columns = rows(4100, 5, 30), np.array([1, 4, 17])
    design = reduce_design(tables[0], tables[2], True)
    whole = Cuda(0).reduce_shared(tables, design, np.arange(30))
    monkeypatch.setattr(launches, "_GRID", 1)
    found = Cuda(0).reduce_shared(tables, design, columns)
    assert {grid for _, _, grid, _, _ in pretended.launches[-3:]} == {(1,)}
    assert_same_bits(found, whole.take_responses(columns))


def test_no_more_responses_are_taken_together_than_kernels_can_number(monkeypatch):
    shape = launches.Shape(50, 6, 1, "double", True, False, False)
    assert sharing._step(shape, False, None) == sharing._MOST
    assert sharing._step(shape, True, 7) == 7
    monkeypatch.setattr(launches, "_MOST", 1000)
    step = sharing._step(shape, False, None)
    assert 32 <= step < 100


def test_out_of_memory_halves_what_is_summed_and_goes_on(pretended):
    x, y, _ = rows(500, 4, 64)
    design, columns = reduce_design(x, None, True), np.arange(64)
    expected = sum_on_host((x, y, None), design, columns)
    device.release()
    used = len(pretended.launches)
    before, pretended.memory = pretended.memory, pretended.taken(0) + x.nbytes + y.nbytes // 3
    try:
        found = Cuda(0).reduce_shared((x, y, None), design, columns, batch_size=64)
    finally:
        pretended.memory = before
    names = [name for name, *_ in pretended.launches[used:]]
    assert names.count("anchors") > 2
    assert_same_bits(found, expected)


def test_a_design_that_the_device_can_not_hold_is_an_error(pretended):
    x, y, _ = rows(5000, 4, 12)
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 2**16
    try:
        with pytest.raises(DeviceError, match=r"one regression of 5,000 rows .* cuda:0"):
            gpuols.fit(x, y, device="cuda", solver="accurate")
    finally:
        pretended.memory = before


def test_no_memory_for_a_design_beside_its_copy_is_an_error(pretended):
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(3000, 20)).astype(np.float32), rng.random(3000)
    y = x.astype(float) @ rng.normal(size=(20, 3))
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 600_000
    try:
        with pytest.raises(DeviceError, match="free memory of cuda:0 does not hold"):
            gpuols.fit(x, y, weights=weights, device="cuda", solver="accurate")
    finally:
        pretended.memory = before

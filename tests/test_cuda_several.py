"""Several devices that share out a call: the bits of one, errors that name theirs, one report."""

import gc

import numpy as np
import pytest
from emulator import build, standin
from machines import upload
from rings import assert_same_bits, batch, shrink, stop_with

import gpuols
from gpuols import DeviceError
from gpuols.engines import cuda, device, several


@pytest.fixture(scope="module")
def on():
    """A stand-in of three devices."""
    if reason := build.available():
        pytest.skip(reason)
    device.forget()
    with standin.installed(count=3) as found:
        yield found
    device.forget()


@pytest.fixture(params=["plain", "ring"])
def three(on, request, monkeypatch):
    """The same, rows copied at once or through the ring."""
    if request.param == "ring":
        shrink(monkeypatch, 1 << 12)
    del on.launches[:]
    return on


def devices_of(on):
    return {number for name, number, *_ in on.launches if name != "probe"}


@pytest.mark.parametrize("options", [{}, {"missing": "drop", "add_intercept": True}], ids=str)
def test_a_batch_has_the_bits_of_one_device(three, options):
    X, y, weights = batch(31)
    X[4, :, 2] = X[4, :, 0]
    ridge = np.linspace(0.0, 1.0, 31)[::-1] * (np.arange(31) % 3 == 0)
    options = {**options, "weights": weights, "ridge": ridge}
    one = gpuols.fit(X, y, device="cuda:1", **options)
    assert devices_of(three) == {1}
    every = gpuols.fit(X, y, device="cuda:all", **options)
    assert devices_of(three) == {0, 1, 2}
    assert (one.engine, every.engine) == ("cuda:1", "cuda:all (3)")
    assert_same_bits(every, one)


@pytest.mark.parametrize(("n", "k"), [(40, 3), (60, 35)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_responses_on_one_design_have_the_bits_of_one_device(three, n, k, order):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, k)) + 1.0
    Y = np.array(X[:, :1] + rng.normal(size=(n, 300)), order=order)
    Y[3, 7], weights = np.nan, rng.uniform(0.5, 2.0, n)
    one = gpuols.fit(X, Y, weights=weights, device="cuda:1")
    assert devices_of(three) == {1}
    every = gpuols.fit(X, Y, weights=weights, device="cuda:all")
    assert devices_of(three) == {0, 1, 2}
    assert_same_bits(every, one)


@pytest.mark.parametrize("order", ["C", "F"])
def test_responses_with_rows_of_their_own_have_the_bits_of_one_device(three, order):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) + 1.0
    Y = np.array(X[:, :1] + rng.normal(size=(40, 300)), order=order)
    Y[rng.random(Y.shape) < 0.1] = np.nan
    X[5, 1], Y[5, ::2] = np.inf, np.nan
    options = {"missing": "drop", "ridge": 0.5}
    one = gpuols.fit(X, Y, device="cuda:1", **options)
    assert {number for name, number, *_ in three.launches if name == "masked"} == {1}
    every = gpuols.fit(X, Y, device="cuda:all", **options)
    assert {number for name, number, *_ in three.launches if name == "masked"} == {0, 1, 2}
    assert_same_bits(every, one)


def test_groups_have_the_bits_of_one_device(three):
    rng = np.random.default_rng(0)
    for order in (slice(None), rng.permutation(1600)):
        keys = np.repeat(np.arange(20), np.r_[[600, 0, 300], np.full(17, 41)] + 1)[:1600]
        keys = keys[order[: len(keys)] % len(keys)] if isinstance(order, np.ndarray) else keys
        X, Y = rng.normal(size=(len(keys), 3)), rng.normal(size=(len(keys), 2))
        Y[::31, 1] = np.nan
        one, every = (
            gpuols.fit_groups(X, Y, keys, device=name, missing="drop", ridge=0.1)
            for name in ("cuda", "cuda:all")
        )
        assert every.engine.startswith("cuda:all (3)")
        assert_same_bits(every, one)
    assert devices_of(three) == {0, 1, 2}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_regressions_than_devices(on, count):
    X, y, _ = batch(3)
    found = gpuols.fit(X[:count], y[:count], device="cuda:all", solver="cholesky")
    assert_same_bits(found, gpuols.fit(X[:count], y[:count], device="cuda", solver="cholesky"))
    alone = gpuols.fit(X[2], y[2], device="cuda:all", solver="cholesky")
    assert_same_bits(alone, gpuols.fit(X[2], y[2], device="cuda", solver="cholesky"))


def test_leading_axes_are_cut_along_the_longest(on):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2, 1, 20, 3)), rng.normal(size=(2, 7, 20))
    del on.launches[:]
    found = gpuols.fit(X, y, device="cuda:all")
    assert devices_of(on) == {0, 1, 2}
    assert_same_bits(found, gpuols.fit(X, y, device="cuda"))


def test_shares_are_of_equal_sizes():
    assert [*several._parts(range(1, 11), 3)] == [slice(0, 3), slice(3, 6), slice(6, 10)]
    assert [*several._parts([0, 0, 100, 110, 120, 130], 2)] == [slice(0, 2), slice(2, 6)]
    assert [*several._parts([], 2)] == [slice(0, 0), slice(0, 0)]


@pytest.mark.parametrize("number", [0, 2])
def test_rows_on_a_device_are_fitted_there(on, number):
    X, y, _ = batch(9)
    with device.on(number):
        there = upload(X), upload(y)
    del on.launches[:]
    result = gpuols.fit(*there, device="cuda:all", solver="cholesky")
    assert (result.engine, result.place) == (f"cuda:{number}", f"cuda:{number}")
    assert devices_of(on) == {number}


def test_progress_is_reported_once(three):
    X, y, _ = batch(31)
    told = []
    options = {"solver": "cholesky", "batch_size": 3}
    gpuols.fit(X, y, device="cuda:all", progress=lambda *step: told.append(step), **options)
    assert told == sorted(set(told))
    assert told[-1] == (31, 31)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("words", ["it broke", "it broke on cuda:{}"])
def test_an_error_says_of_which_device(three, monkeypatch, number, words):
    def launch(*arguments, **options):
        if device.namespace().cuda.runtime.getDevice() == number:
            raise DeviceError("device", words.format(number), "no error", "restart Python")
        return original(*arguments, **options)

    original = device.launch
    monkeypatch.setattr(device, "launch", launch)
    X, y, _ = batch(31)
    with pytest.raises(DeviceError, match=f"got it broke on cuda:{number}, expected"):
        gpuols.fit(X, y, device="cuda:all", batch_size=2)


def test_the_others_stop_where_one_goes_wrong(on, monkeypatch):
    answered = []

    def answer(self, number, outputs, link, part):
        if number == 1:
            raise OSError("the disk is gone")
        for _ in range(10**6):
            answered.append(number)
            link.done(1)

    monkeypatch.setattr("gpuols.engines.work.BatchWork.answer", answer)
    X, y, _ = batch(31)
    with pytest.raises(OSError, match="the disk is gone"):
        gpuols.fit(X, y, device="cuda:all")
    assert len(answered) < 10**6


def test_an_interrupt_ends_all(three):
    X, y, _ = batch(31)
    with pytest.raises(KeyboardInterrupt):
        gpuols.fit(X, y, device="cuda:all", batch_size=2, progress=stop_with(KeyboardInterrupt()))
    gc.collect()
    assert three.locked == 0
    assert gpuols.fit(X, y, device="cuda:all", solver="cholesky").engine == "cuda:all (3)"


def test_every_device_must_be_usable(on, monkeypatch):
    monkeypatch.setattr(device, "why_not", lambda number=0: "it is broken" if number == 1 else "")
    with pytest.raises(DeviceError, match=r"'cuda:all' \(cuda:1: it is broken\)"):
        gpuols.fit(np.eye(3), np.ones(3), device="cuda:all")


def test_kernels_are_compiled_ahead_for_all(on, monkeypatch):
    compiled = []
    monkeypatch.setattr(cuda.Cuda, "compile_kernel", lambda self, _: compiled.append(self.number))
    several.Several.every().compile_kernel(None)
    assert compiled == [0, 1, 2]

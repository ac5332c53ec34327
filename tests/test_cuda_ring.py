"""Rows of the host that go to a device through the ring: the same bits as without it, no wait
missing, and nothing held when it ends, however it ends."""

import gc
import threading
import time

import layouts
import machines
import numpy as np
import pytest
from emulator import build, standin
from machines import in_order, uncovered
from rings import assert_same_bits, batch, shrink, stop_with

import gpuols
from gpuols import DeviceError
from gpuols.columnar import Columnar
from gpuols.engines import device, link, ring, sources, streams

machine, pretended = machines.machine, machines.pretended

SMALL = 1 << 14


@pytest.fixture(params=[None, 0, 1, 2], ids=["late", "seed 0", "seed 1", "seed 2"])
def on(request):
    """A stand-in whose streams do their work late, or at random times."""
    if reason := build.available():
        pytest.skip(reason)
    device.forget()
    with standin.installed(seed=request.param) as found:
        yield found
    device.forget()


@pytest.fixture
def small(monkeypatch):
    """A ring of small buffers."""
    shrink(monkeypatch, SMALL)


def both_ways(monkeypatch, fit, size=SMALL):
    """Results without and with the ring, which must have been used."""
    locks = on_machine().locks
    before = len(locks)
    expected = fit()
    assert len(locks) == before, "small inputs need no ring"
    shrink(monkeypatch, size)
    found = fit()
    assert len(locks) > before
    assert_same_bits(found, expected)
    return found


def on_machine():
    return standin.machine()


def test_late_streams_find_no_wait_missing(on, monkeypatch):
    X, y, weights = batch()
    X[7, :, 2] = X[7, :, 0]  # who counts what is rejected starts from zero, and is waited for
    for options in ({}, {"weights": weights, "missing": "drop"}):
        monkeypatch.undo()
        found = both_ways(monkeypatch, lambda: gpuols.fit(X, y, device="cuda", **options))  # noqa: B023
        assert found.solved_precisely.any()
    monkeypatch.undo()
    # Answers that are more than the rows, and long regressions in several chunks of rows.
    few = X[:, :5, :2].copy(), y[:, :5].copy()
    both_ways(monkeypatch, lambda: gpuols.fit(*few, device="cuda", solver="cholesky"), 1 << 12)


@pytest.mark.parametrize("missing", ["nan", "drop"])
def test_late_streams_wait_for_the_design_of_many_responses(on, monkeypatch, missing):
    rng = np.random.default_rng(0)
    X, Y, weights = rng.normal(size=(40, 3)), rng.normal(size=(40, 200)), rng.random(40)
    Y[rng.random(Y.shape) < 0.1] = np.nan
    options = {"weights": weights, "missing": missing, "add_intercept": True, "device": "cuda"}
    both_ways(monkeypatch, lambda: gpuols.fit(X, Y, **options))


LAYOUTS = [
    layouts.fortran,
    layouts.strided,
    layouts.backwards,
    layouts.batch_last,
    layouts.unaligned,
    layouts.one_row_for_all,
]


@uncovered
@in_order
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", ">f8"])
def test_rows_of_any_kind(pretended, monkeypatch, layout, dtype):
    X, y, weights = batch(60)
    X, y = (np.nan_to_num(10 * array).astype(dtype) for array in (X, y))
    X, y, weights = layout(X, y, weights)
    fit = lambda: gpuols.fit(X, y, weights=weights, device="cuda", solver="cholesky")  # noqa: E731
    both_ways(monkeypatch, fit, 1 << 12)


@in_order
@pytest.mark.parametrize("lead", [(4, 15), (6, 1, 10), (1, 60), (60,)])
def test_leading_axes_that_broadcast(pretended, monkeypatch, lead):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(*lead[:-1], 1, 30, 3))
    y, weights = rng.normal(size=(*lead, 30)), rng.uniform(0.5, 2.0, (lead[-1], 30))
    fit = lambda: gpuols.fit(X, y, weights=weights, device="cuda", missing="drop")  # noqa: E731
    both_ways(monkeypatch, fit, 1 << 12)


@in_order
@pytest.mark.parametrize(("n", "k"), [(5000, 3), (700, 5)])
def test_regressions_larger_than_a_buffer(pretended, monkeypatch, n, k):
    X, y, weights = batch(3, n, k)
    fit = lambda: gpuols.fit(X, y, weights=weights, device="cuda", add_intercept=True)  # noqa: E731
    both_ways(monkeypatch, fit)


@in_order
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("table", ["C", "F", "f4", "columns"])
def test_groups(pretended, monkeypatch, table, ordered):
    rng = np.random.default_rng(0)
    keys = np.repeat(np.arange(40), rng.permutation(np.r_[[700, 2000], 1:39]))
    keys = keys if ordered else rng.permutation(keys)
    X, Y = rng.normal(size=(len(keys), 3)), rng.normal(size=(len(keys), 2))
    weights = rng.uniform(0.0, 1.0, len(keys))
    Y[::71, 1] = np.nan
    if table == "columns":
        X = Columnar(X.T, len(X), float)
    else:
        X = X.astype(table) if table == "f4" else np.asarray(X, order=table)
    for missing in ("nan", "drop"):
        monkeypatch.undo()
        options = {"weights": weights, "missing": missing, "device": "cuda", "solver": "cholesky"}
        both_ways(monkeypatch, lambda: gpuols.fit_groups(X, Y, keys, **options))  # noqa: B023


def test_a_memory_map_is_streamed(on, monkeypatch, tmp_path):
    X, y, _ = batch()
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    both_ways(monkeypatch, lambda: gpuols.fit(mapped, y, device="cuda", solver="cholesky"))


def test_the_caller_may_write_to_its_arrays_when_the_call_returns(on, small):
    X, y, _ = batch()
    expected = gpuols.fit(X, y, device="cpu:numpy", solver="cholesky").params
    result = gpuols.fit(X, y, device="cuda", solver="cholesky")
    X[...], y[...] = 7.0, 7.0
    np.testing.assert_allclose(result.params, expected, rtol=1e-9)


@in_order
def test_progress_counts_what_is_answered(pretended, small):
    X, y, _ = batch()
    told = []
    gpuols.fit(X, y, device="cuda", progress=lambda *step: told.append(step), solver="cholesky")
    assert told[-1] == (90, 90)
    assert len(told) > 2
    assert told == sorted(set(told))


@in_order
def test_rows_are_read_while_the_device_works(pretended, small):
    busy = []

    class Watched:
        shape, inner, dtype, rows, unit = (1, 4), (), np.dtype(float), 4, 4

        def read(self, out, start, stop):
            busy.append([not stream.done for stream in streams.pair(0)])
            out[:] = 1.0

    with device.on(0), ring.Ring(0, busy.append) as through:
        for _ in range(3):
            with through.turn():
                through.send(Watched())
                through.done(1)
    # The third turn waits for the first, not for the second. What is told comes between.
    assert [state for state in busy if isinstance(state, list)][1:] == [
        [False, True],
        [True, False],
    ]
    assert [state for state in busy if isinstance(state, int)] == [1, 2]


def test_a_buffer_is_written_to_again_when_both_streams_have_read_it(on, small):
    few, more = (sources.Beside(np.full((1, 100), float(i)), float) for i in (1, 2))
    full = sources.Beside(np.full((1, SMALL // 8), 3.0), float)
    with device.on(0), ring.Ring(0, print) as through:
        with through.turn():
            first = through.send(few)
        with through.turn():
            second = through.send(more)
            last = [through.send(full) for _ in range(4)]
    assert on.locks == [SMALL] * 3
    for value, array in zip((1, 2, 3, 3, 3, 3), (first, second, *last), strict=True):
        assert (device.download(array) == value).all()


def memory_of(pretended, spare):
    """Free memory of the device, for as long as a test wants it."""
    device.release()
    return pretended.taken(0) + spare


@in_order
def test_out_of_memory_halves_and_goes_on(pretended, small, monkeypatch):
    X, y, weights = batch(90, 40, 3)
    keys = np.repeat(np.arange(90), 40)
    expected = gpuols.fit(X, y, weights=weights, device="cuda")
    monkeypatch.setattr(pretended, "memory", memory_of(pretended, 48 << 10))
    for size in (None, 60):
        found = gpuols.fit(X, y, weights=weights, device="cuda", batch_size=size)
        assert_same_bits(found, expected)
    long = X.reshape(-1, 3), y.reshape(-1)
    grouped = gpuols.fit_groups(*long, keys, weights=weights.reshape(-1), device="cuda")
    assert_same_bits(grouped, expected)


@in_order
@pytest.mark.parametrize("lockable", [0, 3000, 9000, 40_000])
def test_little_page_locked_memory_is_made_do_with(pretended, small, monkeypatch, lockable):
    X, y, _ = batch()
    expected = gpuols.fit(X, y, device="cuda", solver="cholesky")
    gc.collect()
    monkeypatch.setattr(pretended, "lockable", lockable)
    assert_same_bits(gpuols.fit(X, y, device="cuda", solver="cholesky"), expected)


def test_rows_wider_than_the_least_buffer_go_without(on, monkeypatch):
    monkeypatch.setattr(ring, "SIZE", 1 << 10)
    monkeypatch.setattr(streams, "LEAST", 100)
    tables = [np.ones((9, 20, 13)), np.ones((9, 20, 1)), None]
    assert isinstance(link.between(0, tables, print), link.Plain)
    tables[0] = np.ones((9, 20, 12))
    assert isinstance(link.between(0, tables, print), ring.Ring)


class Broken(Columnar):
    """Rows that can't be read to their end."""

    def __getitem__(self, rows):
        if rows.start > 2000:
            raise OSError("the disk is gone")
        return super().__getitem__(rows)


def assert_nothing_is_held(pretended):
    gc.collect()
    assert pretended.locked == 0
    assert not any(thread.name.startswith("gpuols_") for thread in threading.enumerate())
    assert all(stream.done for stream in streams.pair(0))


@in_order
def test_errors_of_threads_that_read_come_out(pretended, small):
    X, y, _ = batch()
    columns = Broken(X.reshape(-1, 3).T, 3600, float)
    with pytest.raises(OSError, match="the disk is gone"):
        gpuols.fit_groups(columns, y.reshape(-1), np.arange(3600) // 40, device="cuda")
    assert_nothing_is_held(pretended)


@in_order
@pytest.mark.parametrize("kind", [KeyboardInterrupt, DeviceError])
def test_nothing_is_held_after_an_error_or_an_interrupt(pretended, small, kind):
    X, y, _ = batch()
    with pytest.raises(kind) as caught:
        gpuols.fit(X, y, device="cuda", progress=stop_with(kind(*"abcd")))
    assert_nothing_is_held(pretended)  # even while somebody looks at where it was
    del caught
    assert gpuols.fit(X, y, device="cuda", solver="cholesky").engine == "cuda:0"
    assert_nothing_is_held(pretended)


@in_order
def test_an_interrupt_waits_for_threads_that_still_read(pretended, small, monkeypatch):
    ended = []

    class Slow:
        shape, inner, dtype, rows, unit = (300, 4), (), np.dtype(float), 1200, 4

        def read(self, out, start, stop):
            time.sleep(0.1)
            ended.append(stop)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ring, "wait", interrupted)
    with (
        pytest.raises(KeyboardInterrupt),
        device.on(0),
        ring.Ring(0, print) as through,
        through.turn(),
    ):
        through.send(Slow())
    assert sorted(ended) == [400, 800, 1200]

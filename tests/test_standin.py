"""The stand-in for CuPy: kernels, memory, streams and devices, strict where a device is silent."""

import gc
import importlib
import threading

import numpy as np
import pytest
from emulator import build, standin

pytestmark = pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")

DOUBLE = """
extern "C" __global__ void twice(const double* x, double* y, long long n, int step) {
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2 * x[i * step];
}
"""


@pytest.fixture(params=[None, 0, 1], ids=["late", "seed 0", "seed 1"])
def cupy(request):
    with standin.installed(seed=request.param):
        yield importlib.import_module("cupy")


@pytest.fixture
def late():
    with standin.installed():
        yield importlib.import_module("cupy")


def twice(cupy):
    return cupy.RawModule(code=DOUBLE, options=("-std=c++17",)).get_function("twice")


def arguments(cupy, n=8):
    return [cupy.asarray(np.arange(n, dtype=float)), cupy.empty(n), np.int64(n), np.int32(1)]


# Kernels


def test_a_kernel_computes(cupy):
    args = arguments(cupy)
    twice(cupy)((1,), (32,), tuple(args))
    np.testing.assert_array_equal(args[1].get(), 2 * np.arange(8.0))


def test_a_kernel_reaches_what_a_view_is_a_part_of(cupy):
    whole = cupy.asarray(np.arange(16.0).reshape(8, 2))
    out = cupy.empty(8)
    twice(cupy)((1,), (32,), (whole[:, 1], out, np.int64(8), np.int32(2)))
    np.testing.assert_array_equal(out.get(), 2 * np.arange(1.0, 17, 2))


def test_a_kernel_reaches_no_further(late):
    args = arguments(late)
    twice(late)((1,), (32,), (*args[:2], np.int64(9), args[3]))
    with pytest.raises(build.KernelError, match="out of bounds: bytes 64 to 71 of a global array"):
        args[1].get()


def test_a_kernel_writes_to_nothing_that_it_takes_as_const(late):
    text = 'extern "C" __global__ void toy(const double* x) { *const_cast<double*>(x) = 1; }'
    x = late.zeros(1)
    late.RawModule(code=text).get_function("toy")((1,), (1,), (x,))
    with pytest.raises(build.KernelError, match="writes to an array that is const"):
        x.get()


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, lambda cupy: cupy.zeros(8, np.float32), "argument 0 is an array of float32"),
        (1, lambda cupy: np.zeros(8), "argument 1 is ndarray, the parameter w8f"),
        (1, lambda cupy: cupy.broadcast_to(cupy.zeros(1), 8), "elements that share memory"),
        (2, lambda cupy: 8, "argument 2 is int, the parameter s8i"),
        (2, lambda cupy: np.int32(8), "argument 2 is int32, the parameter s8i"),
        (2, lambda cupy: np.uint64(8), "argument 2 is uint64, the parameter s8i"),
        (2, lambda cupy: cupy.zeros(8), "argument 2 is an array of float64, the parameter s8i"),
        (3, lambda cupy: np.float32(8), "argument 3 is float32, the parameter s4i"),
        (0, lambda cupy: None, "argument 0 is NoneType, the parameter r8f"),
        (0, lambda cupy: np.uint64(8), "argument 0 is uint64, the parameter r8f"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(late, place, value, words):
    args = arguments(late)
    args[place] = value(late)
    with pytest.raises(TypeError, match=words):
        twice(late)((1,), (32,), tuple(args))
    with pytest.raises(TypeError, match="takes 4 arguments, not 3"):
        twice(late)((1,), (32,), tuple(args[:3]))


def test_a_pointer_may_be_null(cupy):
    _, y, _, step = arguments(cupy)
    twice(cupy)((1,), (32,), (np.uint64(0), y, np.int64(0), step))
    assert np.isnan(y.get()).all()


@pytest.mark.parametrize(
    ("grid", "block"),
    [((0,), (32,)), ((1 << 31,), (32,)), ((1, 1 << 16), (1,)), ((1,), (1025,)), ((1,), (1, 1, 65))],
)
def test_launches_that_cannot_be_are_refused(late, grid, block):
    with pytest.raises(late.cuda.driver.CUDADriverError, match="INVALID_VALUE"):
        twice(late)(grid, block, tuple(arguments(late)))


def test_shared_memory_above_48_kib_is_asked_for_first(late):
    kernel, args = twice(late), tuple(arguments(late))
    kernel((1,), (32,), args, shared_mem=48 << 10)
    with pytest.raises(late.cuda.driver.CUDADriverError):
        kernel((1,), (32,), args, shared_mem=(48 << 10) + 8)
    with pytest.raises(late.cuda.driver.CUDADriverError):
        kernel.max_dynamic_shared_size_bytes = (227 << 10) + 8
    kernel.max_dynamic_shared_size_bytes = 227 << 10
    kernel((1,), (32,), args, shared_mem=227 << 10)


def test_what_does_not_compile_is_told(late):
    with pytest.raises(late.cuda.compiler.CompileException, match="error"):
        late.RawModule(code="int twice = ;").get_function("twice")
    with pytest.raises(late.cuda.compiler.CompileException, match="invalid value for option"):
        late.RawModule(code=DOUBLE, options=("--fast",))


# Memory


def test_new_memory_is_nan_or_minus_one(cupy):
    assert np.isnan(cupy.empty((3, 2)).get()).all()
    assert (cupy.empty(5, np.int32).get() == -1).all()
    assert cupy.empty((3, 2), order="F").flags.f_contiguous


def test_memory_is_limited_and_comes_back():
    with standin.installed(memory=10 << 10):
        cupy = importlib.import_module("cupy")
        device, pool = cupy.cuda.Device(), cupy.get_default_memory_pool()
        first = cupy.empty(1024)
        assert device.mem_info == (2 << 10, 10 << 10)
        with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="allocating 8,192 bytes"):
            cupy.empty(1024)
        view = first[1:]
        del first
        assert pool.free_bytes() == 0
        del view
        gc.collect()
        assert (pool.free_bytes(), device.mem_info[0]) == (8 << 10, 2 << 10)
        again = cupy.empty(1024)
        assert pool.free_bytes() == 0
        del again
        assert cupy.empty(1280).nbytes == 10 << 10, "the pool's blocks are too small: freed"
        pool.free_all_blocks()
        assert (pool.free_bytes(), device.mem_info[0]) == (0, 10 << 10)


def test_memory_freed_too_early_is_lost():
    lost = 0
    for seed in range(8):
        with standin.installed(seed=seed):
            cupy = importlib.import_module("cupy")
            other = cupy.cuda.Stream(non_blocking=True)
            x = cupy.asarray(np.ones(4))
            out = cupy.empty(4)
            cupy.cuda.Stream.null.synchronize()
            with other:
                twice(cupy)((1,), (32,), (x, out, np.int64(4), np.int32(1)))
            del x
            cupy.cuda.Stream.null.synchronize()
            lost += np.isnan(out.get(stream=other)).any()
    assert 0 < lost <= 8


# Streams


def test_work_is_done_when_somebody_waits(late):
    stream = late.cuda.Stream(non_blocking=True)
    x = late.empty(4)
    x.set(np.ones(4), stream=stream)
    assert not stream.done
    assert np.isnan(x.get()).all()
    stream.synchronize()
    assert stream.done
    np.testing.assert_array_equal(x.get(), 1)


@pytest.mark.parametrize("waits", [False, True])
def test_a_missing_wait_shows(late, waits):
    one, other = (late.cuda.Stream(non_blocking=True) for _ in range(2))
    with one:
        x = late.asarray(np.ones(4)) + 1
    event = one.record()
    with other:
        if waits:
            other.wait_event(event)
        got = (x * 3).get()
    np.testing.assert_array_equal(got, 6 if waits else np.nan)


@pytest.mark.parametrize("waits", [False, True])
def test_a_kernel_that_does_not_wait_shows(late, waits):
    one, other = (late.cuda.Stream(non_blocking=True) for _ in range(2))
    x, y, n, step = arguments(late)
    with one:
        x = late.asarray(np.ones(8))
        event = late.cuda.Event()
        event.record()
    with other:
        if waits:
            other.wait_event(event)
        twice(late)((1,), (32,), (x, y, n, step))
    other.synchronize()
    np.testing.assert_array_equal(y.get(), 2 if waits else np.nan)


def test_an_event_is_waited_for_no_further_than_where_it_was_recorded(late):
    stream = late.cuda.Stream(non_blocking=True)
    x, y = late.empty(2), late.empty(2)
    x.set(np.ones(2), stream=stream)
    event = stream.record()
    y.set(np.ones(2), stream=stream)
    assert not event.done
    event.synchronize()
    assert event.done
    np.testing.assert_array_equal(x.get(), 1)
    assert np.isnan(y.get()).all()


def test_who_waits_for_an_event_waits_no_longer(late):
    one, other = (late.cuda.Stream(non_blocking=True) for _ in range(2))
    x, y = late.empty(2), late.empty(2)
    x.set(np.ones(2), stream=one)
    other.wait_event(one.record())
    y.set(np.ones(2), stream=one)
    np.testing.assert_array_equal(x.get(stream=other), 1)
    assert np.isnan(y.get(stream=other)).all()


def test_arithmetic_sees_what_its_own_stream_did_before(cupy):
    x = cupy.empty(3)
    x.set(np.arange(3.0))
    x[1:] += 10
    np.testing.assert_array_equal((x - 1).get(), [-1, 10, 11])


def test_a_copy_to_the_host_may_be_late(late):
    x, out = late.asarray(np.ones(3)), np.zeros(3)
    x.get(out=out, blocking=False)
    np.testing.assert_array_equal(out, 0)
    late.cuda.get_current_stream().synchronize()
    np.testing.assert_array_equal(out, 1)


def test_a_stream_of_somebody_else_is_the_same_stream(late):
    stream = late.cuda.Stream(non_blocking=True)
    with late.cuda.ExternalStream(stream.ptr):
        x = late.asarray(np.ones(3))
        assert late.cuda.get_current_stream() == stream
    assert late.cuda.get_current_stream() == late.cuda.Stream.null
    np.testing.assert_array_equal(x.get(stream=stream), 1)


def test_streams_are_each_threads_own(late):
    seen = []
    with late.cuda.Stream(non_blocking=True):
        thread = threading.Thread(target=lambda: seen.append(late.cuda.get_current_stream()))
        thread.start()
        thread.join()
    assert seen == [late.cuda.Stream.null]


# Devices


def test_arrays_of_another_device_are_refused():
    with standin.installed(count=2):
        cupy = importlib.import_module("cupy")
        args = arguments(cupy)
        with cupy.cuda.Device(1):
            here = cupy.zeros(3)
            assert (here.device.id, args[0].device.id) == (1, 0)
            with pytest.raises(ValueError, match="is on device 0, the launch on 1"):
                twice(cupy)((1,), (32,), tuple(args))
            with pytest.raises(ValueError, match="array device = 0 while current = 1"):
                args[0] + 1
            assert cupy.cuda.Device().id == 1
        assert cupy.cuda.Device().id == 0
        stream = cupy.cuda.Stream(non_blocking=True)
        with cupy.cuda.Device(1), pytest.raises(RuntimeError, match="not created on the current"):
            stream.use()
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="invalid device ordinal"):
            cupy.cuda.Device(2)


def test_devices_have_memory_of_their_own():
    with standin.installed(count=2, memory=1 << 20):
        cupy = importlib.import_module("cupy")
        x = cupy.empty(1024)
        free = [cupy.cuda.Device(i).mem_info[0] for i in range(2)]
        assert free == [(1 << 20) - x.nbytes, 1 << 20]


def test_a_device_tells_what_it_is(late):
    device = late.cuda.Device(0)
    assert device.compute_capability == "90"
    assert device.attributes["MaxSharedMemoryPerBlockOptin"] == 227 << 10
    properties = late.cuda.runtime.getDeviceProperties(0)
    assert (properties["name"], properties["major"]) == (b"NVIDIA Stand-in", 9)


# Page-locked memory


@pytest.mark.parametrize("change", ["nothing", "write", "let go"])
def test_page_locked_memory_is_read_when_the_stream_gets_there(late, change):
    host = importlib.import_module("cupyx").empty_pinned((4,), float)
    host[:] = 1.0
    there = late.empty(4)
    there.set(host[:], stream=late.cuda.get_current_stream())
    if change == "write":
        host[1] = 2.0
    elif change == "let go":
        del host
    expected = {"nothing": [1.0] * 4, "write": [1.0, 2.0, 1.0, 1.0], "let go": [np.nan] * 4}
    np.testing.assert_array_equal(there.get(), expected[change])


def test_page_locked_memory_is_written_when_the_stream_gets_there(late):
    host = importlib.import_module("cupyx").empty_pinned((4,), float)
    assert late.ones_like(late.zeros(4)).get(out=host[:], blocking=False).base is not None
    assert np.isnan(host).all()
    late.cuda.get_current_stream().synchronize()
    np.testing.assert_array_equal(host, np.ones(4))


def test_there_is_only_so_much_page_locked_memory():
    with standin.installed(lockable=100) as on:
        empty = importlib.import_module("cupyx").empty_pinned
        first = empty((10,), float)
        with pytest.raises(standin.CUDARuntimeError, match="out of memory"):
            empty((10,), float)
        assert (on.locked, on.locks) == (80, [80])
        del first
        assert on.locked == 0
        empty((10,), float)

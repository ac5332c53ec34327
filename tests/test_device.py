"""Devices, on the stand-in for CuPy: what is said where one can't be used, memory and launches."""

import importlib
import threading
from dataclasses import dataclass

import numpy as np
import pytest
from emulator import build, standin

import gpuols
from gpuols import engines
from gpuols.engines import device, kernels
from gpuols.engines.kernels import Kernel
from gpuols.errors import DeviceError

pytestmark = pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")


@dataclass(frozen=True)
class Toy(Kernel):
    """A kernel whose source is given."""

    text: str = ""

    @property
    def source(self):
        return f"{kernels.source('common.cuh')}\n{self.text}"


SCALE = Toy(
    "scale",
    (("real", "double"),),
    """
    extern "C" __global__ void __launch_bounds__(64, 1)
    scale(const GPUOLS_REAL* x, GPUOLS_REAL* y, long long n, int factor, const void* note) {
        const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
        if (i < n) y[i] = factor * x[i] + (note ? 100 : 0);
    }""",
)


@pytest.fixture(autouse=True)
def fresh():
    device.forget()
    yield
    device.forget()


@pytest.fixture
def machine():
    with standin.installed() as machine:
        yield machine


class DynamicLibNotFoundError(RuntimeError):
    """As the library that looks for CUDA's raises it."""


class NVRTCError(RuntimeError):
    """Its numbers are not those of CUDA."""

    status = 2


# Reasons


def refused(monkeypatch, make):
    """Make `import cupy` raise."""
    real = importlib.import_module

    def import_module(name, *rest):
        if name == "cupy":
            raise make()
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", import_module)


def chained(error, cause):
    error.__cause__ = cause
    return error


CUDA = standin.CUDARuntimeError
COMPILE = importlib.import_module("emulator.standin.machine").CompileException
EXTRAS = '"gpuols[cuda12]" or "gpuols[cuda13]"'

IMPORTS = {
    "not installed": (
        lambda: ModuleNotFoundError("No module named 'cupy'", name="cupy"),
        f"CuPy is not installed; pip install {EXTRAS}",
    ),
    "a part is missing": (
        lambda: ModuleNotFoundError("No module named 'cupy_backends'", name="cupy_backends"),
        "CuPy is installed but can't be imported (No module named 'cupy_backends'); remove every "
        f"package whose name starts with cupy, then pip install {EXTRAS}",
    ),
    "raises": (
        lambda: RuntimeError("\nnumpy is too old\nreally"),
        "CuPy is installed but can't be imported (numpy is too old); remove every "
        f"package whose name starts with cupy, then pip install {EXTRAS}",
    ),
}

DRIVER = (
    "the NVIDIA driver does not work ({}); restart the machine or install the driver again; in a "
    "container it must be the host's"
)
LIBRARY = f"CUDA's compiler NVRTC or another library is not found; pip install {EXTRAS}"

COUNTS = {
    "no driver": (
        lambda: CUDA(35),
        "there is no NVIDIA driver, or one too old for this CuPy's CUDA ("
        "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
        f"); install or update the driver, or take the extra for its CUDA: {EXTRAS}",
    ),
    "no device": (
        lambda: CUDA(100),
        "no CUDA device is there (cudaErrorNoDevice: no CUDA-capable device is detected); see "
        "whether nvidia-smi lists one",
    ),
    "broken driver": (lambda: CUDA(999), DRIVER.format("cudaErrorUnknown: unknown error")),
    "another driver": (
        lambda: CUDA(803),
        DRIVER.format(
            "cudaErrorSystemDriverMismatch: system has unsupported display driver / cuda driver "
            "combination"
        ),
    ),
    "an unknown error": (
        lambda: ValueError(""),
        "CUDA does not work (ValueError); see what cupy.show_config() says",
    ),
}

KERNELS = {
    "no NVRTC": (lambda: DynamicLibNotFoundError("Failure finding"), LIBRARY),
    "no NVRTC, told otherwise": (
        lambda: chained(ImportError("Failure"), DynamicLibNotFoundError("Failure finding")),
        LIBRARY,
    ),
    "no NVRTC, an old CuPy": (
        lambda: RuntimeError("CuPy failed to load libnvrtc.so.12: OSError"),
        LIBRARY,
    ),
    "a compiler that refuses": (
        lambda: COMPILE("cannot open source file\nmore"),
        f"a one-line kernel does not compile (cannot open source file); pip install {EXTRAS}",
    ),
    "a number of the compiler's own": (
        lambda: NVRTCError("NVRTC_ERROR_BUILTIN_OPERATION_FAILURE (7)"),
        "CUDA does not work (NVRTC_ERROR_BUILTIN_OPERATION_FAILURE (7)); see what "
        "cupy.show_config() says",
    ),
    "no memory": (
        lambda: MemoryError("Out of memory"),
        "the device has no free memory (Out of memory); end other programs on it: nvidia-smi lists "
        "them",
    ),
}


def assert_told(reason, number=0):
    """Whoever asks is told the same, in one line."""
    assert device.why_not(number) == reason
    assert "\n" not in reason
    name = f"cuda:{number}" if number else "cuda"
    with pytest.raises(DeviceError) as caught:
        gpuols.fit(np.ones((3, 1)), np.ones(3), device=name)
    assert str(caught.value) == (
        f"device: got {name!r} ({reason}), expected 'auto' or 'cpu'; use device=\"auto\""
    )
    if not number:
        assert gpuols.info().engines["cuda"] == reason
        assert f"cuda       {reason}" in str(gpuols.info()).splitlines()


@pytest.mark.parametrize("case", IMPORTS)
def test_what_import_says(monkeypatch, case):
    make, reason = IMPORTS[case]
    refused(monkeypatch, make)
    assert_told(reason)


@pytest.mark.parametrize("case", COUNTS)
def test_what_counting_devices_says(machine, monkeypatch, case):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    make, reason = COUNTS[case]
    machine.count_error = make()
    assert_told(reason)


@pytest.mark.parametrize("case", KERNELS)
def test_what_the_first_kernel_says(machine, case):
    make, reason = KERNELS[case]
    machine.compile_error = make()
    assert_told(reason)


def test_a_wrong_answer_is_told(machine):
    machine.idle = True
    assert_told(
        "a one-line kernel answered -1, not 7; restart the machine, and look for errors of the "
        "device with nvidia-smi -q"
    )


@pytest.mark.parametrize(("count", "there"), [(1, "device 0 is"), (3, "devices 0 to 2 are")])
def test_a_number_too_large_is_told(machine, monkeypatch, count, there):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    machine.count = count
    assert_told(f"there is no CUDA device 3: only {there} there; choose one of them", 3)


def test_hidden_devices_are_told(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert_told(
        "there is no CUDA device 1: only device 0 is there, CUDA_VISIBLE_DEVICES is '2'; choose "
        "one of them",
        1,
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine.count = 0
    assert_told(
        "no CUDA device is there (cudaErrorNoDevice: no CUDA-capable device is detected, "
        "CUDA_VISIBLE_DEVICES is ''); see whether nvidia-smi lists one"
    )
    device.forget()
    machine.count_error = CUDA(999)
    assert_told(DRIVER.format("cudaErrorUnknown: unknown error"))


def test_an_engine_is_ready_with_the_name_of_its_device(machine):
    machine.name, machine.memory, machine.count = "NVIDIA H100", 80 << 30, 2
    assert gpuols.info().engines["cuda"] == "ready (NVIDIA H100, 80 GiB)"
    assert [engines.choose(name).NAME for name in ("cuda", "cuda:1")] == ["cuda:0", "cuda:1"]
    assert (
        engines.choose("auto", "cuda:1").NAME == engines.choose("cuda", "cuda:1").NAME == "cuda:1"
    )
    assert engines.choose("auto") is engines.choose("cpu") is not engines.choose("cuda")
    for asked in ("cpu", "cuda:0"):
        with pytest.raises(DeviceError, match=f"'{asked}' with X on cuda:1"):
            engines.choose(asked, "cuda:1")
    with pytest.raises(DeviceError, match="no CUDA device 2"):
        engines.choose("cuda:2")
    device.forget()
    machine.name = "NVIDIA H200"
    assert gpuols.info().engines["cuda"] == "ready (NVIDIA H200, 80 GiB)"
    device.forget()
    machine.count_error = CUDA(999)
    with pytest.raises(DeviceError, match="driver does not work"):
        engines.choose("cuda:1")


def test_a_device_is_probed_once(machine):
    assert device.why_not() == device.why_not(0) == ""
    assert [launch[0] for launch in machine.launches] == ["probe", "probe"]
    assert device.why_not() == ""
    assert len(machine.launches) == 2


# Devices, streams, memory


def test_what_a_device_is():
    with standin.installed(capability="120", name="GeForce", memory=1 << 30, count=2):
        found = device.find(1)
    assert found == device.Device(1, "GeForce", 4, 227 << 10, 1 << 30)


def test_a_device_is_current_within():
    with standin.installed(count=2):
        cuda = device.namespace().cuda
        with device.on(1):
            stream = cuda.Stream(non_blocking=True)
            with device.on(0):
                assert device.zeros((3,), float).device.id == 0
            with stream:
                x = device.upload(np.ones(3))
            assert x.device.id == 1
            assert np.isnan(device.download(x)).all(), "nobody waited for the stream"
            with stream:
                np.testing.assert_array_equal(device.download(x), 1)
        assert cuda.runtime.getDevice() == 0


@pytest.mark.parametrize(
    "host",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6.0).reshape(2, 3).T[::2],
        np.arange(3).astype(">i4"),
        np.array(2.5),
        np.empty((0, 3), np.float32),
    ],
    ids=["plain", "strided", "other bytes", "one number", "nothing"],
)
def test_what_goes_up_comes_down(machine, host):
    up = device.upload(host)
    got = device.download(up)
    assert type(got) is np.ndarray
    assert (got.shape, got.dtype) == (host.shape, host.dtype.newbyteorder("="))
    np.testing.assert_array_equal(got, host)


def test_what_was_copied_may_be_changed(machine):
    host = np.ones((2, 3))
    up = device.upload(host)
    host[:] = 2
    np.testing.assert_array_equal(device.download(up), 1)


def test_memory_is_as_it_was_asked_for(machine):
    assert np.isnan(device.download(device.empty((2, 3), float))).all()
    np.testing.assert_array_equal(device.download(device.zeros((2,), np.int32)), [0, 0])


def test_free_memory_is_what_can_be_had():
    with standin.installed(memory=1 << 20):
        assert device.free_bytes() == 1 << 20
        x = device.empty((1 << 16,), float)
        assert device.free_bytes() == 1 << 19
        with pytest.raises(device.OutOfMemory):
            device.empty((1 << 17,), float)
        del x
        assert device.free_bytes() == 1 << 20
        assert device.namespace().cuda.Device().mem_info[0] == 1 << 19
        device.release()
        assert device.namespace().cuda.Device().mem_info[0] == device.free_bytes() == 1 << 20


def test_a_copy_that_needs_memory_tells_of_it():
    with standin.installed(memory=1 << 20):
        x = device.zeros((1 << 8, 1 << 8), float)
        y = device.zeros((1 << 15,), float)
        assert device.download(x[:, ::2]).shape == (256, 128)
        z = device.zeros((1 << 12,), float)
        with pytest.raises(device.OutOfMemory):
            device.download(x[:, ::2])
    assert y.size > z.size


def test_special_functions(machine):
    x = device.upload(np.array([0.2, 0.5]))
    got = device.download(device.betainc(0.5, 2.0, x))
    np.testing.assert_allclose(got, [0.6260990336999411, 0.8838834764831845])
    np.testing.assert_allclose(device.download(device.gammaln(x * 10)), np.log([1, 24]), atol=1e-15)


# Launches


def arguments(n=70):
    x = device.upload(np.arange(float(n)))
    return [x, device.empty((n,), float), np.int64(n), np.int32(3), None]


def test_a_kernel_is_launched(machine):
    given = arguments()
    device.launch(SCALE, 2, 64, given)
    np.testing.assert_array_equal(device.download(given[1]), 3 * np.arange(70.0))
    device.launch(SCALE, 2, 64, [*given[:4], device.zeros((1,), np.int32)])
    np.testing.assert_array_equal(device.download(given[1]), 3 * np.arange(70.0) + 100)


def test_no_blocks_are_no_launch(machine):
    device.launch(SCALE, 0, 64, arguments())
    assert machine.launches == []


def broadcast():
    return device.namespace().broadcast_to(device.zeros((1,), float), (70,))


@pytest.mark.parametrize(
    ("place", "make", "words"),
    [
        (0, lambda: device.zeros((3,), np.float32), "x: got an array of float32, expected float64"),
        (0, lambda: np.ones(3), "x: got ndarray, expected a device array or None"),
        (1, broadcast, "y: got a read-only array, a broadcast one, and the kernel writes to it"),
        (2, lambda: 70, "n: got int, expected numpy.int64"),
        (2, lambda: np.uint64(70), "n: got numpy.uint64, expected numpy.int64"),
        (2, lambda: None, "n: got NoneType, expected numpy.int64"),
        (3, lambda: np.int64(3), "factor: got numpy.int64, expected numpy.int32"),
        (3, lambda: device.zeros((), np.int32), "factor: got ndarray, expected numpy.int32"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(machine, place, make, words):
    given = arguments()
    given[place] = make()
    with pytest.raises(TypeError) as caught:
        device.launch(SCALE, 2, 64, given)
    assert str(caught.value) == f"kernel scale real=double, parameter {words}"
    assert machine.launches == []


def test_a_broadcast_array_may_be_read(machine):
    given = arguments()
    device.launch(SCALE, 1, 64, [broadcast(), given[1], np.int64(1), *given[3:]])
    assert device.download(given[1])[0] == 0


def test_one_number_is_no_broadcast_array(machine):
    out = device.namespace().broadcast_to(device.empty((), float), (1,))
    assert out.strides == (0,)
    device.launch(SCALE, 1, 64, [arguments()[0], out, np.int64(1), np.int32(3), None])
    assert device.download(out) == [0]


def test_too_few_arguments_are_refused(machine):
    with pytest.raises(TypeError, match="kernel scale real=double takes 5 arguments, not 4"):
        device.launch(SCALE, 2, 64, arguments()[:4])


def test_an_array_of_another_device_is_refused():
    with standin.installed(count=2):
        given = arguments()
        words = "parameter x: got an array of device 0, device 1 is current"
        with device.on(1), pytest.raises(TypeError, match=words):
            device.launch(SCALE, 2, 64, given)


def test_a_kernel_is_compiled_once_a_device(monkeypatch):
    with standin.installed(count=2, mode="fast"):
        cupy = device.namespace()
        seen = []
        module = cupy.RawModule

        def counted(**options):
            seen.append((cupy.cuda.runtime.getDevice(), options["options"]))
            return module(**options)

        monkeypatch.setattr(cupy, "RawModule", counted)

        def work(number):
            with device.on(number):
                for kernel in (SCALE, Toy("scale", (("real", "float"),), SCALE.text)):
                    real = np.float32 if kernel is not SCALE else np.float64
                    x, y = (device.zeros((3,), real) for _ in range(2))
                    device.launch(kernel, 1, 64, [x, y, np.int64(3), np.int32(1), None])
                    device.download(y)

        threads = [threading.Thread(target=work, args=(i % 2,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    options = [(*Kernel("scale").options, f"-DGPUOLS_REAL={kind}") for kind in ("double", "float")]
    assert sorted(seen) == sorted((number, told) for number in (0, 1) for told in options)


def test_much_shared_memory_is_asked_for(machine):
    for nbytes in (48 << 10, 100 << 10, 227 << 10, 64 << 10):
        device.launch(SCALE, 2, 64, arguments(), shared_bytes=nbytes)
        assert machine.launches[-1][-1] == nbytes
    with pytest.raises(DeviceError, match=r"INVALID_VALUE.* in kernel scale real=double"):
        device.launch(SCALE, 2, 64, arguments(), shared_bytes=228 << 10)


def test_what_a_device_refuses_is_told(machine):
    driver = device.namespace().cuda.driver
    machine.launch_error = driver.CUDADriverError(700)
    with pytest.raises(DeviceError) as caught:
        device.launch(SCALE, 2, 64, arguments())
    assert str(caught.value) == (
        "device: got CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered in "
        "kernel scale real=double, expected no error; restart Python: CUDA may refuse all that "
        'follows; use device="cpu", and report it with what gpuols.info() says'
    )
    machine.launch_error = driver.CUDADriverError(2)
    with pytest.raises(device.OutOfMemory, match="kernel scale real=double: CUDA_ERROR_OUT_OF"):
        device.launch(SCALE, 2, 64, arguments())
    machine.launch_error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        device.launch(SCALE, 2, 64, arguments())


def test_a_kernel_that_does_not_compile_is_told(machine):
    machine.compile_error = COMPILE("scale.cu(3): error\nmore")
    with pytest.raises(DeviceError, match=r"it does not compile \(scale.* in kernel"):
        device.launch(SCALE, 2, 64, arguments())
    machine.compile_error = None
    device.launch(SCALE, 2, 64, arguments())


def test_what_goes_wrong_later_is_told_when_it_shows(machine, monkeypatch):
    x = device.zeros((3,), float)

    def get(self):
        raise CUDA(700)

    monkeypatch.setattr(type(x), "get", get)
    with pytest.raises(DeviceError, match="in a copy from the device, or a kernel before it"):
        device.download(x)

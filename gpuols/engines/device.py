"""Device: memory, kernels and streams of CUDA devices; the only module that imports CuPy.

What is said of a device without its number is said of the current one: `on` makes one current.
"""

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuols.engines import reasons
from gpuols.engines.arguments import checked
from gpuols.engines.kernels import Kernel
from gpuols.errors import DeviceError

OutOfMemory = (MemoryError,)
"""What to catch where memory of the device may not suffice."""

_SHARED_BYTES = 48 << 10  # what every kernel may use without asking
_OUT_OF_MEMORY = 2
_SPECIAL = "cupyx.scipy.special"
_ANSWER = 7

_functions: dict[tuple[int, Kernel], Any] = {}
_compiling: dict[tuple[int, Kernel], threading.RLock] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Device:
    """One CUDA device.

    Attributes
    ----------
    number : int
        As CUDA counts.
    name : str
        As its maker calls it.
    multiprocessors : int
        How many it has.
    shared_bytes : int
        Shared memory that one block may have at most.
    memory_bytes : int
        All its memory.
    """

    number: int
    name: str
    multiprocessors: int
    shared_bytes: int
    memory_bytes: int


def namespace() -> Any:
    """CuPy, for its functions of arrays."""
    return importlib.import_module("cupy")


def library(name: str) -> Any:
    """One of the modules beside CuPy that call other libraries."""
    return importlib.import_module(name)


@cache
def why_not(number: int = 0) -> str:
    """Why a device can't be used.

    The answer is kept, as CUDA keeps its own; `forget` asks anew.

    Parameters
    ----------
    number : int
        Of the device.

    Returns
    -------
    str
        Empty if it can, else one line with the reason and a remedy.
    """
    try:
        cupy = namespace()
    except Exception as error:
        return reasons.of_import(error)
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        if number >= count:
            return reasons.of_number(number, count)
        answer = _probe(number)
    except Exception as error:
        return reasons.of_probe(error)
    return "" if answer == _ANSWER else reasons.of_answer(answer, _ANSWER)


def _probe(number: int) -> int:
    with on(number):
        out = empty((1,), np.int32)
        _function(Kernel("probe"))((1,), (1,), (out,))
        return int(out.get()[0])


def forget() -> None:
    """Forget what was found, probed and compiled so far."""
    why_not.cache_clear()
    find.cache_clear()
    with _lock:
        _functions.clear()


@cache
def find(number: int) -> Device:
    """What a device is that can be used.

    Parameters
    ----------
    number : int
        Of the device.

    Returns
    -------
    Device
        Its properties.
    """
    cuda = namespace().cuda
    device, properties = cuda.Device(number), cuda.runtime.getDeviceProperties(number)
    return Device(
        number,
        properties["name"].decode(),
        int(device.attributes["MultiProcessorCount"]),
        int(device.attributes["MaxSharedMemoryPerBlockOptin"]),
        int(properties["totalGlobalMem"]),
    )


@contextmanager
def on(number: int, stream: int | None = None) -> Iterator[None]:
    """Make a device, and a stream, the current ones of this thread.

    Parameters
    ----------
    number : int
        Of the device.
    stream : int or None
        Address of the CUDA stream to work on; None for the current one. It goes on after what
        the current one was asked before, which then goes on after it.

    Yields
    ------
    None
        While it is.
    """
    cuda = namespace().cuda
    if number == cuda.runtime.getDevice() and stream in (None, cuda.get_current_stream().ptr):
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(cuda.Device(number))
        around = cuda.get_current_stream()
        if stream is not None and stream != around.ptr:
            own = cuda.ExternalStream(stream, number)
            own.wait_event(around.record())
            stack.callback(lambda: around.wait_event(own.record()))
            stack.enter_context(own)
        yield


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Device array of a shape, with anything in it."""
    return namespace().empty(shape, dtype)


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Device array of a shape, all zero."""
    return namespace().zeros(shape, dtype)


def upload(host: NDArray[Any]) -> Any:
    """Copy to the device, on the current stream.

    Parameters
    ----------
    host : (...)
        What to copy; it may be changed when this returns.

    Returns
    -------
    (...)
        The device array, C-contiguous.
    """
    array = np.ascontiguousarray(host).reshape(host.shape)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    out = empty(array.shape, array.dtype)
    with explained("a copy to the device"):
        out.set(array)
    return out


def download(array: Any) -> NDArray[Any]:
    """Copy of a device array (...) in host memory; the current stream is waited for."""
    with explained("a copy from the device, or a kernel before it"):
        return np.asarray(array.get())


def launch(
    kernel: Kernel, grid: int, block: int, arguments: Sequence[Any], shared_bytes: int = 0
) -> None:
    """Start a kernel on the current stream; it is compiled when a device first sees it.

    Parameters
    ----------
    kernel : Kernel
        Which.
    grid : int
        Blocks; with none, nothing is done.
    block : int
        Threads of each.
    arguments : sequence
        For each parameter a NumPy scalar of its type, a device array, or None for no array.
    shared_bytes : int
        Dynamic shared memory of a block.

    Raises
    ------
    TypeError
        If an argument does not fit its parameter.
    DeviceError
        If the kernel can't be compiled or started.
    MemoryError
        If the device's memory does not suffice.
    """
    given = checked(kernel, arguments, namespace().cuda.runtime.getDevice())
    if grid == 0:
        return
    with explained(f"kernel {kernel}"):
        function = _function(kernel)
        if shared_bytes > max(_SHARED_BYTES, function.max_dynamic_shared_size_bytes):
            function.max_dynamic_shared_size_bytes = shared_bytes
        function((grid,), (block,), given, shared_mem=shared_bytes)


def compile_kernel(kernel: Kernel) -> None:
    """Compile a kernel for the current device, unless that was done; CuPy keeps it on disk."""
    with explained(f"kernel {kernel}"):
        _function(kernel)


def _function(kernel: Kernel) -> Any:
    cupy = namespace()
    key = cupy.cuda.runtime.getDevice(), kernel
    with _lock:
        compiling = _compiling.setdefault(key, threading.RLock())
    with compiling:
        if key not in _functions:
            module = cupy.RawModule(code=kernel.source, options=kernel.options, backend="nvrtc")
            _functions[key] = module.get_function(kernel.name)
        return _functions[key]


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn CuPy's errors into ours."""
    try:
        yield
    except OutOfMemory:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("cupy", "cupy_backends", "cuda"):
            raise
        if reasons.status_of(error) == _OUT_OF_MEMORY:
            raise MemoryError(f"{what}: {error}") from error
        reason, remedy = reasons.of_launch(error)
        raise DeviceError("device", f"{reason} in {what}", "no error", remedy) from error


def free_bytes() -> int:
    """Memory that can still be had: what CUDA has free, and what the pool keeps unused."""
    cupy = namespace()
    return int(cupy.cuda.Device().mem_info[0] + cupy.get_default_memory_pool().free_bytes())


def release() -> None:
    """Give the memory that the pool keeps unused back to CUDA."""
    namespace().get_default_memory_pool().free_all_blocks()


def betainc(a: Any, b: Any, x: Any) -> Any:
    """Regularised incomplete beta function of device arrays (...)."""
    return library(_SPECIAL).betainc(a, b, x)


def gammaln(a: Any) -> Any:
    """Logarithm of the gamma function of a device array (...)."""
    return library(_SPECIAL).gammaln(a)

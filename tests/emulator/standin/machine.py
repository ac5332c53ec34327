"""The devices of the stand-in: their memory, their settings, and what went wrong."""

import threading
import weakref
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import numpy as np

_ALIGNMENT = 512
_NAMES = {
    1: "cudaErrorInvalidValue: invalid argument",
    2: "cudaErrorMemoryAllocation: out of memory",
    35: "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version",
    100: "cudaErrorNoDevice: no CUDA-capable device is detected",
    101: "cudaErrorInvalidDevice: invalid device ordinal",
    700: "cudaErrorIllegalAddress: an illegal memory access was encountered",
    803: "cudaErrorSystemDriverMismatch: system has unsupported display driver / cuda driver "
    "combination",
    999: "cudaErrorUnknown: unknown error",
}
_DRIVER_NAMES = {
    1: "CUDA_ERROR_INVALID_VALUE: invalid argument",
    2: "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    700: "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered",
}


class CUDARuntimeError(RuntimeError):
    """An error of the CUDA runtime, by its number."""

    def __init__(self, status):
        self.status = status
        super().__init__(_NAMES.get(status, f"cudaError{status}"))


class CUDADriverError(RuntimeError):
    """An error of the CUDA driver, by its number."""

    def __init__(self, status):
        self.status = status
        super().__init__(_DRIVER_NAMES.get(status, f"CUDA_ERROR_{status}"))


class OutOfMemoryError(MemoryError):
    """An allocation that the device has no room for."""

    def __init__(self, size, total, limit=0):
        limited = f", limit set to: {limit:,} bytes" if limit else ""
        super().__init__(
            f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes{limited})."
        )


class CompileException(Exception):  # noqa: N818 - CuPy's name
    """Kernel text that the compiler refused."""


for _kind, _module in (
    (CUDARuntimeError, "cupy_backends.cuda.api.runtime"),
    (CUDADriverError, "cupy_backends.cuda.api.driver"),
    (OutOfMemoryError, "cupy.cuda.memory"),
    (CompileException, "cupy.cuda.compiler"),
):
    _kind.__module__ = _module


@dataclass
class Machine:
    """What the stand-in pretends to run on.

    Attributes
    ----------
    count : int
        Devices.
    memory : int
        Bytes of each.
    capability : str
        Compute capability of each.
    mode, order : str
        How kernels are run; see `emulator.build.Module`.
    seed : int or None
        None: a stream's work is done as late as possible. Else at random times, in an order that
        streams and events allow.
    count_error, compile_error, launch_error : Exception or None
        Raised where devices are counted, a kernel is compiled or launched.
    idle : bool
        Kernels are launched but do nothing.
    launches : list of (str, int, tuple, tuple, int)
        Kernel, device, grid, block and dynamic shared memory of all launches so far.
    modules : list of emulator.build.Module
        What was compiled so far.
    downloads, uploads : list of int
        Bytes of each copy to and from the host so far, single numbers too.
    functions : list of str
        CuPy's own functions that were computed so far, a launch or more each on a device.
    lockable, locked : int
        Bytes of the host that may be page-locked, and that are.
    locks : list of int
        Bytes that were page-locked so far.
    """

    count: int = 1
    memory: int = 1 << 30
    capability: str = "90"
    name: str = "NVIDIA Stand-in"
    mode: str = "check"
    order: str = "fifo"
    seed: int | None = None
    count_error: Exception | None = None
    compile_error: Exception | None = None
    launch_error: Exception | None = None
    idle: bool = False
    launches: list = field(default_factory=list)
    modules: list = field(default_factory=list)
    downloads: list = field(default_factory=list)
    uploads: list = field(default_factory=list)
    functions: list = field(default_factory=list)
    lockable: int = 1 << 30
    locked: int = 0
    locks: list = field(default_factory=list)
    pinned: dict = field(default_factory=dict)
    live: dict = field(default_factory=dict)
    pooled: dict = field(default_factory=dict)
    memories: dict = field(default_factory=weakref.WeakValueDictionary)
    streams: dict = field(default_factory=dict)
    lock: object = field(default_factory=threading.RLock)
    local: object = field(default_factory=threading.local)

    def __post_init__(self):
        self.random = None if self.seed is None else Random(self.seed)

    def taken(self, device):
        """Bytes of a device that arrays or the pool hold."""
        return self.live.get(device, 0) + self.pooled.get(device, 0)

    def take(self, device, nbytes):
        """Take bytes of a device, those of the pool first."""
        pooled = self.pooled.get(device, 0)
        if nbytes <= pooled:
            self.pooled[device] = pooled - nbytes
        else:
            if self.taken(device) + nbytes > self.memory:
                self.pooled[device] = 0
            if self.taken(device) + nbytes > self.memory:
                raise OutOfMemoryError(nbytes, self.taken(device))
        self.live[device] = self.live.get(device, 0) + nbytes

    def put_back(self, device, nbytes):
        """Leave bytes of a device to the pool."""
        self.live[device] -= nbytes
        self.pooled[device] = self.pooled.get(device, 0) + nbytes


_machine = None


def machine():
    """The machine that is installed."""
    if _machine is None:
        raise RuntimeError("the stand-in for CuPy is not installed: use standin.installed()")
    return _machine


@contextmanager
def running(new):
    """Make a machine the one that is used."""
    global _machine
    before, _machine = _machine, new
    try:
        yield new
    finally:
        _machine = before


class Memory:
    """One allocation: its bytes all 0xff, which is NaN or -1, until they are written to.

    The bytes may outlive it in work that is still to be done, but are then overwritten as soon as
    the stream that it was made on gets to that: they could be another array's by then.
    """

    def __init__(self, nbytes, device, stream):
        self.nbytes, self.device, self.stream = nbytes, device, stream
        self.rounded = -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        self.owner = machine()
        self.taken = False
        with self.owner.lock:
            self.owner.take(device, self.rounded)
            self.taken = True
            room = np.full(self.rounded + _ALIGNMENT, 0xFF, np.uint8)
            start = -room.ctypes.data % _ALIGNMENT
            self.bytes = room[start : start + nbytes]
            self.address = room.ctypes.data + start if nbytes else 0
            self.users = []
            self.owner.memories[id(self)] = self

    def __del__(self):
        if self.taken:
            with self.owner.lock:
                self.owner.put_back(self.device, self.rounded)
                if any(stream is not self.stream for stream in self.users):
                    self.stream.push(lambda room=self.bytes: room.fill(0xFF), quietly=True)

    def view(self, shape, dtype, offset=0):
        """An array on its bytes."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return self.bytes[offset : offset + size].view(dtype).reshape(shape)


def find_memory(address):
    """The allocation that an address is in."""
    for memory in list(machine().memories.values()):
        if memory.address <= address < memory.address + max(memory.nbytes, 1):
            return memory
    raise CUDARuntimeError(700)

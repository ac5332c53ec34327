"""Kernels: compiled and run by the emulator, their arguments checked."""

import math

import numpy as np

from emulator import build
from emulator.standin.array import ndarray
from emulator.standin.machine import CompileException, CUDADriverError, machine
from emulator.standin.streams import MOST_SHARED, STATIC_SHARED, current_device, current_queue

# The emulator fuses nothing anyhow.
_UNFUSED = "-fmad=false"
_KINDS = {"f": "f", "i": "i", "u": "u", "b": "u"}


class RawModule:
    """Kernels of one text."""

    def __init__(self, code=None, *, options=(), backend="nvrtc"):
        if not isinstance(code, str) or not isinstance(options, tuple) or backend != "nvrtc":
            raise TypeError("code is a string, options a tuple, the backend nvrtc")
        for option in options:
            if not option.startswith(("-D", "-std=")) and option != _UNFUSED:
                raise CompileException(f"nvrtc: error: invalid value for option: {option}")
        self.code = code
        self.options = tuple(option for option in options if option != _UNFUSED)

    def compile(self, log_stream=None):
        """Nothing: the emulator compiles a kernel when it knows the name."""

    def get_function(self, name):
        return RawKernel(self.code, name, self.options)


class RawKernel:
    """One kernel, on whatever device is current."""

    def __init__(self, code, name, options=()):
        if machine().compile_error is not None:
            raise machine().compile_error
        try:
            self._module = build.Module(code, [name], options, machine().mode, machine().order)
        except build.BuildError as error:
            raise CompileException(str(error)) from None
        machine().modules.append(self._module)
        self.name = name
        self._most_shared = {}

    @property
    def max_dynamic_shared_size_bytes(self):
        return self._most_shared.get(current_device(), STATIC_SHARED)

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, nbytes):
        if nbytes > MOST_SHARED:
            raise CUDADriverError(1)
        self._most_shared[current_device()] = nbytes

    def __call__(self, grid, block, args, *, shared_mem=0):
        on = machine()
        if on.launch_error is not None:
            raise on.launch_error
        if not _possible(grid, block) or shared_mem > self.max_dynamic_shared_size_bytes:
            raise CUDADriverError(1)
        with on.lock:  # the emulator is of one thread at a time
            marks = self._module.signature(self.name)
        if len(args) != len(marks):
            raise TypeError(f"{self.name} takes {len(marks)} arguments, not {len(args)}")
        values, memories, reach = [], [], []
        for i, (value, mark) in enumerate(zip(args, marks, strict=True)):
            what = f"{self.name}: argument {i}"
            if isinstance(value, ndarray):
                memories.append(value._memory)
                reach.append(_reach(value, mark, what))
                values.append(value.data.ptr)
            else:
                values.append(_scalar(value, mark, what))
        on.launches.append((self.name, current_device(), grid, block, shared_mem))
        if not on.idle:
            what = self.name, grid, block, values, shared_mem, reach
            current_queue().push(lambda: self._module.launch(*what), memories)


def _possible(grid, block):
    if not (isinstance(grid, tuple) and isinstance(block, tuple)):
        raise TypeError("grid and block are tuples")
    x, y, z = (*grid, 1, 1)[:3]
    fits = 0 < x < 1 << 31 and 0 < y < 1 << 16 and 0 < z < 1 << 16
    return fits and min(block) > 0 and math.prod(block) <= 1024 and (*block, 1, 1)[2] <= 64


def _code(dtype):
    return f"{dtype.itemsize}{_KINDS.get(dtype.kind, 'x')}"


def _reach(array, mark, what):
    """The memory that a kernel may reach through an array: all that the array is a part of."""
    memory = array._memory
    if memory.device != current_device():
        raise ValueError(f"{what} is on device {memory.device}, the launch on {current_device()}")
    if mark[0] == "s" or (mark[-1] != "x" and _code(array.dtype) != mark[1:]):
        raise TypeError(f"{what} is an array of {array.dtype}, the parameter {mark}")
    repeated = any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True))
    if mark[0] == "w" and repeated:
        raise TypeError(f"{what} has elements that share memory, and the kernel writes to it")
    return build.Array(memory.address, memory.nbytes, array.itemsize, mark[0] == "w")


def _scalar(value, mark, what):
    if mark[0] != "s" and isinstance(value, np.uint64 | np.intp) and value == 0:
        return 0
    if mark[0] != "s" or not isinstance(value, np.generic) or _code(value.dtype) != mark[1:]:
        raise TypeError(f"{what} is {type(value).__name__}, the parameter {mark}")
    return value

"""A stand-in for the part of CuPy that gpuols uses, stricter than CuPy.

It computes on the host and runs kernels by the emulator. What on a device goes wrong silently, or
only sometimes, goes wrong here loudly or always:

- a kernel's arguments are checked against its parameters, number, type and `const`;
- new memory is NaN or -1;
- a stream's work is done when somebody waits for it, so that who does not wait sees that; memory
  that is page-locked is read and written then, too;
- arrays of the host and of other devices are refused in arithmetic;
- memory is limited.
"""

import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

from scipy import special

from emulator.standin import array, batched, creation, functions, kernels, pinned, streams
from emulator.standin import machine as devices
from emulator.standin.machine import CUDARuntimeError, Machine, machine

__all__ = ["ATTRIBUTES", "CUDARuntimeError", "Machine", "installed", "modules"]

VERSION = "14.2.0"
# Reached as attributes, but not to be imported.
ATTRIBUTES = ("cupy.cuda.driver",)
_CUDA = 13000


@contextmanager
def installed(**settings):
    """Put the stand-in where `import cupy` finds it.

    Parameters
    ----------
    settings
        Attributes of `Machine`.

    Yields
    ------
    Machine
        What it pretends to run on, to look at and to change.
    """
    roots = ("cupy", "cupyx", "cupy_backends")
    own = {name: module for name, module in modules().items() if name not in ATTRIBUTES}
    before = {name: sys.modules[name] for name in [*sys.modules] if name.split(".")[0] in roots}
    try:
        with devices.running(Machine(**settings)) as new:
            for name in before:
                del sys.modules[name]
            sys.modules.update(own)
            yield new
    finally:
        for name in own:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def modules():
    """Every module of the stand-in by its name; what is in them is what it offers."""
    cuda = "cupy.cuda"
    libraries = "cupy_backends.cuda.libs"
    contents = {
        "cupy": {
            **functions.namespace(),
            **_named(array, "empty ndarray"),
            **_named(creation, "arange asarray ascontiguousarray asnumpy from_dlpack full zeros"),
            **_named(kernels, "RawKernel RawModule"),
            "get_default_memory_pool": get_default_memory_pool,
            "is_available": is_available,
            "__version__": VERSION,
        },
        cuda: {
            **_named(streams, "Device Event ExternalStream Stream get_current_stream"),
            "is_available": is_available,
        },
        f"{cuda}.compiler": _named(devices, "CompileException"),
        f"{cuda}.device": _named(batched, "get_cublas_handle get_cusolver_handle"),
        f"{cuda}.driver": _named(devices, "CUDADriverError"),
        f"{cuda}.memory": _named(devices, "OutOfMemoryError"),
        f"{cuda}.runtime": {
            "CUDARuntimeError": CUDARuntimeError,
            "driverGetVersion": lambda: _CUDA,
            "getDevice": streams.current_device,
            "getDeviceCount": _count,
            "getDeviceProperties": _properties,
            "runtimeGetVersion": lambda: _CUDA,
        },
        "cupyx": _named(pinned, "empty_pinned"),
        "cupyx.scipy": {},
        "cupyx.scipy.special": {
            name: _special(getattr(special, name)) for name in ("betainc", "betaincinv", "gammaln")
        },
        "cupy_backends": {},
        "cupy_backends.cuda": {},
        libraries: {},
        f"{libraries}.cublas": _named(
            batched,
            "dtrsmBatched CUBLAS_FILL_MODE_LOWER CUBLAS_FILL_MODE_UPPER CUBLAS_SIDE_LEFT "
            "CUBLAS_SIDE_RIGHT CUBLAS_OP_N CUBLAS_OP_T CUBLAS_DIAG_NON_UNIT CUBLAS_DIAG_UNIT",
        ),
        f"{libraries}.cusolver": _named(batched, "dpotrfBatched"),
    }
    found = {}
    for name, names in contents.items():
        found[name] = module = ModuleType(name)
        vars(module).update(names)
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(found[parent], last, module)
    return found


def _named(module, names):
    return {name: getattr(module, name) for name in names.split()}


def _special(function):
    return lambda *args, out=None: functions.stored(array.compute(function, *args), out)


def is_available():
    return machine().count_error is None and machine().count > 0


def _count():
    if machine().count_error is not None:
        raise machine().count_error
    if machine().count < 1:
        raise CUDARuntimeError(100)
    return machine().count


def _properties(device):
    streams.Device(device)
    return {
        "name": machine().name.encode(),
        "major": int(machine().capability[:-1]),
        "minor": int(machine().capability[-1]),
        "multiProcessorCount": streams.Device(device).attributes["MultiProcessorCount"],
        "sharedMemPerBlockOptin": streams.MOST_SHARED,
        "totalGlobalMem": machine().memory,
    }


def get_default_memory_pool():
    """The pool of freed memory; each method is about the current device."""

    def free_all_blocks(stream=None):
        machine().pooled[streams.current_device()] = 0

    return SimpleNamespace(
        free_all_blocks=free_all_blocks,
        free_bytes=lambda: machine().pooled.get(streams.current_device(), 0),
        used_bytes=lambda: machine().live.get(streams.current_device(), 0),
        total_bytes=lambda: machine().taken(streams.current_device()),
    )

"""Device arrays made of other things."""

import numpy as np

from emulator.standin.array import Capsule, compute, empty, ndarray, published
from emulator.standin.machine import find_memory
from emulator.standin.streams import Device, ExternalStream, get_current_stream


def zeros(shape, dtype=float, order="C"):
    return full(shape, 0, dtype, order)


def full(shape, fill_value, dtype=None, order="C"):
    out = empty(shape, np.asarray(fill_value).dtype if dtype is None else dtype, order)
    out.fill(fill_value)
    return out


def arange(start, stop=None, step=1, dtype=None):
    start, stop = (0, start) if stop is None else (start, stop)
    return published(np.arange(start, stop, step, dtype))


def asarray(a, dtype=None, order=None):
    if isinstance(a, ndarray):
        return a if dtype is None or a.dtype == dtype else a.astype(dtype)
    if hasattr(a, "__cuda_array_interface__"):
        return asarray(_from_interface(a.__cuda_array_interface__), dtype)
    host = np.asarray(a, dtype, order)
    return published(host)


def _from_interface(interface):
    memory = find_memory(interface["data"][0])
    offset = interface["data"][0] - memory.address
    dtype = np.dtype(interface["typestr"])
    strides = interface.get("strides")
    shape = tuple(interface["shape"])
    if interface.get("stream") is not None:
        address = 0 if interface["stream"] == 1 else interface["stream"]
        ExternalStream(address, memory.device).synchronize()
    host = np.ndarray(shape, dtype, memory.bytes, offset, strides)
    return ndarray(memory, host)


def ascontiguousarray(a, dtype=None):
    if not isinstance(a, ndarray):
        return asarray(a, dtype, "C")
    if a.flags.c_contiguous and dtype in (None, a.dtype):
        return a
    return compute(np.ascontiguousarray, a, dtype)


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    return np.asarray(a, order=order)


def from_dlpack(array):
    device, number = array.__dlpack_device__()
    if device != 2:
        raise BufferError(f"no CUDA array: DLPack device {device}")
    with Device(number):
        capsule = array.__dlpack__(stream=get_current_stream().ptr or 1)
    if not isinstance(capsule, Capsule):
        raise TypeError("the stand-in reads its own arrays only")
    return ndarray(capsule.array._memory, capsule.array._host)

"""Device arrays."""

import operator
from types import SimpleNamespace

import numpy as np

from emulator.standin.machine import Memory, machine
from emulator.standin.pinned import lasting
from emulator.standin.streams import (
    Device,
    ExternalStream,
    current_device,
    current_queue,
    get_current_stream,
)

_IMPLICIT = (
    "Implicit conversion to a NumPy array is not allowed. "
    "Please use `.get()` to construct a NumPy array explicitly."
)


class ndarray:  # noqa: N801 - CuPy's name
    """An array in the memory of one device."""

    __array_priority__ = 100
    __hash__ = None

    def __init__(self, memory, host):
        self._memory, self._host = memory, host

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    device = property(lambda self: Device(self._memory.device))
    T = property(lambda self: self.transpose())

    @property
    def flags(self):
        flags = self._host.flags
        return SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous)

    @property
    def data(self):
        ptr = self._host.ctypes.data if self.size else 0
        return SimpleNamespace(ptr=ptr, device_id=self._memory.device)

    # To and from the host

    def __array__(self, dtype=None):
        raise TypeError(_IMPLICIT)

    def get(self, stream=None, order="C", out=None, blocking=True):
        machine().downloads.append(self.nbytes)
        queue = current_queue() if stream is None else stream._queue
        if out is None:
            out = np.empty(self.shape, self.dtype, order)
        elif out.shape != self.shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError("out is not a C-contiguous array of the same shape and dtype")
        source = self if self.flags.c_contiguous else self.copy()
        read, target = source._host, lasting(out)
        target = out if target is None else target
        queue.push(lambda: np.copyto(target, read), [source._memory])
        if blocking:
            queue.run()
        return out

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self.flags.c_contiguous or self.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        queue = current_queue() if stream is None else stream._queue
        machine().uploads.append(self.nbytes)
        # Memory that is not page-locked has been read when this returns.
        read, target = lasting(arr), self._host
        read = arr.copy() if read is None else read
        queue.push(lambda: np.copyto(target, read), [self._memory])

    def item(self):
        return self.get().item()

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        with self.device:
            return self.copy()

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"<device array {self.dtype} {self.shape}>"

    def __bool__(self):
        return bool(self.get())

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    # Views and copies

    def reshape(self, *shape, order="C"):
        return viewed_or_copied(np.reshape, self, *_one_tuple(shape), order=order)

    def ravel(self, order="C"):
        return viewed_or_copied(np.ravel, self, order)

    def transpose(self, *axes):
        return viewed_or_copied(np.transpose, self, *_one_tuple(axes))

    def swapaxes(self, axis1, axis2):
        return viewed_or_copied(np.swapaxes, self, axis1, axis2)

    def squeeze(self, axis=None):
        return viewed_or_copied(np.squeeze, self, axis)

    def view(self, dtype=None):
        return ndarray(self._memory, self._host.view(dtype))

    def astype(self, dtype, order="K", copy=True):
        if not copy and self.dtype == dtype:
            return self
        return compute(np.ndarray.astype, self, dtype, order=order)

    def copy(self, order="C"):
        return compute(np.copy, self, order)

    def fill(self, value):
        self[...] = value

    def __getitem__(self, index):
        if any(isinstance(part, ndarray) for part in _parts(index)):
            return compute(operator.getitem, self, index)
        host = self._host[_plain(index)]
        if isinstance(host, np.generic):
            host = self._host[(*_parts(index), ...)]
        return ndarray(self._memory, host)

    def __setitem__(self, index, value):
        machine().functions.append("setitem")
        index, value = _plain(index), _plain(value)
        _on_this_device(self)
        current_queue().run()
        target, dtype = self._host, self.dtype
        read = np.array(value) if isinstance(value, np.ndarray) else dtype.type(value)

        def work():
            with np.errstate(all="ignore"):
                target[index] = read

        current_queue().push(work, [self._memory])

    # What others see

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "strides": None if self.flags.c_contiguous else self.strides,
            "data": (self.data.ptr, False),
            "stream": get_current_stream().ptr or 1,
            "version": 3,
        }

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        _hand_over(stream)
        return Capsule(self)

    def __dlpack_device__(self):
        return 2, self._memory.device


ndarray.__module__ = "cupy"


class Capsule:
    """What one library hands to another by DLPack."""

    def __init__(self, array):
        self.array = array


def _hand_over(stream):
    """Make a stream wait for what the current one was given so far."""
    if stream is not None:
        address = 0 if stream == 1 else stream
        ExternalStream(address).wait_event(get_current_stream().record())


def _parts(index):
    return index if isinstance(index, tuple) else (index,)


def _one_tuple(sizes):
    if not sizes or (len(sizes) == 1 and isinstance(sizes[0], tuple | list)):
        return sizes
    return (sizes,)


def _plain(value):
    """What NumPy computes with; memory of the host and of other devices is refused."""
    if isinstance(value, ndarray):
        _on_this_device(value)
        return value._host
    if isinstance(value, np.ndarray) or (
        isinstance(value, int | float) and type(value) not in (bool, int, float, np.float64)
    ):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple | list):
        return type(value)(_plain(part) for part in value)
    return value


def _on_this_device(array):
    if array._memory.device != current_device():
        raise ValueError(
            "Array device must be same as the current device: "
            f"array device = {array._memory.device} while current = {current_device()}"
        )


def compute(function, *args, **kwargs):
    """Apply a NumPy function to the values that device arrays have on the current stream."""
    machine().functions.append(getattr(function, "__name__", str(function)))
    args = [_plain(value) for value in args]
    kwargs = {name: _plain(value) for name, value in kwargs.items()}
    current_queue().run()
    with np.errstate(all="ignore"):
        return published(function(*args, **kwargs))


def published(result):
    """Values of the host in device memory, there when the current stream gets to them."""
    if isinstance(result, tuple | list):
        return type(result)(published(part) for part in result)
    if not isinstance(result, np.ndarray | np.generic):
        return result
    out, values = empty(result.shape, result.dtype), np.array(result)
    target = out._host
    current_queue().push(lambda: np.copyto(target, values), [out._memory])
    return out


def viewed_or_copied(function, array, *args, **kwargs):
    """A view of an array, or a copy of it where there is no such view."""
    host = function(array._host, *args, **kwargs)
    if host.size == 0 or np.may_share_memory(host, array._host):
        return ndarray(array._memory, host)
    return compute(function, array, *args, **kwargs)


def empty(shape, dtype=float, order="C"):
    """Memory of the current device, all NaN or -1."""
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = Memory(size, current_device(), current_queue())
    host = memory.view(shape, dtype)
    return ndarray(memory, host if order == "C" else memory.view(shape[::-1], dtype).T)

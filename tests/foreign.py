"""Arrays on CUDA devices of libraries that need a GPU to make some: as far as gpuols looks."""

import sys
from contextlib import contextmanager, nullcontext
from types import ModuleType, SimpleNamespace

import numpy as np
from emulator import standin

from gpuols.engines import device

_busy = {}  # torch's stream on each device where it is not the null stream

KINDS = ("cupy", "torch", "jax")


class Foreign:
    """An array of another library, which tells of itself by DLPack."""

    def __init__(self, array):
        self.array = array
        self.shape, self.size = array.shape, array.size

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Tensor(Foreign):
    """A tensor of torch."""

    def __init__(self, array, requires_grad=False, dtype=None):
        super().__init__(array)
        self.requires_grad = requires_grad
        self.dtype = f"torch.{array.dtype}" if dtype is None else dtype

    def __dlpack__(self, **options):
        with works_on(self.device.index):
            return super().__dlpack__(**options)

    def resolve_neg(self):
        return self

    @property
    def device(self):
        return SimpleNamespace(type="cuda", index=self.array.device.id)


class Array(Foreign):
    """An array of JAX."""

    def __init__(self, array, dtype=None):
        super().__init__(array)
        self.dtype = array.dtype if dtype is None else dtype

    def devices(self):
        return [SimpleNamespace(platform="gpu")]


class Interface:
    """An array that has CUDA's array interface only."""

    def __init__(self, array):
        self.shape, self.__cuda_array_interface__ = array.shape, array.__cuda_array_interface__


Tensor.__module__, Array.__module__ = "torch", "jaxlib"
MAKERS = {"cupy": lambda array: array, "torch": Tensor, "jax": Array}


def install(monkeypatch, x64=True):
    """Put in the place of torch and JAX what hands out these."""
    config = SimpleNamespace(jax_enable_x64=x64)
    plain = SimpleNamespace(unpack_dual=lambda tensor: SimpleNamespace(tangent=None))
    for name, contents in {
        "torch": {
            "autograd": SimpleNamespace(forward_ad=plain),
            "from_dlpack": _torch_from_dlpack,
            "cuda": SimpleNamespace(current_stream=_stream_of_torch),
        },
        "jax": {"config": config, "numpy": SimpleNamespace(from_dlpack=Array)},
    }.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)


def works_on(number):
    """Context of torch's stream on a device."""
    return _busy.get(number, nullcontext())


@contextmanager
def torch_on(stream):
    """Let torch work on a stream."""
    _busy[stream.device_id] = stream
    yield
    del _busy[stream.device_id]


def _stream_of_torch(number):
    return SimpleNamespace(cuda_stream=_busy[number].ptr if number in _busy else 0)


def _torch_from_dlpack(array):
    array.__dlpack__(stream=_stream_of_torch(array.device.id).cuda_stream or 1)
    return Tensor(array)


def inside(value):
    """The device array that one of any kind is."""
    return value.array if isinstance(value, Foreign) else value


def kind_of(value):
    """Which library an array is of."""
    return {Tensor: "torch", Array: "jax"}.get(type(value), type(value).__module__)


@contextmanager
def two_devices(monkeypatch):
    """A machine of two devices, with these libraries beside CuPy."""
    device.forget()
    install(monkeypatch)
    with standin.installed(count=2) as found:
        yield found
    device.forget()


def normal(*shape, seed=0):
    """Random numbers in host memory."""
    return np.random.default_rng(seed).normal(size=shape)

"""Device arrays of other libraries: where they are, taken in place and handed back."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from emulator import build, standin

from gpuols import places
from gpuols.engines import device, exchange

pytestmark = pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")


class Foreign:
    """An array of another library, which tells of itself by DLPack."""

    def __init__(self, array):
        self.array = array
        self.device = array.device

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Tensor(Foreign):
    """A tensor of torch."""


Tensor.__module__ = "torch"


class Nowhere:
    """An array whose library can't say where it is."""

    __module__ = "torch"

    def __dlpack_device__(self):
        raise BufferError("no such device")


class Interface:
    """An array that has CUDA's array interface only."""

    def __init__(self, array):
        self.__cuda_array_interface__ = array.__cuda_array_interface__


@pytest.fixture
def two():
    with standin.installed(count=2):
        yield device.namespace()


def library(monkeypatch, name, **names):
    """Put a library where it would be imported."""
    module = ModuleType(name)
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, name, module)


def test_where_an_array_is(two):
    x = device.zeros((3,), float)
    with device.on(1):
        y = device.zeros((3,), float)
    assert [places.place_of(v) for v in (x, y, Tensor(y))] == ["cuda:0", "cuda:1", "cuda:1"]
    assert places.place_of(Interface(x)) == "cuda:0"
    assert {places.place_of(v) for v in (np.ones(3), [1.0], None, Nowhere())} == {"cpu"}


def test_managed_memory_is_of_its_device(two):
    x = Tensor(device.zeros((3,), float))
    x.__class__ = type("Managed", (Tensor,), {"__dlpack_device__": lambda self: (13, 1)})
    assert places.place_of(x) == "cuda:1"


def test_nothing_is_imported_to_tell_a_place(monkeypatch):
    for name in ("cupy", "torch", "jax"):
        monkeypatch.setitem(sys.modules, name, None)
    assert places.place_of(np.ones(3)) == "cpu"


@pytest.mark.parametrize("kind", [Foreign, Tensor, Interface])
def test_an_array_is_adopted_in_place(two, kind):
    x = device.upload(np.arange(12.0).reshape(4, 3))[1:, ::2]
    got = exchange.adopt(kind(x))
    assert type(got) is two.ndarray
    assert (got.data.ptr, got.shape, got.strides) == (x.data.ptr, x.shape, x.strides)
    assert exchange.adopt(x) is x


class Late(Foreign):
    """Its library works on a stream of its own."""

    def __dlpack__(self, **options):
        with self.stream:
            return super().__dlpack__(**options)


@pytest.mark.parametrize("kind", [Late, Interface])
def test_an_array_is_adopted_when_it_is_ready(two, kind):
    there, here = (two.cuda.Stream(non_blocking=True) for _ in range(2))
    with there:
        x = device.upload(np.ones(3))
        late = kind(x)
        late.stream = there
    with here:
        np.testing.assert_array_equal(device.download(exchange.adopt(late)), 1)


def test_arrays_are_handed_back(two, monkeypatch):
    jax = SimpleNamespace(config=SimpleNamespace(jax_enable_x64=True))
    library(monkeypatch, "torch", from_dlpack=Tensor)
    library(monkeypatch, "jax", config=jax.config, numpy=SimpleNamespace(from_dlpack=Foreign))
    x = device.upload(np.arange(6.0).reshape(2, 3)).T
    assert exchange.hand(x, "cupy") is x
    torch = exchange.hand(x, "torch")
    assert type(torch) is Tensor
    assert torch.array is x
    got = exchange.hand(x, "jax")
    assert type(got) is Foreign
    assert got.array.flags.c_contiguous
    np.testing.assert_array_equal(device.download(got.array), device.download(x))
    jax.config.jax_enable_x64 = False
    assert exchange.hand(x, "jax") is x

"""The stand-in for CuPy: its arrays and the functions of arrays."""

import importlib
from copy import copy, deepcopy
from enum import IntEnum

import numpy as np
import pytest
from emulator import standin


@pytest.fixture(params=[None, 0, 1], ids=["late", "seed 0", "seed 1"])
def cupy(request):
    with standin.installed(seed=request.param):
        yield importlib.import_module("cupy")


@pytest.fixture
def late():
    with standin.installed():
        yield importlib.import_module("cupy")


class Code(IntEnum):
    GOOD = 0


@pytest.mark.parametrize(
    "act",
    [
        np.asarray,
        lambda x: np.sqrt(x, where=np.ones(4, bool)),
        lambda x: x + np.ones(4),
        lambda x: np.ones(4) + x,
        lambda x: np.where(x > 0, x, np.zeros(4)),
        lambda x: np.concatenate([x, np.zeros(4)]),
        lambda x: x.__setitem__(slice(None), np.zeros(4)),
        lambda x: x[np.array([0, 1])],
        lambda x: np.add(np.ones(4), 1, out=x[:3]),
        lambda x: np.sum(x, where=x > 0),
        lambda x: np.take(x, 0, mode="clip"),
        lambda x: np.add.reduce(x),
        lambda x: np.median(x),
        lambda x: np.linalg.norm(x),
        lambda x: x == Code.GOOD,
        lambda x: np.where(x > 0, x, Code.GOOD),
        lambda x: x.set([1.0, 2, 3, 4]),
        lambda x: x.set(np.ones(4, np.float32)),
    ],
)
def test_what_cupy_has_not_is_refused(late, act):
    with pytest.raises(TypeError):
        act(late.zeros(4))


def test_arrays_are_set_as_they_are(late):
    with pytest.raises(ValueError, match="Shape mismatch"):
        late.zeros(4).set(np.ones(3))
    with pytest.raises(RuntimeError, match="non-contiguous"):
        late.zeros((4, 2))[:, 0].set(np.ones(4))
    with pytest.raises(ValueError, match="out is not"):
        late.zeros(4).get(out=np.zeros(3))


NUMBERS = np.random.default_rng(0).normal(size=(5, 3))


@pytest.mark.parametrize(
    "act",
    [
        lambda x: np.sqrt(abs(x)) * 2 - x / 3 + x**2 // 1,
        lambda x: np.where(np.isnan(x), 0.0, x),
        lambda x: np.moveaxis(x, 0, -1)[1:, None, ::2],
        lambda x: np.concatenate([x, x[:2]], axis=0),
        lambda x: np.broadcast_to(x[0], (4, 3)),
        lambda x: x.reshape(3, 5).T.swapaxes(0, 1).ravel(),
        lambda x: x.T.reshape(-1),
        lambda x: np.take(x, np.argsort(x, axis=0)[0], axis=0),
        lambda x: x[x > 0],
        lambda x: x[np.flatnonzero(x[:, 0] < 1)],
        lambda x: np.unique(np.sign(x)),
        lambda x: x.astype(np.float32),
        lambda x: x.sum(axis=0, keepdims=True) + x.max() - np.min(x, axis=1)[:, None],
        lambda x: ~(x > 0) | np.signbit(x),
        lambda x: np.float64(2) * x @ x.T,
        lambda x: np.maximum(x, 0, dtype=np.float64),
        lambda x: x[1, 2],
        lambda x: x.any() & x.all(),
        lambda x: np.stack([x, -x]),
        lambda x: np.cumsum(x, axis=0),
        lambda x: x.copy("F").take(1, axis=1),
    ],
)
def test_what_cupy_has_is_what_numpy_computes(cupy, act):
    want, got = act(NUMBERS), act(cupy.asarray(NUMBERS))
    assert type(got) is cupy.ndarray
    assert (got.shape, got.dtype) == (np.shape(want), want.dtype)
    np.testing.assert_array_equal(got.get(), want)


def test_sorts_keep_what_is_equal_in_order(cupy):
    values = np.random.default_rng(0).integers(0, 3, 500)
    want = np.argsort(values, kind="stable")
    for found in (cupy.asarray(values).argsort(), cupy.argsort(cupy.asarray(values), -1, "stable")):
        np.testing.assert_array_equal(found.get(), want)
    with pytest.raises(ValueError, match="only be None or 'stable'"):
        cupy.asarray(values).argsort(kind="quicksort")


def test_elements_are_set(cupy):
    x = cupy.asarray(NUMBERS)
    want = NUMBERS.copy()
    for a, rows in ((want, np.array([0, 3])), (x, cupy.asarray(np.array([0, 3])))):
        a[rows] = a[1]
        a[a < 0] = np.nan
        a[2:, 0] *= 7
        np.multiply(a, 2, out=a)
    np.testing.assert_array_equal(x.get(), want)
    assert float(x[0, 0] * 0) != 1
    assert (len(x), int(cupy.asarray(np.int64(3))), bool(cupy.zeros(()))) == (5, 3, False)


def test_views_share_memory(cupy):
    x = cupy.zeros((4, 3))
    x.T[1:].fill(2)
    x.reshape(-1)[:1] = 5
    np.testing.assert_array_equal(x.get()[:2], [[5, 2, 2], [0, 2, 2]])


def test_arrays_are_handed_over_in_place(late):
    class Elsewhere:
        def __init__(self, interface):
            self.__cuda_array_interface__ = interface

    x = late.asarray(NUMBERS)[1:, ::2]
    for got in (late.from_dlpack(x), late.asarray(Elsewhere(x.__cuda_array_interface__))):
        assert (got.data.ptr, got.shape, got.strides) == (x.data.ptr, x.shape, x.strides)
        np.testing.assert_array_equal(got.get(), NUMBERS[1:, ::2])


def test_dlpack_makes_the_reader_wait(late):
    one, other = (late.cuda.Stream(non_blocking=True) for _ in range(2))
    with one:
        x = late.asarray(np.ones(3))
        x.__dlpack__(stream=other.ptr)
    np.testing.assert_array_equal(x.get(stream=other), 1)


def test_special_functions_are_scipys(cupy):
    special = importlib.import_module("cupyx.scipy.special")
    x = cupy.asarray(np.array([0.2, 0.5]))
    np.testing.assert_allclose(
        special.betainc(0.5, 2.0, x).get(), [0.6260990336999411, 0.8838834764831845]
    )
    np.testing.assert_allclose(special.gammaln(cupy.asarray(np.array([5.0]))).get(), np.log(24))


# Batched factors


def test_batched_cholesky_and_solve(late):
    cusolver = importlib.import_module("cupy_backends.cuda.libs.cusolver")
    cublas = importlib.import_module("cupy_backends.cuda.libs.cublas")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 9, 4))
    gram = x.transpose(0, 2, 1) @ x
    gram[1, 2, 2] = -1
    right = rng.normal(size=(3, 2, 4))
    a, b, info = late.asarray(gram), late.asarray(right), late.empty(3, np.int32)
    to_a, to_b = (
        late.asarray(np.arange(3, dtype=np.uint64) * (v.nbytes // 3) + np.uint64(v.data.ptr))
        for v in (a, b)
    )
    handle = late.cuda.device.get_cusolver_handle()
    lower, n = cublas.CUBLAS_FILL_MODE_LOWER, 4
    cusolver.dpotrfBatched(handle, lower, n, to_a.data.ptr, n, info.data.ptr, 3)
    one = np.array(1.0)
    sides = cublas.CUBLAS_SIDE_LEFT, lower, cublas.CUBLAS_OP_N, cublas.CUBLAS_DIAG_NON_UNIT
    blas = late.cuda.device.get_cublas_handle()
    cublas.dtrsmBatched(blas, *sides, n, 2, one.ctypes.data, to_a.data.ptr, n, to_b.data.ptr, n, 3)
    np.testing.assert_array_equal(info.get(), [0, 3, 0])
    for i in (0, 2):
        factor = np.tril(a.get()[i].T)
        np.testing.assert_allclose(factor, np.linalg.cholesky(gram[i]), rtol=1e-13)
        np.testing.assert_allclose(factor @ b.get()[i].T, right[i].T, atol=1e-13)
    with pytest.raises(RuntimeError, match="handle"):
        cusolver.dpotrfBatched(blas, lower, n, to_a.data.ptr, n, info.data.ptr, 3)
    with pytest.raises(RuntimeError, match="leading"):
        cusolver.dpotrfBatched(handle, lower, n, to_a.data.ptr, 3, info.data.ptr, 3)


def test_copies_share_nothing(cupy):
    with cupy.cuda.Device(0):
        x = cupy.arange(3.0)
        for make in (copy, deepcopy):
            other = make(x)
            other[0] = 7.0
            assert x.get().tolist() == [0.0, 1.0, 2.0]
            assert other.get().tolist() == [7.0, 1.0, 2.0]


def test_arrays_are_made_like_others(late):
    x = late.zeros(4)
    for made in (np.asarray([0, 2], like=x), np.asarray(x, like=x)):
        assert isinstance(made, late.ndarray)
    assert np.asarray([0, 2], like=x).get().tolist() == [0, 2]


def test_arrays_are_broadcast_as_views(late):
    x, y = late.arange(3.0), late.zeros((2, 1))
    first, second = np.broadcast_arrays(x, y)
    assert first.shape == second.shape == (2, 3)
    assert first.data.ptr == x.data.ptr
    assert second.get().tolist() == np.zeros((2, 3)).tolist()


def test_copies_to_the_host_are_counted():
    with standin.installed() as machine:
        x = importlib.import_module("cupy").zeros(4)
        x.get()
        assert bool((x == 0).all())
        assert machine.downloads == [32, 1]

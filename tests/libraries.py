"""NumPy in the place of CuPy, cuBLAS and cuSOLVER: the same calls, on pointers to host memory."""

import ctypes
from types import SimpleNamespace

import numpy as np


class Pointed(np.ndarray):
    """An array that gives its address the way CuPy's do."""

    @property
    def data(self):
        return SimpleNamespace(ptr=self.ctypes.data)


def _empty(shape, dtype=float):
    return np.full(shape, -1, dtype).view(Pointed)


def _arange(start, stop, step, dtype):
    return np.arange(start, stop, step, dtype=dtype).view(Pointed)


XP = SimpleNamespace(empty=_empty, arange=_arange, uintp=np.uintp, int32=np.int32)


def _memory(pointer, size, kind=ctypes.c_double):
    return np.ctypeslib.as_array((kind * size).from_address(int(pointer)))


def _matrix(pointer, rows, columns, ld):
    """A view (rows, columns) of a column-major matrix whose columns are ld apart."""
    return _memory(pointer, ld * columns).reshape(columns, ld)[:, :rows].T


def _gemm(_, how_a, how_b, m, n, k, alpha, a, lda, step_a, b, ldb, step_b, beta, c, ldc, step_c, N):
    assert _memory(beta, 1)[0] == 0
    for i in range(N):
        left = _matrix(a + 8 * i * step_a, *((k, m) if how_a else (m, k)), lda)
        right = _matrix(b + 8 * i * step_b, *((n, k) if how_b else (k, n)), ldb)
        product = (left.T if how_a else left) @ (right.T if how_b else right)
        _matrix(c + 8 * i * step_c, m, n, ldc)[...] = _memory(alpha, 1)[0] * product


def _potrf(_, uplo, n, pointers, lda, status, count):
    assert uplo == LAPACK_LOWER
    for pointer in _memory(pointers, count, ctypes.c_size_t):
        a = _matrix(pointer, n, n, lda)
        a[np.tril_indices(n)] = np.linalg.cholesky(a)[np.tril_indices(n)]
    _memory(status, count, ctypes.c_int32)[:] = 0


def _potrs(_, uplo, n, columns, factors, lda, rights, ldb, status, count):
    assert (uplo, columns) == (LAPACK_LOWER, 1)
    addresses = (_memory(pointers, count, ctypes.c_size_t) for pointers in (factors, rights))
    for factor, right in zip(*addresses, strict=True):
        lower = np.tril(_matrix(factor, n, n, lda))
        b = _matrix(right, n, columns, ldb)
        b[...] = np.linalg.solve(lower @ lower.T, b)


LAPACK_LOWER = 0

BLAS = SimpleNamespace(
    CUBLAS_OP_N=0,
    CUBLAS_OP_T=1,
    CUBLAS_FILL_MODE_LOWER=LAPACK_LOWER,
    dgemmStridedBatched=_gemm,
)
LAPACK = SimpleNamespace(dpotrfBatched=_potrf, dpotrsBatched=_potrs)

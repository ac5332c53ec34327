"""Batched Cholesky factors and triangular solves, called as CuPy's bindings are."""

import ctypes

import numpy as np
from scipy.linalg import blas, lapack

from emulator.standin.machine import find_memory
from emulator.standin.streams import current_device, current_queue

CUBLAS_FILL_MODE_LOWER, CUBLAS_FILL_MODE_UPPER = 0, 1
CUBLAS_SIDE_LEFT, CUBLAS_SIDE_RIGHT = 0, 1
CUBLAS_OP_N, CUBLAS_OP_T = 0, 1
CUBLAS_DIAG_NON_UNIT, CUBLAS_DIAG_UNIT = 0, 1

_CUSOLVER, _CUBLAS = 0x5000, 0xB000


def get_cusolver_handle():
    return _CUSOLVER + current_device()


def get_cublas_handle():
    return _CUBLAS + current_device()


def dpotrfBatched(handle, uplo, n, Aarray, lda, infoArray, batchSize):  # noqa: N802
    _check(handle, get_cusolver_handle(), lda >= max(n, 1))

    def work():
        info = _at(infoArray, (batchSize,), np.int32)
        for i, address in enumerate(_at(Aarray, (batchSize,), np.uint64)):
            matrix = _matrix(address, n, n, lda)
            factor, told = lapack.dpotrf(matrix, lower=uplo == CUBLAS_FILL_MODE_LOWER, clean=0)
            matrix[...] = factor
            info[i] = told

    _do(work)


def dtrsmBatched(  # noqa: N802
    handle, side, uplo, trans, diag, m, n, alpha, Aarray, lda, Barray, ldb, batchCount
):
    order = m if side == CUBLAS_SIDE_LEFT else n
    _check(handle, get_cublas_handle(), lda >= max(order, 1) and ldb >= max(m, 1))
    factor = ctypes.c_double.from_address(alpha).value

    def work():
        pointers = _at(Aarray, (batchCount,), np.uint64), _at(Barray, (batchCount,), np.uint64)
        for a, b in zip(*pointers, strict=True):
            right = _matrix(b, m, n, ldb)
            right[...] = blas.dtrsm(
                factor,
                _matrix(a, order, order, lda),
                right,
                side=side,
                lower=uplo == CUBLAS_FILL_MODE_LOWER,
                trans_a=trans,
                diag=diag,
            )

    _do(work)


def _do(work):
    """Work at once: only what was queued before it tells which matrices are meant."""
    current_queue().run()
    work()


def _check(handle, own, fits):
    if handle != own:
        raise RuntimeError("the handle is of another library or of another device")
    if not fits:
        raise RuntimeError("INVALID_VALUE: a leading dimension is too small")


def _at(address, shape, dtype):
    memory = find_memory(address)
    return memory.view(shape, dtype, address - memory.address)


def _matrix(address, rows, columns, leading):
    """A matrix stored by columns."""
    stored = _at(int(address), ((columns - 1) * leading + rows,), float)
    strides = stored.itemsize, stored.itemsize * leading
    return np.lib.stride_tricks.as_strided(stored, (rows, columns), strides)

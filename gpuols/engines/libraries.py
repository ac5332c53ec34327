"""Libraries: what cuSOLVER does better than kernels of our own."""

from typing import Any

import numpy as np

from gpuols.engines import device

_LOWER = 0  # CUBLAS_FILL_MODE_LOWER


def factor(matrices: Any) -> Any:
    """Cholesky factors of many matrices, each by itself.

    Parameters
    ----------
    matrices : (B, k, k)
        Lower triangles by columns, on the current device; L takes their place.

    Returns
    -------
    (B,)
        Zero where the factor exists, on the device.
    """
    count, k, _ = matrices.shape
    cupy, cusolver = device.namespace(), device.library("cupy_backends.cuda.libs.cusolver")
    with device.explained("cuSOLVER's potrfBatched"):
        addresses = cupy.arange(count) * (8 * k * k) + matrices.data.ptr
        failed, handle = device.empty((count,), np.int32), cupy.cuda.device.get_cusolver_handle()
        cusolver.dpotrfBatched(handle, _LOWER, k, addresses.data.ptr, k, failed.data.ptr, count)
    return failed

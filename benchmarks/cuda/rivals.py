"""Other ways to fit a batch on the device; each library is imported only where it is asked for.

Unless it says more, a rival gives the coefficients alone. All get X (B, n, k) and y (B, n) in
float64, and share the device's memory with the arrays they are given.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cuda.contenders import Answers, Contender

TORCH_LSTSQ = "torch.linalg.lstsq, gels"


def _torch(name: str, solve: Callable[[Any, Any, Any], Answers]) -> Contender:
    import torch

    def take(X: Any, y: Any) -> tuple[Any, Any]:
        return torch.from_dlpack(X), torch.from_dlpack(y)

    return Contender(name, lambda X, y: solve(torch, X, y), take)


def torch_lstsq(torch: Any, X: Any, y: Any) -> Answers:
    """torch's own least squares."""
    found = torch.linalg.lstsq(X, y[:, :, None], driver="gels")
    return {"params": found.solution[:, :, 0]}


def _torch_factor(torch: Any, X: Any, y: Any) -> tuple[Any, Any, Any]:
    """Cholesky factors, X'y and the coefficients, the last two (B, k, 1)."""
    transposed = X.mT
    right = torch.bmm(transposed, y[:, :, None])
    factor, _ = torch.linalg.cholesky_ex(torch.bmm(transposed, X))
    return factor, right, torch.cholesky_solve(right, factor)


def torch_gram(torch: Any, X: Any, y: Any) -> Answers:
    """The Gram matrices and their Cholesky factors."""
    return {"params": _torch_factor(torch, X, y)[2][:, :, 0]}


def torch_same(torch: Any, X: Any, y: Any) -> Answers:
    """The same with standard errors and sums of squared residuals, the latter from sums."""
    factor, right, params = _torch_factor(torch, X, y)
    ssr = (y * y).sum(dim=1) - (right * params).sum(dim=(1, 2))
    inverse = torch.cholesky_inverse(factor).diagonal(dim1=1, dim2=2)
    variance = ssr / (X.shape[1] - X.shape[2])
    return {"params": params[:, :, 0], "bse": (inverse * variance[:, None]).sqrt(), "ssr": ssr}


def matmul_solve(xp: Any, X: Any, y: Any) -> Answers:
    """Plain array code: two products and one batched solve."""
    transposed = X.transpose(0, 2, 1)
    gram, right = xp.matmul(transposed, X), xp.matmul(transposed, y[:, :, None])
    return {"params": xp.linalg.solve(gram, right)[:, :, 0]}


def gemm_potrf(xp: Any, blas: Any, lapack: Any, handles: tuple[int, int]) -> Callable[..., Answers]:
    """cuBLAS' strided batched GEMM on X as it lies, then cuSOLVER's batched Cholesky.

    A row-major (n, k) array is X' to these libraries. The calls are direct because CuPy's matmul
    would copy X to transpose it.
    """
    one, zero = np.ones(1), np.zeros(1)
    plain, transposed, lower = (
        blas.CUBLAS_OP_N,
        blas.CUBLAS_OP_T,
        blas.CUBLAS_FILL_MODE_LOWER,
    )

    def multiply(X: Any, right: Any, columns: int, how: int, ldb: int) -> Any:
        count, n, k = X.shape
        out = xp.empty((count, columns, k))
        blas.dgemmStridedBatched(
            *(handles[0], plain, how, k, columns, n, one.ctypes.data),
            *(X.data.ptr, k, n * k, right.data.ptr, ldb, n * columns),
            *(zero.ctypes.data, out.data.ptr, k, columns * k, count),
        )
        return out

    def pointers(a: Any) -> Any:
        start, step = a.data.ptr, a.strides[0]
        return xp.arange(start, start + step * len(a), step, dtype=xp.uintp)

    def run(X: Any, y: Any) -> Answers:
        count, n, k = X.shape
        gram, right = multiply(X, X, k, transposed, k), multiply(X, y, 1, plain, n)
        grams, rights = pointers(gram), pointers(right)
        status = xp.empty(count, dtype=xp.int32)
        shape = handles[1], lower, k
        lapack.dpotrfBatched(*shape, grams.data.ptr, k, status.data.ptr, count)
        lapack.dpotrsBatched(
            *shape, 1, grams.data.ptr, k, rights.data.ptr, k, status.data.ptr, count
        )
        return {"params": right[:, 0]}

    return run


def _cupy_libraries(xp: Any, name: str) -> Contender:
    from cupy.cuda import device
    from cupy_backends.cuda.libs import cublas, cusolver

    handles = device.get_cublas_handle(), device.get_cusolver_handle()
    return Contender(name, gemm_potrf(xp, cublas, cusolver, handles))


def _jax(name: str, solve: Callable[[Any], Callable[[Any, Any], Any]]) -> Contender:
    import jax

    jax.config.update("jax_enable_x64", True)
    fit = jax.jit(jax.vmap(solve(jax)))

    def take(X: Any, y: Any) -> tuple[Any, Any]:
        return jax.dlpack.from_dlpack(X), jax.dlpack.from_dlpack(y)

    return Contender(name, lambda X, y: {"params": jax.block_until_ready(fit(X, y))}, take)


def jax_lstsq(jax: Any) -> Callable[[Any, Any], Any]:
    """JAX's least squares of one regression, by SVD."""
    return lambda X, y: jax.numpy.linalg.lstsq(X, y)[0]


def jax_gram(jax: Any) -> Callable[[Any, Any], Any]:
    """The Gram matrix of one regression and its Cholesky factor."""
    from jax.scipy.linalg import cho_factor, cho_solve

    return lambda X, y: cho_solve(cho_factor(X.T @ X), X.T @ y)


def torch_shared(torch: Any, X: Any, y: Any) -> Answers:
    """torch's own least squares of one design."""
    return {"params": torch.linalg.lstsq(X[0], y.mT, driver="gels").solution.mT}


def gemm(xp: Any, X: Any, y: Any) -> Answers:
    """The pseudo-inverse of the design times all responses."""
    return {"params": xp.matmul(y, xp.linalg.pinv(X[0]).T)}


def gemm_same(xp: Any, X: Any, y: Any) -> Answers:
    """The same with standard errors and sums of squared residuals, from sums."""
    inverse = xp.linalg.inv(X[0].T @ X[0])
    right = xp.matmul(y, X[0])
    params = right @ inverse
    ssr = xp.einsum("bn,bn->b", y, y) - (right * params).sum(axis=1)
    variance = ssr / (X.shape[1] - X.shape[2])
    return {"params": params, "bse": xp.sqrt(variance[:, None] * xp.diagonal(inverse)), "ssr": ssr}


Makers = dict[str, Callable[[Any, str], Contender]]

RIVALS: Makers = {
    TORCH_LSTSQ: lambda xp, name: _torch(name, torch_lstsq),
    "torch Gram + Cholesky": lambda xp, name: _torch(name, torch_gram),
    "torch Gram, same outputs": lambda xp, name: _torch(name, torch_same),
    "CuPy matmul + solve": lambda xp, name: Contender(name, lambda X, y: matmul_solve(xp, X, y)),
    "cuBLAS GEMM + cuSOLVER potrf": _cupy_libraries,
    "JAX vmap lstsq": lambda xp, name: _jax(name, jax_lstsq),
    "JAX vmap Gram + Cholesky": lambda xp, name: _jax(name, jax_gram),
}
"""By name: what makes the contender from the namespace of the arrays and its name."""

SHARED: Makers = {
    TORCH_LSTSQ: lambda xp, name: _torch(name, torch_shared),
    "one GEMM, pinv(X) @ Y": lambda xp, name: Contender(name, lambda X, y: gemm(xp, X, y)),
    "one GEMM, same outputs": lambda xp, name: Contender(name, lambda X, y: gemm_same(xp, X, y)),
}
"""The same for responses on one design, X (1, n, k)."""

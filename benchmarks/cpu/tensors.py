"""torch and JAX: their own least squares, and Gram matrices with their Cholesky factors.

Both are written once for both libraries, `xp`. Where regressions share rows under weights or masks,
Gram matrices come of one product with a table of the products of columns.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cpu.answers import Answers
from benchmarks.cpu.data import Batch, Data, Groups, Masked, Shared, Weighted

Kind = type[Data]


def systems(xp: Any, kind: Kind, X: Any, y: Any, weights: Any = None) -> tuple[Any, Any]:
    """Designs (B, n, p) and responses (B, n, m) whose least squares are wanted."""
    if kind is Weighted:
        root = xp.sqrt(weights)
        return root[:, :, None] * X, (root * y)[:, :, None]
    if kind is Masked:
        there = ~xp.isnan(y)
        return xp.where(there.T[:, :, None], X, 0.0), xp.where(there, y, 0.0).T[:, :, None]
    return X, y.reshape(*X.shape[:2], -1)


def grams(xp: Any, kind: Kind, X: Any, y: Any, weights: Any = None) -> tuple[Any, Any]:
    """Gram matrices (B, p, p) and X'y (B, p, m); of a shared design (p, p) and (p, B)."""
    if kind is Batch:
        return X.mT @ X, X.mT @ y.reshape(*X.shape[:2], -1)
    if kind is Shared:
        return X.T @ X, X.T @ y
    p = X.shape[1]
    table = (X[:, :, None] * X[:, None, :]).reshape(-1, p * p)
    if kind is Weighted:
        w, right = weights, weights @ (X * y[:, None])
    else:
        there = ~xp.isnan(y)
        w, right = xp.where(there, xp.ones_like(y), 0.0).T, xp.where(there, y, 0.0).T @ X
    return (w @ table).reshape(-1, p, p), right[:, :, None]


def params(kind: Kind, solution: Any, y: Any) -> Answers:
    """Solutions (B, p, m) as the coefficients are wanted: see `Data`."""
    found = np.asarray(solution)
    if kind is not Shared and not (kind is Batch and y.ndim == 3):
        found = found[:, :, 0]
    return {"params": found.T if kind is Masked else found}


def arrays(data: Data) -> list[Any]:
    """NumPy's arrays of the design, the responses, and weights or keys where there are any."""
    own = [getattr(data, name) for name in ("weights", "keys") if hasattr(data, name)]
    return [data.design, data.y, *own]


def torch_take(data: Data) -> list[Any]:
    """The same as tensors, which share their memory."""
    import torch

    return [torch.from_numpy(a) for a in arrays(data)]


def torch_lstsq(kind: Kind) -> Callable[..., Answers]:
    """torch's own least squares, by QR."""

    def run(X: Any, y: Any, *weights: Any) -> Answers:
        import torch

        pair = (X, y) if kind is Shared else systems(torch, kind, X, y, *weights)
        return params(kind, torch.linalg.lstsq(*pair, driver="gels").solution, y)

    return run


def torch_gram(kind: Kind) -> Callable[..., Answers]:
    """Gram matrices by torch, their Cholesky factors."""

    def run(X: Any, y: Any, *weights: Any) -> Answers:
        import torch

        gram, right = grams(torch, kind, X, y, *weights)
        factor, _ = torch.linalg.cholesky_ex(gram)
        return params(kind, torch.cholesky_solve(right, factor), y)

    return run


def torch_groups(X: Any, y: Any, keys: Any) -> Answers:
    """Products of columns added up by group, then Cholesky factors."""
    import torch

    names, group = torch.unique(keys, return_inverse=True)
    p = X.shape[1]
    columns = torch.cat([X, y[:, None]], dim=1)
    table = (X[:, :, None] * columns[:, None, :]).reshape(-1, p * (p + 1))
    sums = torch.zeros(len(names), p * (p + 1), dtype=X.dtype).index_add_(0, group, table)
    sums = sums.reshape(-1, p, p + 1)
    factor, _ = torch.linalg.cholesky_ex(sums[:, :, :p])
    found = torch.cholesky_solve(sums[:, :, p:], factor)
    return {"keys": names.numpy(), **params(Groups, found, y)}


def jax_take(data: Data) -> list[Any]:
    """The same as JAX's arrays, in double."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return [jax.numpy.asarray(a) for a in arrays(data)]


def jax_lstsq(kind: Kind) -> Callable[..., Answers]:
    """JAX's own least squares, by SVD, mapped over the batch and compiled."""

    def solve(jax: Any, *data: Any) -> Any:
        def one(X: Any, y: Any) -> Any:
            return jax.numpy.linalg.lstsq(X, y)[0]

        if kind is Shared:
            return one(*data)
        return jax.vmap(one)(*systems(jax.numpy, kind, *data))

    return _compiled(kind, solve)


def jax_gram(kind: Kind) -> Callable[..., Answers]:
    """Gram matrices by JAX, their Cholesky factors mapped over the batch, compiled."""

    def solve(jax: Any, *data: Any) -> Any:
        from jax.scipy.linalg import cho_factor, cho_solve

        def one(gram: Any, right: Any) -> Any:
            return cho_solve(cho_factor(gram), right)

        pair = grams(jax.numpy, kind, *data)
        return one(*pair) if kind is Shared else jax.vmap(one)(*pair)

    return _compiled(kind, solve)


def _compiled(kind: Kind, solve: Callable[..., Any]) -> Callable[..., Answers]:
    made: list[Callable[..., Any]] = []

    def run(*data: Any) -> Answers:
        import jax

        if not made:
            made.append(jax.jit(lambda *arrays: solve(jax, *arrays)))
        return params(kind, jax.block_until_ready(made[0](*data)), data[1])

    return run

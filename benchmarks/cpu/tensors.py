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
    """Designs (B, n, p) and responses (B, n, m); a shared design is a batch of one."""
    if kind is Weighted:
        root = xp.sqrt(weights)
        return root[:, :, None] * X, (root * y)[:, :, None]
    if kind is Masked:
        there = ~xp.isnan(y)
        return xp.where(there.T[:, :, None], X, 0.0), xp.where(there, y, 0.0).T[:, :, None]
    if kind is Shared:
        return X[None], y[None]
    return X, y.reshape(*X.shape[:2], -1)


def grams(xp: Any, kind: Kind, X: Any, y: Any, weights: Any = None) -> tuple[Any, Any]:
    """Gram matrices (B, p, p) and X'y (B, p, m); a shared design is a batch of one."""
    if kind is Batch:
        return X.mT @ X, X.mT @ y.reshape(*X.shape[:2], -1)
    if kind is Shared:
        return (X.T @ X)[None], (X.T @ y)[None]
    p = X.shape[1]
    table = (X[:, :, None] * X[:, None, :]).reshape(-1, p * p)
    if kind is Weighted:
        w, right = weights, weights @ (X * y[:, None])
    else:
        there = ~xp.isnan(y)
        w, right = xp.where(there, xp.ones_like(y), 0.0).T, xp.where(there, y, 0.0).T @ X
    return (w @ table).reshape(-1, p, p), right[:, :, None]


def squares(xp: Any, kind: Kind, X: Any, y: Any, weights: Any = None) -> Any:
    """Sums of squares of the responses, weighted, (B, m)."""
    if kind is Batch:
        return (y * y).reshape(*X.shape[:2], -1).sum(1)
    if kind is Weighted:
        return (weights @ (y * y))[:, None]
    filled = y if kind is Shared else xp.where(xp.isnan(y), 0.0, y)
    total = (filled * filled).sum(0)
    return total[None] if kind is Shared else total[:, None]


def shaped(kind: Kind, y: Any, **found: Any) -> Answers:
    """Answers (B, p, m) and (B, m) as they are wanted: see `Data`."""
    if kind is Shared:
        return {name: np.asarray(a[0]) for name, a in found.items()}
    if kind is Batch and y.ndim == 3:
        return {name: np.asarray(a) for name, a in found.items()}
    short = {name: np.asarray(a[..., 0]) for name, a in found.items()}
    return {name: a.T for name, a in short.items()} if kind is Masked else short


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

        own = systems(torch, kind, X, y, *weights)
        return shaped(kind, y, params=torch.linalg.lstsq(*own, driver="gels").solution)

    return run


def torch_gram(kind: Kind) -> Callable[..., Answers]:
    """Gram matrices by torch, their Cholesky factors."""

    def run(*data: Any) -> Answers:
        import torch

        gram, right = grams(torch, kind, *data)
        factor, _ = torch.linalg.cholesky_ex(gram)
        return shaped(kind, data[1], params=torch.cholesky_solve(right, factor))

    return run


def torch_same(kind: Kind) -> Callable[..., Answers]:
    """The same with all other answers, from sums."""

    def run(*data: Any) -> Answers:
        import torch

        own = grams(torch, kind, *data)
        rows = own[0][:, :1, 0] if kind is Masked else data[0].shape[-2]
        return shaped(kind, data[1], **_torch_answers(*own, squares(torch, kind, *data), rows))

    return run


def _torch_answers(gram: Any, right: Any, total: Any, rows: Any) -> dict[str, Any]:
    """All answers from sums, the first column being one of ones; rows are a number, or (B, 1)."""
    import torch

    factor, _ = torch.linalg.cholesky_ex(gram)
    found = torch.cholesky_solve(right, factor)
    spread = torch.cholesky_inverse(factor).diagonal(dim1=1, dim2=2)
    ssr = total - (found * right).sum(1)
    bse = (spread[:, :, None] * (ssr / (rows - gram.shape[1]))[:, None]).sqrt()
    rsquared = 1 - ssr / (total - right[:, 0] ** 2 / gram[:, :1, 0])
    return {"params": found, "bse": bse, "ssr": ssr, "rsquared": rsquared}


def torch_groups(X: Any, y: Any, keys: Any) -> Answers:
    """Products of columns added up by group, then Cholesky factors."""
    import torch

    p = X.shape[1]
    names, sums = _torch_sums(X, torch.cat([X, y[:, None]], dim=1), keys)
    factor, _ = torch.linalg.cholesky_ex(sums[:, :, :p])
    found = torch.cholesky_solve(sums[:, :, p:], factor)
    return {"keys": names, **shaped(Groups, y, params=found)}


def torch_groups_same(X: Any, y: Any, keys: Any) -> Answers:
    """The same with all other answers, from sums."""
    import torch

    p = X.shape[1]
    columns = torch.cat([X, y[:, None]], dim=1)
    names, sums = _torch_sums(columns, columns, keys)
    gram, right, total = sums[:, :p, :p], sums[:, :p, p:], sums[:, p, p:]
    found = _torch_answers(gram, right, total, gram[:, :1, 0])
    return {"keys": names, **shaped(Groups, y, **found)}


def _torch_sums(left: Any, right: Any, keys: Any) -> tuple[Any, Any]:
    """Distinct keys, and the sums (G, p, q) of products of columns by group."""
    import torch

    names, group = torch.unique(keys, return_inverse=True)
    table = (left[:, :, None] * right[:, None, :]).flatten(1)
    sums = torch.zeros(len(names), table.shape[1], dtype=table.dtype).index_add_(0, group, table)
    return names.numpy(), sums.reshape(-1, left.shape[1], right.shape[1])


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

        return jax.vmap(one)(*systems(jax.numpy, kind, *data))

    return _compiled(kind, solve)


def jax_gram(kind: Kind) -> Callable[..., Answers]:
    """Gram matrices by JAX, their Cholesky factors mapped over the batch, compiled."""

    def solve(jax: Any, *data: Any) -> Any:
        return _jax_cholesky(jax, *grams(jax.numpy, kind, *data))

    return _compiled(kind, solve)


def _jax_cholesky(jax: Any, gram: Any, right: Any) -> Any:
    """Solutions (B, p, m) of systems, by Cholesky factors mapped over the batch."""
    from jax.scipy.linalg import cho_factor, cho_solve

    return jax.vmap(lambda own, given: cho_solve(cho_factor(own), given))(gram, right)


def jax_groups(X: Any, y: Any, keys: Any) -> Answers:
    """Products of columns added up by group and solved, compiled.

    The keys are told apart by JAX's own `unique`, before, which takes most of the time.
    """
    import jax

    names, group = jax.numpy.unique(keys, return_inverse=True)
    found = jax.jit(_jax_by_group, static_argnums=3)(X, y, group, len(names))
    return {"keys": np.asarray(names), **shaped(Groups, y, params=jax.block_until_ready(found))}


def _jax_by_group(X: Any, y: Any, group: Any, count: int) -> Any:
    """Solutions (G, p, 1)."""
    import jax

    p = X.shape[1]
    columns = jax.numpy.concatenate([X, y[:, None]], axis=1)
    table = (X[:, :, None] * columns[:, None, :]).reshape(-1, p * (p + 1))
    sums = jax.ops.segment_sum(table, group, num_segments=count).reshape(-1, p, p + 1)
    return _jax_cholesky(jax, sums[:, :, :p], sums[:, :, p:])


def _compiled(kind: Kind, solve: Callable[..., Any]) -> Callable[..., Answers]:
    made: list[Callable[..., Any]] = []

    def run(*data: Any) -> Answers:
        import jax

        if not made:
            made.append(jax.jit(lambda *arrays: solve(jax, *arrays)))
        return shaped(kind, data[1], params=jax.block_until_ready(made[0](*data)))

    return run

"""Who is timed: gpuols in six ways; `benchmarks.cuda.rivals` has the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gpuols
from benchmarks.machine import on_host
from benchmarks.turns import OURS

OURS_INTERCEPT = "gpuols, intercept"
OURS_ACCURATE = "gpuols, accurate"

Answers = dict[str, Any]


def as_they_are(X: Any, y: Any) -> tuple[Any, Any]:
    """The arrays themselves."""
    return X, y


@dataclass(frozen=True)
class Contender:
    """Something that fits a batch.

    Attributes
    ----------
    name : str
        Who.
    run : callable
        Gives answers by name: params (B, p), and bse (B, p), ssr (B,) and others where it has
        them, from arrays as its library wants them; gpuols' whole result beside them.
    take : callable
        Such arrays from X (B, n, k) and y (B, n), outside the time.
    ours : bool
        Whether it is gpuols.
    add_intercept : bool
        Whether it fits an intercept.
    itemsize : int
        Bytes of a value of X and y.
    from_host : bool
        Whether rows and answers are on the host, so that the floor is that of the transfer.
    """

    name: str
    run: Callable[..., Answers]
    take: Callable[[Any, Any], tuple[Any, Any]] = as_they_are
    ours: bool = False
    add_intercept: bool = False
    itemsize: int = 8
    from_host: bool = False


def ours(device: str, shared: bool) -> list[Contender]:
    """gpuols, its answers read where the rows are; groups have no design that they could share."""

    def fit(add_intercept: bool, solver: str = "auto") -> Callable[..., Answers]:
        def run(X: Any, y: Any) -> Answers:
            options = {"add_intercept": add_intercept, "solver": solver}
            return read(gpuols.fit(X, y, device=device, **options))

        return run

    def fit_groups(X: Any, y: Any) -> Answers:
        count, n, k = X.shape
        offsets = np.arange(count + 1) * n
        return read(
            gpuols.fit_groups(X.reshape(-1, k), y.reshape(-1), offsets=offsets, device=device)
        )

    def read(found: gpuols.Result) -> Answers:
        return {
            "params": found.params,
            "bse": found.bse,
            "ssr": found.ssr,
            "error_bound": found.error_bound,
            "status": found.status,
            "result": found,
        }

    def host(X: Any, y: Any) -> tuple[Any, Any]:
        return on_host(X), on_host(y)

    def single(X: Any, y: Any) -> tuple[Any, Any]:
        return X.astype(np.float32), y.astype(np.float32)

    found = [
        Contender(OURS, fit(False), ours=True),
        Contender(OURS_INTERCEPT, fit(True), ours=True, add_intercept=True),
        Contender(OURS_ACCURATE, fit(False, "accurate"), ours=True),
        Contender("gpuols, float32 rows", fit(False), single, ours=True, itemsize=4),
        Contender("gpuols, host to host", fit(False), host, ours=True, from_host=True),
    ]
    return found if shared else [*found, Contender("gpuols, as groups", fit_groups, ours=True)]

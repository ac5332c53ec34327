"""One small regression on the CPU: what a warm fit of it takes, and where that goes."""

import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

import gpuols
from benchmarks.cpu import shares

N, K = 100, 5
GOALS_US = {"cpu:numba": 60.0, "cpu:numpy": 100.0}
"""What one regression of N rows and K coefficients, an intercept among them, is to take, by engine;
its statistics are computed later, when they are first read."""

_NUMBERS = ("params", "bse", "ssr", "rsquared", "error_bound", "status")
_WARM = 20


def _read(result: gpuols.Result) -> None:
    for name in _NUMBERS:
        getattr(result, name)


_STAGES = {
    "check": [
        ("gpuols.fit", "Options"),
        ("gpuols.fit", "read_rows"),
        ("gpuols.call", "read_ridge"),
    ],
    "choose": [("gpuols.call", "_engine_for")],
    "sum": [("gpuols.problems.pipeline", "_reduce")],
    "solve": [("gpuols.problems.pipeline", "answer_moments")],
    "wrap": [("gpuols.call", "wrap")],
    "read": [(__name__, "_read")],
}
_COMPILED = {
    "lay out": [
        ("gpuols.engines.cpu_jit", "_Rows"),
        ("gpuols.engines.cpu_jit", "moments_from"),
        ("gpuols.engines.cpu_jit", "solution_from"),
    ],
    "compiled": [("gpuols.engines.cpu_jit", "fit_some")],
}
"""Functions by module."""


def measure(device: str, times: int) -> dict[str, Any]:
    """Medians of so many fits, in microseconds, and shares of the stages.

    Parameters
    ----------
    device : str
        One of GOALS_US.
    times : int
        Fits of each kind.

    Returns
    -------
    dict
        "fit_us" without and "read_us" with the numbers of the result read; "least_us" of fits
        without; "goal_us"; "shares" of the stages in the latter, "rest" that of what is in none.
    """
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(N, K - 1)), rng.normal(size=N)

    def fit() -> gpuols.Result:
        return gpuols.fit(X, y, add_intercept=True, device=device)

    def read() -> None:
        _read(fit())

    def read_often() -> None:
        for _ in range(times):
            read()

    for _ in range(_WARM):
        read()
    fits, reads = _microseconds(fit, times), _microseconds(read, times)
    found: dict[str, Any] = {"device": device, "goal_us": GOALS_US[device]}
    found |= {"fit_us": statistics.median(fits), "read_us": statistics.median(reads)}
    found["least_us"] = min(fits)
    stages = _STAGES | (_COMPILED if device == "cpu:numba" else {})
    parts = {part: _owned(functions) for part, functions in stages.items()}
    found["shares"] = shares.measure(read_often, parts)
    found["shares"]["rest"] = 1.0 - sum(found["shares"].values())
    return found


def _owned(functions: list[tuple[str, str]]) -> list[tuple[Any, str]]:
    return [(import_module(module), name) for module, name in functions]


def _microseconds(run: Callable[[], Any], times: int) -> list[float]:
    spent = []
    for _ in range(times):
        start = time.perf_counter_ns()
        run()
        spent.append((time.perf_counter_ns() - start) / 1e3)
    return spent

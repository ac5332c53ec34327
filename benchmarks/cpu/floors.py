"""What the processor can do at best, measured in the same run: reading and multiplying."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.floors import gemm, median
from benchmarks.machine import Machine
from benchmarks.timing import attempt
from gpuols.options import threads

HOST = Machine(np, "cpu", lambda: None, lambda: None)
_BLOCK = 2**15
"""Numbers that a thread reads at a time, so that Python's share is small: 256 KiB."""

_TIMES = 3
"""How often a rate is measured: the best one counts, for others may be at work meanwhile."""


def measure(quick: bool) -> dict[str, Any]:
    """Rates by name, in bytes or operations a second, or {"failed": why}."""
    size, side = (2**24, 256) if quick else (2**30, 4096)
    found: dict[str, Any] = {"sizes": {"memory": size, "gemm": side}}
    for name, rate in (("read", lambda: read(size)), ("gemm", lambda: gemm(HOST, side))):
        found[name], why = attempt(lambda rate=rate: max(rate() for _ in range(_TIMES)))
        if why:
            found[name] = {"failed": why}
    return found


def read(size: int) -> float:
    """Bytes a second that all threads read together: the best of two ways to use each number."""
    ones = np.ones(size // 8)
    edges = np.linspace(0, len(ones), threads() + 1).astype(int)
    parts = [ones[first:last] for first, last in pairwise(edges.tolist())]

    def squares(part: Any) -> None:
        for start in range(0, len(part), _BLOCK):
            block = part[start : start + _BLOCK]
            np.dot(block, block)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads()) as pool:
        ways = (squares, np.max)
        seconds = [median(HOST, lambda way=way: list(pool.map(way, parts))) for way in ways]
    return size / min(seconds)

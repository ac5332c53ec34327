"""How gpuols' time grows with the number of regressions, and with their coefficients."""

import statistics
from typing import Any

import numpy as np

import gpuols
from benchmarks.cpu.cases import Case
from benchmarks.cpu.data import Batch
from benchmarks.cpu.floors import HOST
from benchmarks.cpu.rivals import read
from benchmarks.floors import floor_s
from benchmarks.timing import timed

_ROWS, _COEFFICIENTS = 60, 4
_TALL, _MANY = 512, 500
_LARGE = 100_000


def measure(device: str, floors: dict[str, Any], rounds: int, quick: bool) -> dict[str, Any]:
    """Two series, "regressions" and "coefficients": sizes, operations, floor and median seconds.

    Regressions: 100 to 1,000,000 of 60 rows and 4 coefficients. Coefficients: 2 to 128 of 500
    regressions of 512 rows.
    """
    counts = (100, 1_000) if quick else (100, 1_000, 10_000, 100_000, 1_000_000)
    widths = (2, 4) if quick else (2, 4, 8, 16, 32, 64, 128)
    many = 10 if quick else _MANY
    series = {
        "regressions": [Case("S", Batch, count, _ROWS, _COEFFICIENTS) for count in counts],
        "coefficients": [Case("S", Batch, many, _TALL, p) for p in widths],
    }
    return {
        name: [_time(case, device, floors, rounds) for case in cases]
        for name, cases in series.items()
    }


def _time(case: Case, device: str, floors: dict[str, Any], rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    slopes = rng.standard_normal((case.count, case.n, case.p - 1))
    y = rng.standard_normal((case.count, case.n))

    def fit() -> None:
        read(gpuols.fit(slopes, y, add_intercept=True, device=device))

    fit()
    times = rounds if case.count <= _LARGE else min(rounds, 3)
    return {
        **{"count": case.count, "n": case.n, "p": case.p, "rounds": times},
        "flops": case.flops(),
        "floor_s": floor_s(floors, case.bytes(), case.flops()),
        "seconds": statistics.median(timed(fit, HOST.wait)[0] for _ in range(times)),
    }

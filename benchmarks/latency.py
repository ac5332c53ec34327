"""Host time of small fits: ``python -m benchmarks.latency [--device cpu:numba]``.

A warm `gpuols.fit` on arrays that are on a CUDA device already: the median of many calls, each
ended by the copy of a number that every fit waits for, and then where the host's time goes,
function by function, by Python's profiler (which makes each call about twice as long). The goal is
60 us. On the CPU, with ``--device``: one regression of 100 x 5, without and with the numbers of the
result read, and the share of each stage (`benchmarks.cpu.alone`); ``--out`` writes them as JSON.
"""

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import gpuols
from benchmarks import choice, record
from benchmarks.cpu import alone
from benchmarks.cuda.machine import missing
from gpuols.engines import device

GOAL_US = 60.0
CASES = (
    ("one of 60 x 4", (1, 60, 4)),
    ("100 of 60 x 4", (100, 60, 4)),
    ("10 of 1000 x 8", (10, 1000, 8)),
)
_TIMES = 1000
_SHOWN = 25


def main(arguments: list[str] | None = None) -> None:
    """Print the times, and where they go."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--device", choices=("cuda", *alone.GOALS_US), default="cuda")
    parser.add_argument("--out", type=choice.new_file, help="JSON file of the figures of a CPU")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda":
        _measure_on_device()
    else:
        _measure_on_cpu(chosen.device, chosen.out)


def _measure_on_cpu(device: str, out: Path | None) -> None:
    found = alone.measure(device, _TIMES)
    print(f"one of {alone.N} x {alone.K} on {device}, gpuols {gpuols.__version__}")
    goal = f"goal {found['goal_us']:.0f}"
    verdict = "met" if found["fit_us"] <= found["goal_us"] else "missed"
    print(f"{found['fit_us']:8.1f} us a call, {goal}: {verdict}; {found['least_us']:.1f} at least")
    print(f"{found['read_us']:8.1f} us with its numbers read, of which")
    for stage, share in found["shares"].items():
        print(f"{share:8.0%} {stage}")
    if out is not None:
        record.write(out, {**record.machine(), **found})


def _measure_on_device() -> None:
    """Times of the cases, and the profile of the first one."""
    if reason := missing():
        print(f"no CUDA device to measure on: {reason}", file=sys.stderr)
        sys.exit(2)
    print(f"{device.find(0).name}, gpuols {gpuols.__version__}, goal {GOAL_US:.0f} us a call")
    for name, shape in CASES:
        X, y = _rows(*shape)
        print(f"{name:<16} {_median_us(X, y):8.1f} us a call")
    X, y = _rows(*CASES[0][1])
    profile = cProfile.Profile()
    profile.runcall(_repeat, X, y)
    pstats.Stats(profile, stream=sys.stdout).sort_stats("cumulative").print_stats(_SHOWN)


def _rows(count: int, n: int, k: int):
    rng = np.random.default_rng(0)
    with device.on(0):
        return device.upload(rng.normal(size=(count, n, k))), device.upload(
            rng.normal(size=(count, n))
        )


def _repeat(X, y) -> list[float]:
    """Seconds of each of many calls."""
    seconds = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        gpuols.fit(X, y)
        seconds.append(time.perf_counter() - start)
    return seconds


def _median_us(X, y) -> float:
    gpuols.fit(X, y)
    return 1e6 * statistics.median(_repeat(X, y))


if __name__ == "__main__":
    main()

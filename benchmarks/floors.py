"""What a machine can do at best, as far as a CPU and a device are asked in the same way."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.machine import Machine
from benchmarks.timing import timed

_ROUNDS = 7


def gemm(machine: Machine, side: int) -> float:
    """Operations a second of one product of square matrices in float64.

    The values are random: with simpler ones a device draws less power and may run faster.
    """
    xp = machine.xp
    a = xp.random.default_rng(0).standard_normal((side, side))
    out = xp.empty_like(a)
    return 2 * side**3 / median(machine, lambda: xp.matmul(a, a, out=out))


def median(machine: Machine, work: Callable[[], Any]) -> float:
    """Seconds, after one run that is not counted."""
    work()
    return statistics.median(timed(work, machine.wait)[0] for _ in range(_ROUNDS))


def floor_s(floors: dict[str, Any], size: int, flops: int) -> float | None:
    """Least seconds to read the rows and do the arithmetic, or None where a rate is missing."""
    rates = floors["read"], floors["gemm"]
    if not all(isinstance(rate, float) for rate in rates):
        return None
    return max(size / rates[0], flops / rates[1])

"""Bounds: what numbers are worth, lane by lane, as `gpuols.numerics.bound` says."""

import numpy as np

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import Lanes, Mask, choose, every, log_up, root, size
from gpuols.numerics.bound import BLOCK, LARGEST, PIECE, UNIT


@compiled
def larger(a: Lanes, b: Lanes) -> Lanes:
    """The larger one; what is not a number counts as infinity."""
    a = choose(a == a, a, every(np.inf))
    b = choose(b == b, b, every(np.inf))
    return choose(a > b, a, b)


@compiled
def smaller(a: Lanes, b: Lanes) -> Lanes:
    """The smaller one of two numbers."""
    return choose(a < b, a, b)


@compiled
def quotient(a: Lanes, b: Lanes) -> Lanes:
    """A / b, infinite where b is not above zero."""
    return choose(b > 0.0, a / b, every(np.inf))


@compiled
def relative(error: Lanes, number: Lanes, se: Lanes) -> Lanes:
    """An error in units of max(|number|, standard error); a zero known to be zero is exact."""
    own = size(number)
    unit = choose((own >= se) | ~(se == se), own, se)
    nothing = choose(se == 0.0, every(0.0), every(np.inf))
    return choose(unit == 0.0, nothing, error / unit)


@compiled
def in_range(a: Lanes) -> Mask:
    """Whether sums of squares are far enough from overflow and underflow to be trusted."""
    return (a > 1.0 / LARGEST) & (a < LARGEST)


@compiled
def is_finite(a: Lanes) -> Mask:
    """Whether numbers are."""
    return a - a == 0.0


@compiled
def gamma_of(rows: Lanes) -> Lanes:
    """Rounding error of the sums of so many rows, as `gpuols.numerics.bound.gamma`."""
    some = larger(rows, every(1.0))
    run, piece = every(float(BLOCK)), every(float(PIECE))
    longest = smaller(some, run) + log_up(larger(some / run, every(1.0)))
    return (4.0 + root(smaller(some, piece)) + longest / 4.0) * UNIT

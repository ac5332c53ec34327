"""Doubled: unevaluated sums high + low of about 106 bits, lane by lane.

To the bit those of `gpuols.numerics.doubledouble` and, where a product is added to a sum, of
`gpuols.numerics.compensated`: a fused multiplication leaves what splitting a product leaves, unless
that is below 2^-1022, where both lose digits.

Many numbers lie in an array (2 r, 8): high parts of one in a row, low parts in the next.

Source: Knuth, The Art of Computer Programming 2, 4.2.2; Dekker (1971); Hida, Li & Bailey (2001),
Algorithms for quad-double precision floating point arithmetic.
"""

from typing import Any, TypeAlias

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import Lanes, every, fma, root
from gpuols.engines.jit.memory import load, store
from gpuols.engines.jit.sources import Array

Pair: TypeAlias = Any
"""A high and a low part, lanes each."""


@compiled
def pair(numbers: Array, at: int) -> Pair:
    """High and low part in neighbouring rows."""
    return load(numbers, at), load(numbers, at + 1)


@compiled
def keep(numbers: Array, at: int, value: Pair) -> None:
    """Write high and low part to neighbouring rows."""
    store(numbers, at, value[0])
    store(numbers, at + 1, value[1])


@compiled
def two_sum(a: Lanes, b: Lanes) -> Pair:
    """Sum and its exact rounding error."""
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


@compiled
def fast_two_sum(a: Lanes, b: Lanes) -> Pair:
    """Sum and its exact rounding error where abs(a) >= abs(b)."""
    total = a + b
    return total, b - (total - a)


@compiled
def two_product(a: Lanes, b: Lanes) -> Pair:
    """Product and its exact rounding error."""
    product = a * b
    return product, fma(a, b, -product)


@compiled
def add(a: Pair, b: Pair) -> Pair:
    """Sum, accurate also where the two cancel."""
    high, high_error = two_sum(a[0], b[0])
    low, low_error = two_sum(a[1], b[1])
    high, low = fast_two_sum(high, high_error + low)
    return fast_two_sum(high, low + low_error)


@compiled
def subtract(a: Pair, b: Pair) -> Pair:
    """Difference."""
    return add(a, (-b[0], -b[1]))


@compiled
def multiply(a: Pair, b: Pair) -> Pair:
    """Product."""
    product, error = two_product(a[0], b[0])
    return fast_two_sum(product, error + (a[0] * b[1] + a[1] * b[0]))


@compiled
def weighted(weight: Lanes, a: Pair) -> Pair:
    """Product with a number that has no low part."""
    product, error = two_product(weight, a[0])
    return fast_two_sum(product, error + weight * a[1])


@compiled
def add_product(total: Pair, a: Pair, b: Pair) -> Pair:
    """Sum and a product, both of whose low parts count."""
    product, error = two_product(a[0], b[0])
    error = ((error + a[0] * b[1]) + a[1] * b[0]) + total[1]
    high, rest = two_sum(total[0], product)
    return fast_two_sum(high, error + rest)


@compiled
def divide(a: Pair, b: Pair) -> Pair:
    """Quotient, by long division in three steps."""
    first, nothing = a[0] / b[0], every(0.0)
    rest = subtract(a, multiply(b, (first, nothing)))
    second = rest[0] / b[0]
    rest = subtract(rest, multiply(b, (second, nothing)))
    return add(fast_two_sum(first, second), (rest[0] / b[0], nothing))


@compiled
def square_root(a: Pair) -> Pair:
    """Root of a positive number: one Newton step from that of its high part."""
    near = root(a[0])
    rest = subtract(a, two_product(near, near))
    return fast_two_sum(near, rest[0] / (2.0 * near))

"""Double-double arithmetic on arrays: an unevaluated sum hi + lo of about 106 bits.

Every function works elementwise on broadcastable float64 arrays and so never mixes problems.
Products are split after Veltkamp, since NumPy has no fused multiply-add; the splitting
overflows above 2^995, where callers have scaled or given up before.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[Array, Array]

_SPLIT = 2.0**27 + 1.0


def two_sum(a: Array, b: Array) -> Pair:
    """Sum and its exact rounding error.

    Source: Knuth, The Art of Computer Programming 2, 4.2.2, theorem B.
    """
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def fast_two_sum(a: Array, b: Array) -> Pair:
    """Sum and its exact rounding error where abs(a) >= abs(b).

    Source: Dekker (1971), A floating-point technique for extending the available precision.
    """
    total = a + b
    return total, b - (total - a)


def two_prod(a: Array, b: Array) -> Pair:
    """Product and its exact rounding error.

    Source: Dekker (1971), with Veltkamp's splitting.
    """
    product = a * b
    a_hi, a_lo = split(a)
    b_hi, b_lo = split(b)
    return product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo


def split(a: Array) -> Pair:
    """Two halves of 26 bits whose sum is the number.

    Source: Veltkamp (1968); Dekker (1971).
    """
    scaled = _SPLIT * a
    high = scaled - (scaled - a)
    return high, a - high


def add(a: Pair, b: Pair) -> Pair:
    """Sum of two double-doubles, accurate also where they cancel."""
    high, high_error = two_sum(a[0], b[0])
    low, low_error = two_sum(a[1], b[1])
    high, low = fast_two_sum(high, high_error + low)
    return fast_two_sum(high, low + low_error)


def subtract(a: Pair, b: Pair) -> Pair:
    """Difference of two double-doubles."""
    return add(a, (-b[0], -b[1]))


def multiply(a: Pair, b: Pair) -> Pair:
    """Product of two double-doubles."""
    product, error = two_prod(a[0], b[0])
    return fast_two_sum(product, error + (a[0] * b[1] + a[1] * b[0]))


def divide(a: Pair, b: Pair) -> Pair:
    """Quotient of two double-doubles, by long division in three steps."""
    first = a[0] / b[0]
    rest = subtract(a, multiply(b, exact(first)))
    second = rest[0] / b[0]
    rest = subtract(rest, multiply(b, exact(second)))
    high, low = fast_two_sum(first, second)
    return add((high, low), exact(rest[0] / b[0]))


def sqrt(a: Pair) -> Pair:
    """Square root of a positive double-double: one Newton step from the root of its high part.

    Source: Karp & Markstein (1997), High-precision division and square root.
    """
    root = np.sqrt(a[0])
    rest = subtract(a, two_prod(root, root))
    return fast_two_sum(root, rest[0] / (2.0 * root))


def exact(a: Array) -> Pair:
    """Numbers without a low part."""
    return a, np.zeros_like(a)


def each(change: Callable[[Array], Any], a: Pair) -> Pair:
    """Both parts changed by one function that rounds nothing."""
    return change(a[0]), change(a[1])


def take(a: Pair, where: Any) -> Pair:
    """Part of the arrays of a pair."""
    return a[0][where], a[1][where]


def where(condition: NDArray[np.bool_], a: Pair, b: float = 0.0) -> Pair:
    """Elements of a where a condition holds, else a constant."""
    return np.where(condition, a[0], b), np.where(condition, a[1], 0.0)


def put(a: Pair, where: Any, value: Pair) -> None:
    """Write a pair into part of the arrays of another."""
    a[0][where], a[1][where] = value


def total(a: Pair) -> Pair:
    """Sum over the first axis, one term after another."""
    result = np.zeros(a[0].shape[1:]), np.zeros(a[0].shape[1:])
    for high, low in zip(*a, strict=True):
        result = add(result, (high, low))
    return result


def fold(a: Pair) -> Pair:
    """Sum over the last axis, by halving it."""
    while (size := a[0].shape[-1]) > 1:
        half = size // 2
        joined = add(take(a, (..., slice(half))), take(a, (..., slice(size - half, None))))
        if size % 2:
            middle = take(a, (..., slice(half, half + 1)))
            high, low = (
                np.concatenate(parts, axis=-1) for parts in zip(joined, middle, strict=True)
            )
            joined = high, low
        a = joined
    return take(a, (..., 0))


def matmul(a: Pair, c: Pair) -> Pair:
    """Matrix products over the first two axes, (j, k, ...) by (k, m, ...): (j, m, ...)."""
    (j, k, *rest), (_, m, *others) = a[0].shape, c[0].shape
    shape = j, m, *np.broadcast_shapes(tuple(rest), tuple(others))
    result = np.zeros(shape), np.zeros(shape)
    for h in range(k):
        left, right = take(a, (slice(None), h, None)), take(c, (h, None))
        result = add(result, multiply(left, right))
    return result

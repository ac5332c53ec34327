"""Double-double arithmetic on arrays: an unevaluated sum hi + lo of about 106 bits.

Every function works elementwise on broadcastable float64 arrays and so never mixes problems.
Products are split after Veltkamp, since NumPy has no fused multiply-add; the splitting
overflows above 2^995, where callers have scaled or given up before.
"""

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
    a_hi, a_lo = _split(a)
    b_hi, b_lo = _split(b)
    return product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo


def _split(a: Array) -> Pair:
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
    rest = subtract(a, multiply(b, _single(first)))
    second = rest[0] / b[0]
    rest = subtract(rest, multiply(b, _single(second)))
    high, low = fast_two_sum(first, second)
    return add((high, low), _single(rest[0] / b[0]))


def _single(a: Array) -> Pair:
    return a, np.zeros_like(a)

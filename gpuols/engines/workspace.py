"""Buffers that one thread fills again and again, and sums that grow as trees."""

import math
from collections.abc import Callable
from ctypes import addressof, c_char
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Arrays = tuple[Array, ...]

_ALIGNMENT = 64
LINE = _ALIGNMENT // 8  # doubles of a line of the cache


class Workspace:
    """Named, 64-byte aligned scratch arrays of one thread; the first touch of memory is slow."""

    def __init__(self) -> None:
        self._buffers: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Array:
        """Scratch array of a shape, C order, with whatever it held before."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = aligned((size,))
        return buffer[:size].reshape(shape)

    def room(self, sizes: tuple[int, ...]) -> tuple[Array, NDArray[np.int64]]:
        """Scratch memory for parts of so many numbers, on lines of the cache, and their starts."""
        size, starts = _laid_out(sizes)
        return self.array("room", (size,)), starts


def aligned(shape: tuple[int, ...]) -> Array:
    """Float64 array, C order, on a cache-line boundary, with whatever the memory held before."""
    size = math.prod(shape)
    memory: Any = np.empty(size + LINE)
    first = addressof(c_char.from_buffer(memory))  # in a third of the time of `memory.ctypes.data`
    start = (-first % _ALIGNMENT) // 8
    array: Array = memory[start : start + size].reshape(shape)
    return array


def zeros(*shape: int) -> Array:
    """Zeros, C order, on a cache-line boundary."""
    array = aligned(shape)
    array[...] = 0.0
    return array


@lru_cache
def _laid_out(sizes: tuple[int, ...]) -> tuple[int, NDArray[np.int64]]:
    """Numbers that parts of these sizes take up, on lines of the cache, and where they begin."""
    ends = np.cumsum([-(-size // LINE) * LINE for size in sizes], dtype=np.int64)
    return int(ends[-1]), np.concatenate([[0], ends[:-1]])


class TreeSum:
    """Sum of a sequence of arrays as a balanced tree; its shape depends on their number alone.

    Parameters
    ----------
    plus : callable, optional
        Adds two terms, instead of array by array.
    """

    def __init__(self, plus: Callable[[Arrays, Arrays], Arrays] | None = None) -> None:
        self._plus = plus or _plus
        self._partial: list[tuple[int, Arrays]] = []

    def add(self, *arrays: Array) -> None:
        """Append one term, given as several arrays that are summed alike."""
        level = 0
        while self._partial and self._partial[-1][0] == level:
            arrays = self._plus(self._partial.pop()[1], arrays)
            level += 1
        self._partial.append((level, arrays))

    def total(self) -> Arrays:
        """Sum of all terms."""
        _, result = self._partial.pop()
        while self._partial:
            result = self._plus(self._partial.pop()[1], result)
        return result


def _plus(a: Arrays, b: Arrays) -> Arrays:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def fold(a: Array, axis: int) -> Array:
    """Sum over one axis by halving it, elementwise, so that no other axis matters to the bits.

    Parameters
    ----------
    a : (..., r, ...)
        Terms; overwritten.
    axis : int
        The axis to sum over.

    Returns
    -------
    (..., ...)
        The sum, without that axis; it lies in the memory of `a`.
    """
    a = a.swapaxes(0, axis)
    while (size := len(a)) > 1:
        half = size // 2
        a[:half] += a[size - half :]
        a = a[: size - half]
    return np.asarray(a.swapaxes(0, axis).take(0, axis))

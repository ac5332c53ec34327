"""Premise: what follows from a design that responses share, for kernels that answer to them.

The design is factored in host memory, in double-double where that was asked for. What is left for
each response is a few products with its moments (kernels/responses.cuh).
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.answers import Answers, answer, means, reach_mean
from gpuols.engines.choice import Choice
from gpuols.engines.design import Design
from gpuols.engines.solve import are_given, is_sound, to_lanes
from gpuols.engines.trust import error_of_variances, has_rank, in_range
from gpuols.moments import Moments
from gpuols.numerics import bound

Array = NDArray[np.float64]

# Bits, as in kernels/responses.cuh.
_SOUND, _LOST, _KNOWN, _TRUSTED, _FEW, _DEFICIENT, _INTERCEPT, _WITHHELD, _SHORTEST = (
    1 << bit for bit in range(9)
)


@dataclass(frozen=True, eq=False)
class Premise:
    """What kernels need to know of a design of k columns, in panels of 8 times `tiles`.

    Attributes
    ----------
    numbers : (entries,)
        Scalars, the vectors of each panel and square matrices, block by block.
    flags : int
        What is true of it.
    """

    numbers: Array
    flags: int

    @property
    def is_choice(self) -> bool:
        """Whether columns are redundant and the shortest of all solutions is wanted."""
        return bool(self.flags & _SHORTEST)

    @classmethod
    def of(cls, moments: Moments, design: Design, *, tiles: int, singular: str) -> Self:
        """Premise of a design.

        Parameters
        ----------
        moments : Moments
            Of the design alone, L = (), m = 0, in double.
        design : Design
            From `factor_design`.
        tiles : int
            Width of a panel over 8.
        singular : str
            What redundant columns get.

        Returns
        -------
        Premise
            The same.
        """
        with np.errstate(all="ignore"):
            lanes, k = to_lanes(moments), moments.k
            found = answer(lanes, k, design, shared=True)
            scalars, vectors = _numbers(lanes, k, design, found, singular)
            squares = [-design.lower, -design.lower.swapaxes(0, 1)]
            squares += [design.inverse, design.inverse.swapaxes(0, 1)]
            if design.shortest is not None:
                squares.append(design.shortest.projection[0])
            parts = [scalars, _panels(vectors, tiles)]
            parts += [_blocks(square[:, :, 0], tiles) for square in squares]
            return cls(np.concatenate(parts), _flags(lanes, k, design, found, singular))


def _numbers(
    lanes: Moments, k: int, design: Design, found: Answers, singular: str
) -> tuple[Array, Array]:
    """Scalars (10,) and vectors (11, k)."""
    none, free = np.zeros((k, 1)), int(lanes.centered)
    center, doubt, exponents = none, np.zeros(1), np.zeros((k, 1), np.int64)
    of_level = of_errors = np.zeros(1)
    reach, variance = (np.append(part, 1.0)[:1] for part in (found.reach, found.variance))
    if free:
        center = reach_mean(lanes, k, design, means(lanes)[0])[0][:, 0]
    if design.shortest is not None:
        choice = Choice.of(lanes, k, design, design.shortest, found.variance)
        doubt, exponents = design.shortest.doubt, design.shortest.exponents
        of_level, of_errors = choice.of_level, choice.of_errors
    scalars = [
        lanes.sumw,
        found.df,
        bound.gamma(lanes.nobs),
        design.leverage,
        error_of_variances(lanes, k, design, found),
        reach,
        variance,
        doubt,
        of_errors,
        of_level,
    ]
    vectors = [
        lanes.anchor,
        lanes.sumw * lanes.mean if free else none,
        design.scale * design.kept,
        design.scale,
        design.penalty,
        lanes.raw * design.scale**2,
        np.sqrt(design.spread),
        np.sqrt(design.variance),
        center,
        are_given(design, singular, free)[free:],
        exponents,
    ]
    return np.concatenate(scalars), np.stack([vector[:, 0] for vector in vectors])


def _flags(lanes: Moments, k: int, design: Design, found: Answers, singular: str) -> int:
    df = found.df[0]
    known, ranked = design.solved & ~(found.df < 0), has_rank(lanes, k, design)
    if design.precise is not None:
        known, ranked = known & (lanes.nobs > 0), np.ones(1, bool)
    free = int(lanes.centered)
    flags: dict[int, Any] = {
        _SOUND: is_sound(lanes, k),
        _LOST: np.isnan(lanes.raw).any(),
        _KNOWN: known,
        _TRUSTED: design.solved & ranked & in_range(lanes, k, design),
        _FEW: df <= 0,
        _DEFICIENT: design.slopes < k,
        _INTERCEPT: free,
        _WITHHELD: free and not are_given(design, singular, free)[0],
        _SHORTEST: design.shortest is not None,
    }
    return sum(flag for flag, here in flags.items() if here)


def _panels(vectors: Array, tiles: int) -> Array:
    """Vectors (v, k), padded with zeros, panel by panel."""
    padded = _padded(vectors, (0, 1), tiles)
    return padded.reshape(len(vectors), -1, 8 * tiles).swapaxes(0, 1).reshape(-1)


def _blocks(square: Array, tiles: int) -> Array:
    """Square matrix (k, k), padded with zeros, block by block as `multiply` of panels.cuh reads it.

    Entry (8 t + r, 8 f + 2 c + h) of a block is at place ((2 f + h) tiles + t) 32 + 4 r + c.
    """
    padded = _padded(square, (1, 1), tiles)
    cut = padded.reshape(-1, tiles, 8, len(padded) // (8 * tiles), tiles, 4, 2)
    return cut.transpose(0, 3, 4, 6, 1, 2, 5).reshape(-1)


def _padded(array: Array, axes: tuple[int, int], tiles: int) -> Array:
    width, k = 8 * tiles, array.shape[1]
    more = max(width, -(-k // width) * width) - k
    return np.pad(np.asarray(array, np.float64), [(0, more * axis) for axis in axes])

"""Holding: what a result is made of, where that lies, and how its numbers are handed out.

Inside, arrays have an axis of responses and are NumPy's or, on a device, CuPy's; what is handed
out has the caller's kind of array, without that axis where y came without it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols import arrays, units
from gpuols.engines.solution import Solution
from gpuols.engines.transfer import at, to_host
from gpuols.lazy import lazy
from gpuols.moments import Moments
from gpuols.places import CPU
from gpuols.records import changed
from gpuols.refined import Refined

Array = NDArray[Any]
Keys = Array | tuple[Array, ...] | None


def held(function: Callable[[Any], Any]) -> lazy[Any]:
    """Property that finds an array of the plain result and hands out the caller's kind."""
    name = function.__name__

    def get(self: "Holding") -> Any:
        plain = self._plain
        if plain is not self:
            with self._there():
                return self._give(getattr(plain, name))
        part = self._moments
        if part.units is None or name not in units.SCALED:
            return function(self)
        value = getattr(self._in_units, name)
        with np.errstate(all="ignore"), self._there():
            return units.scale_back(name, value, part.units, part.m, self._intercept)

    get.__doc__ = function.__doc__
    return lazy(get)


def statistic(function: Callable[[Any], Any]) -> lazy[Any]:
    """Property that computes an array of the plain result and hands out the caller's kind."""

    @wraps(function)
    def compute(self: "Holding") -> Any:
        with np.errstate(all="ignore"), self._there():
            return function(self)

    return held(compute)


@dataclass(frozen=True, eq=False, repr=False)
class Holding:
    """What is known of the regressions of a batch of shape L, p coefficients, m responses each.

    Attributes
    ----------
    engine : str
        The engine that ran, e.g. "cpu:numpy".
    terms : tuple of str
        Names of the p coefficients, the intercept first.
    keys : array, tuple of arrays or None
        Key of each group, where there were groups.
    kind : str
        Kind of array handed out: "numpy", "torch" or "jax"; on a device "cupy", "torch" or "jax".
    single : bool
        Whether y came without an axis of responses.
    tol : float
        Largest error bound that was called OK.
    singular : str
        What redundant columns got.
    apart : bool
        Whether every response has rows of its own: then moments and solution are those of a
        batch of shape L+(m,), of one response each, handed out as if they shared a design.
    place : str
        Where the moments and the solution are, and what is handed out: "cpu" or "cuda:N".
    by : tuple of str
        Names of the keys, where they are columns of a frame.
    frame : str or None
        Library of the data frame that came in, where one did.
    key_frame, key_rows : data frame or None, (G,) or None
        Keys as they were in that frame, and the row of each; not kept in a file.
    rows_dropped : int
        Rows of that frame that are in no regression, because a value of theirs is missing.
    """

    engine: str
    terms: tuple[str, ...]
    keys: Keys
    kind: str
    single: bool
    tol: float
    singular: str
    _moments: Moments
    _solution: Solution
    _ridge: Array
    apart: bool = False
    _refined: Refined | None = None
    place: str = CPU
    by: tuple[str, ...] = ()
    frame: str | None = None
    key_frame: Any = None
    key_rows: Any = None
    rows_dropped: int = 0

    @lazy
    def _plain(self) -> Self:
        """Arrays as moments and solution have them, with an axis of responses."""
        if not self.apart:
            return self._shown
        return changed(self, kind=arrays.NUMPY, apart=False)

    @lazy
    def _shown(self) -> Self:
        """Arrays as they are handed out but for their kind, with an axis of responses."""
        if self.kind == arrays.NUMPY and not self.single:
            return self
        return changed(self, kind=arrays.NUMPY, single=False)

    @lazy
    def _in_units(self) -> Self:
        """The same regressions, with columns, responses and weights in the moments' own units."""
        return changed(self, _moments=changed(self._moments, units=None))

    @lazy
    def _on_host(self) -> Self:
        """The same in host memory, for what is not computed on a device."""
        if self.place == CPU:
            return self
        with self._there():
            return changed(
                self,
                kind=arrays.NUMPY,
                place=CPU,
                _moments=self._moments.map(to_host),
                _solution=self._solution.map(to_host),
                _refined=self._refined and self._refined.map(to_host),
            )

    def __getstate__(self) -> dict[str, Any]:
        """Pickled, a result on a device is one on the host, of NumPy arrays."""
        return self._on_host._fields

    @property
    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __copy__(self) -> Self:
        """One that shares all arrays, where they are."""
        return changed(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """One that shares nothing, where this one is."""
        return changed(self, **deepcopy(self._fields, memo))

    def _there(self) -> AbstractContextManager[None]:
        """Context to work in where the arrays are, on the stream of whose they are."""
        return at(self.place, self.kind)

    def _give(self, array: Any, axis: int = -1) -> Any:
        """Hand out an array of `_plain` whose `axis` counts responses."""
        if self.apart:
            last = len(self._moments.batch)
            with self._there():
                array = np.moveaxis(_only(array, axis), last, axis)
            return arrays.give(array, self.kind, self.place)
        return self._hand(array, axis)

    def _hand(self, array: Any, axis: int = -1) -> Any:
        """Hand out an array of `_shown` whose `axis` counts responses."""
        if self.single:
            with self._there():
                array = _only(array, axis)
        return arrays.give(array, self.kind, self.place)

    def _by_response(self, array: Any) -> Any:
        return np.broadcast_to(array[..., None], self._solution.ssr.shape)

    @property
    def _intercept(self) -> int:
        return int(self._moments.centered)


def _only(array: Any, axis: int) -> Any:
    """What an array holds of its only response, which `axis` counts from the end; a view."""
    if not array.shape[axis]:
        return array.take(0, axis=axis)  # of no regressions
    return array[(..., 0, *[slice(None)] * (-1 - axis))]

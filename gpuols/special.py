"""Special functions, SciPy's on the host and CuPy's on a device.

SciPy is imported when it is first needed, for it takes longer to import than all the rest.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device
from gpuols.places import CPU, place_of

Array = NDArray[np.float64]


def beta_tail(odds: Any, a: Any, b: Any) -> Any:
    """Compute I_x(a, b) at x = 1/(1 + odds).

    The incomplete beta function is asked for the side whose argument is at most one half, so that
    neither x nor 1 - x is formed by cancellation. On a device, where its complement can't be had,
    that side is left where the difference from one would cancel: there the rounding of x makes an
    error of a relative size of a/2⁵³.

    Parameters
    ----------
    odds, a, b : A, B, C
        Not negative, and positive; all NumPy arrays or all CuPy arrays on the current device.

    Returns
    -------
    A, B and C broadcast
        The same kind of array.

    Source: DLMF 8.17.2, 8.17.4.
    """
    odds, a, b = np.broadcast_arrays(odds, a, b)
    tail = (_host_tail if place_of(odds) == CPU else _device_tail)(odds, a, b)
    arcsine = (a == 0.5) & (b == 0.5)  # SciPy loses up to half the digits of 1 - tail here.
    return np.where(arcsine, 2 / np.pi * np.arctan2(1.0, np.sqrt(odds)), tail)


def gammaln(a: Any) -> Any:
    """Compute log Γ(a) of a NumPy array, or of a CuPy array on the current device; as a."""
    if place_of(a) != CPU:
        return device.gammaln(a)
    from scipy import special

    return special.gammaln(a)


def _host_tail(odds: Array, a: Array, b: Array) -> Array:
    from scipy import special

    tail: Array = np.full(odds.shape, np.nan)
    special.betainc(a, _unround(b), 1 / (1 + odds), out=tail, where=odds >= 1)
    special.betaincc(b, _unround(a), odds / (1 + odds), out=tail, where=odds < 1)
    return tail


def _device_tail(odds: Any, a: Any, b: Any) -> Any:
    tail = device.betainc(a, b, 1 / (1 + odds))
    rest = device.betainc(b, a, odds / (1 + odds))
    return np.where((odds < 1) & (rest < 0.5), 1 - rest, tail)


def _unround(parameter: Array) -> Array:
    """Step large parameters off the whole numbers, where SciPy's error grows in proportion."""
    return np.where(parameter > 1e6, np.nextafter(parameter, np.inf), parameter)

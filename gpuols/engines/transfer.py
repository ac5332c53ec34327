"""Transfer: work on a device that is named, and copies between it and the host."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device, exchange
from gpuols.places import CPU, number_of, place_of

_HERE = nullcontext()


def at(place: str, kind: str = "cupy") -> AbstractContextManager[None]:
    """Make a place's device the current one of this thread; the CPU has none to make so.

    Parameters
    ----------
    place : str
        "cpu" or "cuda:N".
    kind : str, optional
        Library on whose current stream to work there.

    Returns
    -------
    context manager
        While it is entered, so it is.
    """
    if place == CPU:
        return _HERE
    number = number_of(place)
    return device.on(number, exchange.stream_of(kind, number))


def to_host(array: Any) -> NDArray[Any]:
    """Numbers in host memory: a copy of what a device holds, anything else as NumPy has it.

    Parameters
    ----------
    array : (...)
        Array of any library.

    Returns
    -------
    (...)
        The same, of NumPy.
    """
    place = place_of(array)
    if place == CPU:
        return np.asarray(array)
    with at(place):
        return device.download(exchange.adopt(array))


def to_place(array: NDArray[Any], place: str) -> Any:
    """Numbers of the host where they are wanted.

    Parameters
    ----------
    array : (...)
        NumPy array.
    place : str
        "cpu" or "cuda:N".

    Returns
    -------
    (...)
        The array itself, or a copy of it on the device.
    """
    if place == CPU:
        return array
    with at(place):
        return device.upload(array)


class Columns:
    """Columns of an array (n, m), wherever it is, copied to host memory by whatever thread.

    Parameters
    ----------
    array : (n, m)
        Array of NumPy, or of CuPy on a device.
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        self._place = place_of(array)
        # Other threads' current streams know nothing of the array.
        self._stream = None
        if self._place != CPU:
            with at(self._place):
                self._stream = int(device.namespace().cuda.get_current_stream().ptr)

    def __getitem__(self, which: Any) -> NDArray[Any]:
        """Columns given as a slice or by number, (n, c); a view where it can be one."""
        if self._place == CPU:
            return np.asarray(self._array[:, which])
        with device.on(number_of(self._place), self._stream):
            where = which if isinstance(which, slice) else device.upload(which)
            return device.download(self._array[:, where])

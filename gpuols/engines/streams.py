"""Streams: two of each device to work on in turn, and host memory that copies need not wait for."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device

LEAST = 1 << 20  # bytes


def pair(number: int) -> tuple[Any, Any]:
    """Two streams of a device, always the same: CuPy keeps the memory of each for itself."""
    return _pair(device.namespace(), number)


@cache
def _pair(cupy: Any, number: int) -> tuple[Any, Any]:
    with device.on(number):
        return cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)


def current() -> Any:
    """The stream that this thread works on, on the current device."""
    return device.namespace().cuda.get_current_stream()


def pinned(nbytes: int) -> NDArray[np.uint8]:
    """Memory of the host that the system does not move, so that copies need not wait for.

    There is a limit to it, and it is slow to have: CuPy keeps what is given back. Where there is
    too little, half as much is tried; without any, memory like any other serves, only slower.

    Parameters
    ----------
    nbytes : int
        How much.

    Returns
    -------
    (nbytes,), or fewer
        With anything in it.
    """
    while nbytes >= LEAST:
        try:
            with device.explained("page-locked memory"):
                found = device.library("cupyx").empty_pinned((nbytes,), np.uint8)
            return np.asarray(found)
        except device.OutOfMemory:
            nbytes //= 2
    return np.empty(LEAST, np.uint8)


def send(host: NDArray[Any], target: Any) -> None:
    """Copy to a device array (...), C-contiguous, on the current stream; nobody waits for it."""
    with device.explained("a copy to the device"):
        target.set(host, stream=current())


def bring(array: Any, host: NDArray[Any]) -> None:
    """Copy a device array (...), C-contiguous, on the current stream; nobody waits for it."""
    with device.explained("a copy from the device"):
        array.get(out=host, blocking=False)


def wait(stream: Any) -> None:
    """Wait for what a stream, or an event, has been asked for."""
    with device.explained("a copy to or from the device, or a kernel before it"):
        stream.synchronize()

"""Where an array lives, without importing any library that is not imported yet."""

import sys
from typing import Any

CPU = "cpu"
_CUDA_KINDS = (2, 13)  # device memory and managed memory, as DLPack counts


def place_of(value: Any) -> str:
    """Name of the device that an array is on.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    str
        "cuda:N" for what a CUDA device holds, else "cpu"; "cuda:0" for what has CUDA's array
        interface alone, which tells no number.
    """
    if hasattr(value, "__dlpack_device__"):
        try:
            kind, number = value.__dlpack_device__()
        except (BufferError, RuntimeError, TypeError, ValueError):
            return CPU  # a device that DLPack has no number for
        return f"cuda:{int(number)}" if int(kind) in _CUDA_KINDS else CPU
    return "cuda:0" if hasattr(value, "__cuda_array_interface__") else CPU


def number_of(place: str) -> int:
    """Number of the CUDA device that "cuda:N" names."""
    return int(place.removeprefix("cuda:"))


def stream_of(value: Any) -> int | None:
    """Stream on which an array's library goes on working with it.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    int or None
        Address of torch's current stream for a torch tensor on a CUDA device; None for others,
        which are waited for as they are read.
    """
    if type(value).__module__.partition(".")[0] != "torch" or place_of(value) == CPU:
        return None
    return int(sys.modules["torch"].cuda.current_stream(value.device).cuda_stream)

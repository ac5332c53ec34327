"""Where an array lives, without importing any library that is not imported yet."""

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
    if type(value).__module__.partition(".")[0] == "cupy":
        return f"cuda:{value.device.id}"
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

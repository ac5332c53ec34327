"""Exchange: device arrays taken from other libraries and handed back to them, in place."""

import sys
from typing import Any

from gpuols.engines.device import namespace


def is_ours(value: Any) -> bool:
    """Whether an array is CuPy's own, to be used as it is."""
    return isinstance(value, namespace().ndarray)


def adopt(value: Any) -> Any:
    """Array of any library on the current device, as CuPy's, in place.

    Parameters
    ----------
    value : (...)
        CuPy array, torch tensor, JAX array, or what has ``__dlpack__`` or
        ``__cuda_array_interface__``.

    Returns
    -------
    (...)
        The current stream works on it after what was asked of it before.
    """
    if is_ours(value):
        return value
    cupy = namespace()
    return cupy.from_dlpack(value) if hasattr(value, "__dlpack__") else cupy.asarray(value)


def stream_of(kind: str, number: int) -> int | None:
    """Stream that a library works on now.

    Parameters
    ----------
    kind : {"cupy", "torch", "jax"}
        Which library.
    number : int
        Of the device.

    Returns
    -------
    int or None
        Address of torch's current stream there; None where CuPy's is to be used.
    """
    if kind != "torch":
        return None
    return int(sys.modules["torch"].cuda.current_stream(number).cuda_stream)


def hand(array: Any, kind: str) -> Any:
    """Give a device array out as the kind that came in, without a copy where possible.

    Parameters
    ----------
    array : (...)
        CuPy array.
    kind : {"cupy", "torch", "jax"}
        What to make of it.

    Returns
    -------
    (...)
        CuPy's float64 where JAX runs without x64.
    """
    if kind == "torch":
        return sys.modules["torch"].from_dlpack(array)
    if kind == "jax":
        jax = sys.modules["jax"]
        if jax.config.jax_enable_x64:
            return jax.numpy.from_dlpack(array if array.flags.c_contiguous else array.copy())
    return array

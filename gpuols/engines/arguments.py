"""Arguments of a kernel, held against its parameters: CuPy passes whatever it is given."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuols.engines.kernels import Kernel, Parameter

_NULL = np.uint64(0)


def checked(kernel: Kernel, arguments: Sequence[Any], device: int) -> tuple[Any, ...]:
    """Arguments as they are passed.

    Parameters
    ----------
    kernel : Kernel
        What they are for.
    arguments : sequence
        For each parameter a NumPy scalar of its type, a device array, or None for no array.
    device : int
        Number of the current device.

    Returns
    -------
    tuple
        A null pointer for each None.

    Raises
    ------
    TypeError
        If one does not fit its parameter.
    """
    expected = kernel.parameters
    if len(arguments) != len(expected):
        raise TypeError(f"kernel {kernel} takes {len(expected)} arguments, not {len(arguments)}")
    for value, parameter in zip(arguments, expected, strict=True):
        if value is None and parameter.pointer:
            continue
        complain = _of_array if parameter.pointer else _of_scalar
        if complaint := complain(value, parameter, device):
            raise TypeError(f"kernel {kernel}, parameter {parameter.name}: {complaint}")
    return tuple([_NULL if value is None else value for value in arguments])


def _of_scalar(value: Any, parameter: Parameter, device: int) -> str:
    """Why a value can't be passed; empty if it can."""
    if isinstance(value, np.generic) and value.dtype == parameter.dtype:
        return ""
    came = f"numpy.{value.dtype}" if isinstance(value, np.generic) else type(value).__name__
    return f"got {came}, expected numpy.{parameter.dtype}"


def _of_array(value: Any, parameter: Parameter, device: int) -> str:
    """Why a value can't be passed where an array is expected; empty if it can."""
    if type(value).__module__.partition(".")[0] != "cupy":
        return f"got {type(value).__name__}, expected a device array or None"
    if parameter.dtype is not None and value.dtype != parameter.dtype:
        return f"got an array of {value.dtype}, expected {parameter.dtype}"
    if value.data.device_id != device:
        return f"got an array of device {value.data.device_id}, device {device} is current"
    steps = zip(value.shape, value.strides, strict=True)
    if parameter.written and any(n > 1 and step == 0 for n, step in steps):
        return "got a read-only array, a broadcast one, and the kernel writes to it"
    return ""

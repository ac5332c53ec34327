"""What came in and what goes out: any real array-like in, NumPy inside, the same kind out.

NumPy arrays are used as they lie, whatever their strides, order or dtype. torch and JAX arrays
on the CPU are read in place through DLPack; results go back to torch in place, to JAX by a copy
(as NumPy float64 where JAX runs without x64). Data frames, columns and xarray's arrays give their
names as labels and get NumPy arrays back. No library is imported that the caller has not imported
already.

What lies on a CUDA device stays there: it is a CuPy array inside, whichever library it is of, and
results are handed out there. CuPy is then imported.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.columnar import Columnar
from gpuols.engines import device, exchange
from gpuols.engines.transfer import at, to_place
from gpuols.errors import DeviceError, InputTypeError
from gpuols.labelled import Axis, check_dtype, from_column, from_frame, from_xarray, numbers
from gpuols.places import CPU, number_of, place_of
from gpuols.records import filled

Kind = str
NUMPY: Kind = "numpy"
CUPY: Kind = "cupy"
TORCH: Kind = "torch"
JAX: Kind = "jax"


@filled
@dataclass(frozen=True)
class Incoming:
    """One argument as it came.

    Attributes
    ----------
    array : (...)
        Its numbers: a NumPy array, or a CuPy array on the device that it came on.
    kind : str
        "numpy", "torch" or "jax"; "cupy" for what else came on a device.
    labels : tuple of str or None
        Names of its columns.
    place : str
        "cpu" or "cuda:N".
    axes : tuple of Axis
        What its axes are, where it is xarray's.
    """

    array: Any
    kind: Kind = NUMPY
    labels: tuple[str, ...] | None = None
    place: str = CPU
    axes: tuple[Axis, ...] = ()

    def names(self, columns: int) -> tuple[str, ...] | None:
        """Names of the columns that its last axis counts, where it names so many."""
        labels = self.axes[-1].labels() if len(self.axes) > 1 else self.labels
        return labels if labels and len(labels) == columns else None


def kind_of(value: Any) -> Kind:
    """Kind of array that results are to be where this comes in; it is not read."""
    root = _library_of(value)
    if root == "torch":
        return TORCH
    if root in ("jax", "jaxlib"):
        return JAX
    return NUMPY if place_of(value) == CPU else CUPY


def read(argument: str, value: Any) -> Incoming:
    """Numbers of an array-like, without a copy where possible.

    Parameters
    ----------
    argument : str
        Name of the argument, for the messages.
    value : array-like
        NumPy array, list, data frame, column, torch, JAX or xarray's array, CuPy array, or
        anything with ``__array__`` or ``__cuda_array_interface__``; real numbers or booleans.

    Returns
    -------
    Incoming
        An array of its own dtype, not to be written to; on a device float64 where it is not
        float32.

    Raises
    ------
    InputTypeError
        If it does not hold real numbers, or can't be read without more being said.
    DeviceError
        If it lives on a device that can't be used.
    """
    if type(value) is np.ndarray:  # most often, and sooner
        return Incoming(numbers(argument, value))
    if isinstance(value, Columnar):
        return Incoming(value)
    kind = kind_of(value)
    if isinstance(value, np.ma.MaskedArray):
        raise InputTypeError(
            argument,
            "a masked array",
            "a plain array",
            "use .filled(numpy.nan), or give the masked rows zero weight",
        )
    if kind == TORCH:
        return _from_torch(argument, value)
    if kind == JAX:
        return _from_jax(argument, value)
    if _library_of(value) == "xarray":
        array, axes = from_xarray(argument, value)
        return Incoming(array, labels=_name_of(value), axes=axes)
    if kind == CUPY:
        return _from_device(argument, value, CUPY, "call .get() or .copy_to_host() on it")
    if hasattr(value, "collect") and not hasattr(value, "to_numpy"):
        raise InputTypeError(argument, "a lazy frame", "data", "call .collect() first")
    names = getattr(value, "column_names", getattr(value, "columns", None))
    if names is not None and not isinstance(value, np.ndarray):
        array, labels = from_frame(argument, value, names)
        return Incoming(array, labels=labels)
    if hasattr(value, "to_numpy"):
        return Incoming(from_column(argument, value), labels=_name_of(value))
    if hasattr(value, "toarray"):
        raise InputTypeError(argument, "a sparse matrix", "a dense array", "call .toarray() on it")
    return Incoming(numbers(argument, _from_sequence(argument, value)))


def _library_of(value: Any) -> str:
    """Library that the class of a value, or a class that it derives from, is of."""
    roots = [base.__module__.partition(".")[0] for base in type(value).__mro__]
    return next((root for root in roots if root in ("torch", "jax", "jaxlib", "xarray")), roots[0])


def _name_of(column: Any) -> tuple[str] | None:
    name = getattr(column, "name", None)
    return None if name is None or name == "" else (str(name),)


def give(array: Any, kind: Kind, place: str = CPU) -> Any:
    """Hand a result over as the kind of array that came in, where that was.

    Parameters
    ----------
    array : (...)
        The result, a NumPy array or, if it is in that place already, a CuPy array.
    kind : str
        "numpy", "torch" or "jax"; on a device "cupy", "torch" or "jax".
    place : str
        "cpu" or "cuda:N".

    Returns
    -------
    array of that kind
        A NumPy scalar where a result on the CPU has no axes.
    """
    if place != CPU:
        return _give_there(array, kind, place)
    if kind == TORCH:
        owned = array if array.flags.writeable and array.ndim else np.array(array)
        return sys.modules["torch"].from_dlpack(owned)
    if kind == JAX and sys.modules["jax"].config.jax_enable_x64:
        return sys.modules["jax"].numpy.array(array)
    return array[()]


def _give_there(array: Any, kind: Kind, place: str) -> Any:
    with at(place, kind):
        there = array if place_of(array) == place else to_place(array, place)
        # Unlike NumPy's, broadcast device arrays can be written to.
        return exchange.hand(there.copy() if 0 in there.strides else there, kind)


def _from_sequence(argument: str, value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputTypeError(
            argument,
            f"{type(value).__name__} that NumPy can't read ({error})",
            "an array or equally long lists of numbers",
            "pass numpy.array(...) of one dtype",
        ) from error


def _from_torch(argument: str, value: Any) -> Incoming:
    if value.device.type not in ("cpu", "cuda"):
        raise _elsewhere(argument, str(value.device), "call .cpu() on it")
    if type(value).__name__ == "FakeTensor":
        raise InputTypeError(
            argument, "a tensor without data", "concrete numbers", "call gpuols outside the trace"
        )
    tangent = sys.modules["torch"].autograd.forward_ad.unpack_dual(value).tangent
    if value.requires_grad or tangent is not None:
        came = "a tensor that requires grad" if tangent is None else "a tensor with a tangent"
        raise InputTypeError(argument, came, "plain numbers", "call .detach() on it")
    if str(value.dtype) == "torch.bfloat16":
        raise InputTypeError(argument, "dtype bfloat16", "a dtype NumPy has", "call .float() on it")
    dense = "call .to_dense() or .contiguous() on it, or gpuols outside vmap"
    value = value.resolve_neg()  # DLPack knows no lazy sign
    if value.device.type == "cuda":
        return _from_device(argument, value, TORCH, "call .cpu() on it", dense)
    return Incoming(numbers(argument, _from_dlpack(argument, value, dense)), TORCH)


def _from_jax(argument: str, value: Any) -> Incoming:
    if not hasattr(value, "__dlpack__") or type(value).__name__.endswith("Tracer"):
        raise InputTypeError(
            argument,
            f"a traced JAX value ({type(value).__name__})",
            "concrete numbers",
            "call gpuols outside jit, vmap and grad",
        )
    platforms, place = {one.platform for one in value.devices()}, place_of(value)
    if platforms != {"cpu"} and place == CPU:
        raise _elsewhere(argument, ", ".join(platforms), _JAX_CURE)
    if str(value.dtype) == "bfloat16":
        raise InputTypeError(
            argument, "dtype bfloat16", "a dtype NumPy has", "call .astype(float) on it"
        )
    if place != CPU:
        return _from_device(argument, value, JAX, _JAX_CURE)
    array = _from_dlpack(argument, value, "pass numpy.asarray(x)")
    return Incoming(numbers(argument, array), JAX)


_JAX_CURE = 'use jax.device_put(x, jax.devices("cpu")[0])'


def _from_device(
    argument: str, value: Any, kind: Kind, cure: str, dense: str = "pass a plain array"
) -> Incoming:
    """What a CUDA device holds, in place; `cure` brings it to the host."""
    place = place_of(value)
    if reason := device.why_not(number_of(place)):
        raise _elsewhere(argument, f"{place} ({reason})", cure)
    if kind == CUPY and exchange.is_ours(value) and value.dtype in (np.float32, np.float64):
        return Incoming(value, kind, place=place)
    with at(place, kind):
        try:
            array = exchange.adopt(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise InputTypeError(
                argument, f"an array that CuPy can't read ({error})", "a dense array", dense
            ) from error
        check_dtype(argument, array)
        if array.dtype not in (np.float32, np.float64):
            array = array.astype(np.float64)
    return Incoming(array, kind, place=place)


def _from_dlpack(argument: str, value: Any, cure: str) -> NDArray[Any]:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputTypeError(
            argument, f"an array without DLPack ({error})", "a dense array", cure
        ) from error


def _elsewhere(argument: str, place: str, cure: str) -> DeviceError:
    return DeviceError(argument, f"an array on {place}", "an array in host memory", cure)

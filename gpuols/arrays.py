"""What came in and what goes out: any real array-like in, NumPy inside, the same kind out.

NumPy arrays are used as they lie, whatever their strides, order or dtype. torch and JAX arrays
on the CPU are read in place through DLPack; results go back to torch in place, to JAX by a copy
(as NumPy float64 where JAX runs without x64). Data frames and columns give their names as labels
and get NumPy arrays back. No library is imported that the caller has not imported already.

What lies on a CUDA device stays there: it is a CuPy array inside, whichever library it is of, and
results are handed out there. CuPy is then imported.
"""

import sys
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device, exchange
from gpuols.engines.transfer import at, to_place
from gpuols.errors import DeviceError, InputError, InputTypeError
from gpuols.places import CPU, number_of, place_of

Kind = str
NUMPY: Kind = "numpy"
CUPY: Kind = "cupy"
TORCH: Kind = "torch"
JAX: Kind = "jax"


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
    """

    array: Any
    kind: Kind = NUMPY
    labels: tuple[str, ...] | None = None
    place: str = CPU


def kind_of(value: Any) -> Kind:
    """Kind of array that results are to be where this comes in; it is not read."""
    root = type(value).__module__.partition(".")[0]
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
        NumPy array, list, data frame, column, torch or JAX array, CuPy array, or anything with
        ``__array__`` or ``__cuda_array_interface__``; real numbers or booleans.

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
    if kind == CUPY:
        return _from_device(argument, value, CUPY, "call .get() or .copy_to_host() on it")
    if hasattr(value, "collect") and not hasattr(value, "to_numpy"):
        raise InputTypeError(argument, "a lazy frame", "data", "call .collect() first")
    names = getattr(value, "column_names", getattr(value, "columns", None))
    if names is not None and not isinstance(value, np.ndarray):
        return _from_frame(argument, value, names)
    if hasattr(value, "to_numpy"):
        name = getattr(value, "name", None)
        labels = None if name is None or name == "" else (str(name),)
        return Incoming(_from_column(argument, value), labels=labels)
    if hasattr(value, "toarray"):
        raise InputTypeError(argument, "a sparse matrix", "a dense array", "call .toarray() on it")
    return Incoming(_numbers(argument, _from_sequence(argument, value)))


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


def _check_dtype(argument: str, array: Any) -> None:
    if array.dtype.kind not in "biuf":
        raise InputTypeError(
            argument, f"dtype {array.dtype}", "real numbers or booleans", _CURES[array.dtype.kind]
        )


def _numbers(argument: str, array: NDArray[Any]) -> NDArray[Any]:
    _check_dtype(argument, array)
    return array if array.dtype.itemsize <= 8 else array.astype(np.float64)


_STRINGS = "encode categories as 0/1 columns, or convert digits with .astype(float)"
_TIMES = 'convert to numbers first, e.g. (t - t.min()) / numpy.timedelta64(1, "s")'
_CURES = {
    "O": "convert with .astype(float); missing values are NaN, not None",
    "c": "fit the real and the imaginary part as two responses",
    "U": _STRINGS,
    "S": _STRINGS,
    "T": _STRINGS,
    "M": _TIMES,
    "m": _TIMES,
    "V": "pass the fields as columns of one plain array",
}


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
    if value.requires_grad:
        raise InputTypeError(
            argument, "a tensor that requires grad", "plain numbers", "call .detach() on it"
        )
    if str(value.dtype) == "torch.bfloat16":
        raise InputTypeError(argument, "dtype bfloat16", "a dtype NumPy has", "call .float() on it")
    dense = "call .to_dense() or .contiguous() on it"
    if value.device.type == "cuda":
        return _from_device(argument, value, TORCH, "call .cpu() on it", dense)
    return Incoming(_numbers(argument, _from_dlpack(argument, value, dense)), TORCH)


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
    return Incoming(_numbers(argument, array), JAX)


_JAX_CURE = 'use jax.device_put(x, jax.devices("cpu")[0])'


def _from_device(
    argument: str, value: Any, kind: Kind, cure: str, dense: str = "pass a plain array"
) -> Incoming:
    """What a CUDA device holds, in place; `cure` brings it to the host."""
    place = place_of(value)
    if reason := device.why_not(number_of(place)):
        raise _elsewhere(argument, f"{place} ({reason})", cure)
    with at(place, kind):
        try:
            array = exchange.adopt(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise InputTypeError(
                argument, f"an array that CuPy can't read ({error})", "a dense array", dense
            ) from error
        _check_dtype(argument, array)
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


def _from_frame(argument: str, value: Any, names: Any) -> Incoming:
    labels = tuple(str(name) for name in names)
    if len(set(labels)) < len(labels):
        raise InputError(
            argument, f"columns {list(labels)}", "each name once", "rename the repeated columns"
        )
    array = value.to_numpy() if hasattr(value, "to_numpy") else None
    if array is None or array.dtype.kind not in "biuf":
        columns = [_from_column(f"{argument}[{name!r}]", value[name]) for name in names]
        array = np.stack(columns, axis=1) if columns else np.empty((len(value), 0))
    return Incoming(_numbers(argument, array), labels=labels)


def _from_column(argument: str, column: Any) -> NDArray[Any]:
    if hasattr(column, "null_count") and hasattr(column, "to_pylist"):
        options = {} if hasattr(column, "chunks") else {"zero_copy_only": False}
        return _numbers(argument, _without_nulls(np.asarray(column.to_numpy(**options))))
    array = np.asarray(column.to_numpy())
    nullable = getattr(getattr(column, "dtype", None), "kind", "O") in "biuf"
    if array.dtype.kind == "O" and nullable:
        return _numbers(argument, column.to_numpy(dtype="float64", na_value=np.nan))
    return _numbers(argument, _without_nulls(array))


def _without_nulls(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers and booleans among objects, None as NaN; other objects as they are."""
    if array.dtype.kind != "O" or not all(
        value is None or isinstance(value, Real) for value in array.flat
    ):
        return array
    return np.array([np.nan if value is None else float(value) for value in array.flat])

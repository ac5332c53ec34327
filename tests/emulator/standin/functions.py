"""Array functions: NumPy's, as far as CuPy has them and with the parameters that it has."""

import inspect
import operator

import numpy as np

from emulator.standin import creation
from emulator.standin.array import compute, ndarray, viewed_or_copied

UFUNCS = (
    *("add", "subtract", "multiply", "true_divide", "divide", "floor_divide", "remainder", "power"),
    *("negative", "positive", "absolute", "sign", "sqrt", "square", "cbrt", "reciprocal", "exp"),
    *("expm1", "exp2", "log", "log1p", "log2", "log10", "hypot", "fmax", "fmin", "maximum"),
    *(
        "minimum",
        "arctan2",
        "isnan",
        "isinf",
        "isfinite",
        "signbit",
        "copysign",
        "nextafter",
        "ldexp",
    ),
    *("logical_and", "logical_or", "logical_not", "logical_xor", "bitwise_and", "bitwise_or"),
    *("bitwise_xor", "invert", "left_shift", "right_shift", "equal", "not_equal", "less"),
    *("less_equal", "greater", "greater_equal", "rint", "floor", "ceil", "trunc"),
)

VIEWS = {
    "broadcast_to": "array, shape",
    "diagonal": "a, offset=0, axis1=0, axis2=1",
    "expand_dims": "a, axis",
    "flip": "a, axis=None",
    "moveaxis": "a, source, destination",
    "ravel": "a, order='C'",
    "reshape": "a, newshape, order='C'",
    "squeeze": "a, axis=None",
    "swapaxes": "a, axis1, axis2",
    "transpose": "a, axes=None",
}

_REDUCTION = "a, axis=None, out=None, keepdims=False"
_TYPED_REDUCTION = "a, axis=None, dtype=None, out=None, keepdims=False"
_LIKE = "a, dtype=None, order='K', subok=None, shape=None"

FUNCTIONS = {
    "all": _REDUCTION,
    "any": _REDUCTION,
    "argmax": _TYPED_REDUCTION,
    "argmin": _TYPED_REDUCTION,
    "argsort": "a, axis=-1, kind=None",
    "array_equal": "a1, a2, equal_nan=False",
    "bincount": "x, weights=None, minlength=None",
    "clip": "a, a_min, a_max, out=None",
    "concatenate": "tup, axis=0, out=None, *, dtype=None, casting='same_kind'",
    "count_nonzero": "a, axis=None",
    "cumsum": "a, axis=None, dtype=None, out=None",
    "diff": "a, n=1, axis=-1, prepend=None, append=None",
    "dot": "a, b, out=None",
    "einsum": "*operands",
    "flatnonzero": "a",
    "full_like": "a, fill_value, dtype=None, order='K', subok=None, shape=None",
    "isin": "element, test_elements, assume_unique=False, invert=False",
    "matmul": "*args, out=None",
    "max": _REDUCTION,
    "mean": _TYPED_REDUCTION,
    "min": _REDUCTION,
    "nonzero": "a",
    "ones_like": _LIKE,
    "prod": _TYPED_REDUCTION,
    "repeat": "a, repeats, axis=None",
    "searchsorted": "a, v, side='left', sorter=None",
    "sort": "a, axis=-1, kind=None",
    "stack": "tup, axis=0, out=None, *, dtype=None, casting='same_kind'",
    "sum": _TYPED_REDUCTION,
    "take": "a, indices, axis=None, out=None",
    "take_along_axis": "a, indices, axis",
    "tril": "m, k=0",
    "triu": "m, k=0",
    "unique": "ar, return_index=False, return_inverse=False, return_counts=False, axis=None",
    "where": "condition, x=None, y=None",
    "zeros_like": _LIKE,
}

_METHODS = {
    "all": "axis=None, out=None, keepdims=False",
    "any": "axis=None, out=None, keepdims=False",
    "argmax": "axis=None, out=None, dtype=None, keepdims=False",
    "argmin": "axis=None, out=None, dtype=None, keepdims=False",
    "argsort": "axis=-1, kind=None",
    "cumsum": "axis=None, dtype=None, out=None",
    "max": "axis=None, out=None, keepdims=False",
    "mean": "axis=None, dtype=None, out=None, keepdims=False",
    "min": "axis=None, out=None, keepdims=False",
    "nonzero": "",
    "prod": "axis=None, dtype=None, out=None, keepdims=False",
    "repeat": "repeats, axis=None",
    "sum": "axis=None, dtype=None, out=None, keepdims=False",
    "take": "indices, axis=None, out=None",
}

_OPERATORS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
}
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY = ("neg", "pos", "abs", "invert")


def signature(text):
    """Parameters written as in a function's definition."""
    return inspect.signature(eval(f"lambda {text}: None"))


def stored(result, out):
    """A result, in the array that it was wanted in."""
    if out is None:
        return result
    if not isinstance(out, ndarray):
        raise TypeError("return arrays must be of ArrayType")
    if out.shape != result.shape:
        raise ValueError(f"out has shape {out.shape}, the result {result.shape}")
    out[...] = result
    return out


def _ufunc(name):
    function = getattr(np, name)

    def call(*args, out=None, dtype=None):
        options = {} if dtype is None else {"dtype": dtype}
        return stored(compute(function, *args, **options), out)

    call.__name__ = name
    return call


def _function(name, parameters, how):
    function, known = getattr(np, name), signature(parameters)

    def call(*args, **kwargs):
        known.bind(*args, **kwargs)
        out = kwargs.pop("out", None)
        return stored(how(function, *args, **kwargs), out)

    call.__name__, call.__signature__ = name, known
    return call


def _view(function, array, *args, **kwargs):
    if not isinstance(array, ndarray):
        raise TypeError(f"Unsupported type {type(array)}")
    return viewed_or_copied(function, array, *args, **kwargs)


def _stably(function, a, axis=-1, kind=None):
    """A sort that keeps what is equal in order, as all of CuPy's do."""
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return compute(function, a, axis, "stable")


def namespace():
    """Everything here by name, as `cupy.NAME`."""
    names = {name: _ufunc(name) for name in UFUNCS}
    names |= {name: _function(name, text, _view) for name, text in VIEWS.items()}
    names |= {
        name: _function(name, text, _stably if name in ("argsort", "sort") else compute)
        for name, text in FUNCTIONS.items()
    }
    return {**names, "broadcast_arrays": broadcast_arrays}


def broadcast_arrays(*args):
    shape = np.broadcast_shapes(*(part.shape for part in args))
    return tuple(_view(np.broadcast_to, part, shape) for part in args)


_NAMESPACE = namespace()


def _through_ufunc(self, ufunc, method, *inputs, **kwargs):
    call = _NAMESPACE.get(ufunc.__name__)
    if method != "__call__" or call is None:
        raise TypeError(f"the stand-in for CuPy has no {ufunc.__name__}.{method}")
    if "out" in kwargs:
        (kwargs["out"],) = kwargs["out"]
    return call(*inputs, **kwargs)


def _through_function(self, func, types, args, kwargs):
    if func is np.asarray:
        return creation.asarray(*args, **kwargs)
    if func.__name__ not in _NAMESPACE or func.__module__ != "numpy":
        raise TypeError(f"the stand-in for CuPy has no {func.__module__}.{func.__name__}")
    return _NAMESPACE[func.__name__](*args, **kwargs)


def _method(name, parameters):
    known = signature(f"self, {parameters}")

    def call(self, *args, **kwargs):
        known.bind(self, *args, **kwargs)
        return _NAMESPACE[name](self, *args, **kwargs)

    call.__signature__ = known
    return call


def _in_place(ufunc):
    def call(self, other):
        self[...] = compute(ufunc, self, other)
        return self

    return call


def _complete():
    ndarray.__array_ufunc__, ndarray.__array_function__ = _through_ufunc, _through_function
    for name, parameters in _METHODS.items():
        setattr(ndarray, name, _method(name, parameters))
    for name, ufunc in {**_OPERATORS, "matmul": np.matmul}.items():
        setattr(ndarray, f"__{name}__", lambda a, b, f=ufunc: compute(f, a, b))
        setattr(ndarray, f"__r{name}__", lambda a, b, f=ufunc: compute(f, b, a))
    for name, ufunc in _OPERATORS.items():
        setattr(ndarray, f"__i{name}__", _in_place(ufunc))
    for name in _COMPARISONS:
        function = getattr(operator, name)
        setattr(ndarray, f"__{name}__", lambda a, b, f=function: compute(f, a, b))
    for name in _UNARY:
        function = getattr(operator, name)
        setattr(ndarray, f"__{name}__", lambda a, f=function: compute(f, a))


_complete()

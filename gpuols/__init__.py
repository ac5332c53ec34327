"""Fit thousands to millions of least-squares regressions at once."""

import importlib as _importlib
import typing as _typing
from importlib.util import find_spec as _find_spec

from gpuols.contrasts import Contrast
from gpuols.errors import DeviceError, FitError, InputError, InputTypeError, Status
from gpuols.fit import fit, fit_groups
from gpuols.frame import fit_frame
from gpuols.info import Info, info
from gpuols.moments import Moments
from gpuols.precompile import precompile
from gpuols.result import Result
from gpuols.streaming import fit_moments, moments
from gpuols.version import __version__

__all__ = [
    "Contrast",
    "DeviceError",
    "FitError",
    "Info",
    "InputError",
    "InputTypeError",
    "Moments",
    "Result",
    "Status",
    "__version__",
    "fit",
    "fit_frame",
    "fit_groups",
    "fit_moments",
    "info",
    "moments",
    "precompile",
]

# Names whose modules need more than is always installed: imported when they are asked for, and by
# `from gpuols import *` never.
_LAZY = {"LinearRegression": "gpuols.estimator"}

if _typing.TYPE_CHECKING:
    from gpuols.estimator import LinearRegression as LinearRegression
else:

    def __getattr__(name: str) -> _typing.Any:
        """Import a name of `_LAZY`, and keep it."""
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_importlib.import_module(_LAZY[name]), name)
        return value


def __dir__() -> list[str]:
    """Names that are here, and those of `_LAZY` where scikit-learn is."""
    return sorted({*globals(), *(_LAZY if _find_spec("sklearn") else ())})

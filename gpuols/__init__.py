"""Fit thousands to millions of least-squares regressions at once."""

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

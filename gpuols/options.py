"""The options of the verbs, each value checked once.

Anything below the verbs trusts what an `Options` holds. Values that depend on the shapes of the
data (ridge, weights) are checked where the shapes are.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

from gpuols.errors import InputError, InputTypeError
from gpuols.records import filled

Progress = bool | Callable[[int, int], object]

MISSING = ("nan", "drop", "raise")
SOLVERS = ("auto", "cholesky", "accurate")
SINGULAR = ("drop", "min_norm", "nan", "raise")
DEVICES = ("auto", "cpu", "cpu:numpy", "cpu:numba", "cuda", "cuda:all")
THREADS_VARIABLE = "GPUOLS_NUM_THREADS"


@filled
@dataclass(frozen=True)
class Options:
    """How to fit; `gpuols.fit` documents each option."""

    add_intercept: bool = False
    missing: str = "nan"
    solver: str = "auto"
    tol: float = 1e-10
    singular: str = "drop"
    device: str = "auto"
    batch_size: int | None = None
    progress: Progress = False
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        _check_flag("add_intercept", self.add_intercept)
        _check_choice("missing", self.missing, MISSING)
        _check_choice("solver", self.solver, SOLVERS)
        _check_tolerance(self.tol)
        _check_choice("singular", self.singular, SINGULAR)
        _check_device(self.device)
        _check_batch_size(self.batch_size)
        _check_progress(self.progress)
        _check_names(self.names)


def threads() -> int:
    """Number of threads to use.

    GPUOLS_NUM_THREADS, else as many as this process may use processors, but no more than
    OMP_NUM_THREADS, by which joblib and batch systems share a machine out.
    """
    return threads_asked() or min([_processors(), *_share()])


def threads_asked() -> int | None:
    """What GPUOLS_NUM_THREADS says, checked; None where it says nothing."""
    text = os.environ.get(THREADS_VARIABLE, "").strip()
    if not text:
        return None
    if not (text.isdecimal() and int(text) > 0):
        raise InputError(
            THREADS_VARIABLE, repr(text), "a positive integer", "set it to a number of threads"
        )
    return int(text)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _share() -> Iterator[int]:
    """What OMP_NUM_THREADS says of the outermost level, if it can be read."""
    outermost = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if outermost.isdecimal() and int(outermost) > 0:
        yield int(outermost)


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InputTypeError(name, repr(value), "True or False", f"write {name}=True")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if not (isinstance(value, str) and value in choices):
        listed = ", ".join(repr(choice) for choice in choices)
        raise InputError(name, repr(value), f"one of {listed}", "choose one of them")


def _check_tolerance(value: object) -> None:
    # What is a float need not ask an abstract class.
    if not isinstance(value, (float, Real)) or isinstance(value, bool):
        raise InputTypeError("tol", repr(value), "a number", "write for example tol=1e-8")
    if not 0 < float(value) < math.inf:
        raise InputError("tol", repr(value), "a positive number", "write for example tol=1e-8")


def _check_device(value: object) -> None:
    if not isinstance(value, str):
        raise InputTypeError("device", repr(value), "a string", 'write device="cpu" or "cuda:0"')
    name, _, number = value.partition(":")
    if value not in DEVICES and not (name == "cuda" and number.isdecimal()):
        listed = ", ".join(repr(choice) for choice in DEVICES)
        raise InputError("device", repr(value), f"one of {listed}, 'cuda:1'", "choose one of them")


def _check_batch_size(value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputTypeError(
            "batch_size", repr(value), "an integer or None", "write batch_size=1000"
        )
    if int(value) < 1:
        raise InputError("batch_size", repr(value), "at least 1", "leave it out for a good default")


def _check_progress(value: object) -> None:
    if not (isinstance(value, bool) or callable(value)):
        raise InputTypeError(
            "progress",
            repr(value),
            "True, False or a function of (done, total)",
            "write progress=True for a line on stderr",
        )


def _check_names(value: object) -> None:
    if value is None:
        return
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputTypeError(
            "names", repr(value), "a list of strings, one a column of X", 'write names=["a", "b"]'
        )
    for name in value:
        if not isinstance(name, str):
            raise InputTypeError(
                "names", f"{name!r} among them", "strings only", "convert it with str()"
            )
    if len(set(value)) < len(value):
        raise InputError("names", repr(list(value)), "each name once", "rename the repeated ones")

"""Engines: modules, or objects, with the same functions, and the choice among them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import cpu
from gpuols.engines import device as devices
from gpuols.engines.cuda import Cuda
from gpuols.engines.fitted import Looks
from gpuols.engines.several import Several
from gpuols.engines.solution import Solution
from gpuols.engines.tables import LongTable, Table
from gpuols.engines.workspace import Workspace
from gpuols.errors import DeviceError
from gpuols.moments import Moments


class Engine(Protocol):
    """What an engine provides; `gpuols.engines.cpu` says what each function means.

    Attributes
    ----------
    NAME : str
        What a result says of the engine.
    WIDEST : float
        Columns of X and y together up to which `fit_batch` and `fit_groups` are the way.
    fit_batch, fit_groups, fit_shared : callable or None
        Rows of a batch, of groups, or of responses on one design, to moments and answers at once,
        as those of `gpuols.engines.cuda.Cuda`; None where solving follows on summing.
    reduce_batch, reduce_groups, reduce_shared : callable or None
        Rows of some of them to moments in double-double at once; None where `moments_batch`,
        `moments_groups` and `moments_shared` form them chunk by chunk.
    """

    @property
    def NAME(self) -> str:  # noqa: N802 (a constant of modules)
        """What a result says of the engine."""

    @property
    def WIDEST(self) -> float:  # noqa: N802
        """Columns up to which rows of batches and groups come to answers at once."""

    @property
    def fit_batch(self) -> Callable[..., Any] | None:
        """Rows to answers at once."""

    @property
    def fit_groups(self) -> Callable[..., Any] | None:
        """Rows of groups to answers at once."""

    @property
    def fit_shared(self) -> Callable[..., Any] | None:
        """Rows of responses on one design to answers at once."""

    @property
    def reduce_batch(self) -> Callable[..., Moments] | None:
        """Rows to moments in double-double at once."""

    @property
    def reduce_groups(self) -> Callable[..., Moments] | None:
        """Rows of groups to moments in double-double at once."""

    @property
    def reduce_shared(self) -> Callable[..., Moments] | None:
        """Rows of responses on one design to moments in double-double at once."""

    def check_moments(self) -> None:
        """Raise a DeviceError if the engine does not solve moments."""

    def at_work(self) -> AbstractContextManager[Any]:
        """Context in which the arrays that the engine hands out can be used."""

    def moments_batch(
        self,
        x: Table,
        y: Table,
        weights: Table | None,
        which: Any,
        *,
        centered: bool,
        drop: bool,
        precise: bool = False,
        fitted: Looks = (),
        space: Workspace,
    ) -> Moments:
        """Moments of some regressions of a batch."""

    def moments_shared(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        weights: NDArray[Any] | None,
        design: Moments,
        *,
        precise: bool = False,
        fitted: Looks = (),
        space: Workspace,
    ) -> Moments:
        """Moments of some responses on a design they share."""

    def moments_masked(
        self,
        x: NDArray[Any],
        y: Table,
        weights: Table | None,
        which: slice,
        *,
        centered: bool,
        drop: bool,
        space: Workspace,
    ) -> Moments:
        """Moments of some responses on one design, with weights or missing rows of their own."""

    def moments_groups(
        self,
        x: LongTable,
        y: LongTable,
        weights: LongTable | None,
        index: NDArray[np.int64],
        responses: NDArray[np.int64] | None = None,
        *,
        centered: bool,
        drop: bool,
        precise: bool = False,
        fitted: Looks = (),
        space: Workspace,
    ) -> Moments:
        """Moments of some groups of equal size."""

    def factor_design(
        self, moments: Moments, ridge: NDArray[np.float64], *, singular: str = "drop"
    ) -> Any:
        """Factored designs, with their rank where the moments are in double-double."""

    def solve(
        self,
        moments: Moments,
        ridge: NDArray[np.float64],
        *,
        tol: float,
        singular: str = "drop",
        design: Any = None,
        looks: Looks = (),
    ) -> Solution:
        """Answers from moments."""

    def run(self, tasks: Any, work: Any, report: Any = None, total: int = 0) -> None:
        """Work through tasks, several at a time."""


@cache
def _compiled(_: int = 0) -> Engine:
    from gpuols.engines import cpu_jit

    return cpu_jit


@cache
def _why_not_compiled() -> str:
    """Why the compiled CPU engine can't be had; it is imported when somebody first asks."""
    try:
        from numba import config

        if config.DISABLE_JIT:
            return "NUMBA_DISABLE_JIT is set: unset it before Python starts"
        _compiled()
    except Exception as error:  # there is no telling what one raises that does not fit its NumPy
        if isinstance(error, ModuleNotFoundError) and error.name == "numba":
            return 'Numba is not installed: pip install "gpuols[cpu]"'
        return f"Numba can't be imported: {' '.join(str(error).split())}"
    return ""


COMPILED, _ALL = "cpu:numba", "cuda:all"

_ENGINES: dict[str, Callable[[int], Engine]] = {
    cpu.NAME: lambda number: cpu,
    COMPILED: _compiled,
    "cuda": Cuda,
}


def choose(device: str, place: str = "cpu") -> Engine:
    """Engine for a device option; never another one than asked for.

    Parameters
    ----------
    device : str
        A checked value of the option.
    place : str
        Where the rows are: "cpu" or "cuda:N".

    Returns
    -------
    Engine
        The module, or the CUDA engine on one device.

    Raises
    ------
    DeviceError
        If that engine can't be had, saying why, or the rows are on another device.
    """
    wanted = _place_wanted(device, place)
    if place not in ("cpu", wanted):
        raise DeviceError(
            "device",
            f"{device!r} with X on {place}",
            f"'auto' or {place!r}",
            'use device="auto", or bring X, y and weights to where they are to be worked on',
        )
    if reason := _why_not(wanted):
        raise DeviceError(
            "device", f"{device!r} ({reason})", "'auto' or 'cpu'", 'use device="auto"'
        )
    return Several.every() if wanted == _ALL else _ENGINES[_name(wanted)](_number(wanted))


def _place_wanted(device: str, place: str) -> str:
    """Engine and number of what a device option asks for."""
    if device == "cpu" or (device == "auto" and place == "cpu"):
        return cpu.NAME if _why_not_compiled() else COMPILED
    if device == "auto":
        return place
    if device == "cuda":
        return "cuda:0" if place == "cpu" else place
    return device if place == "cpu" or device != _ALL else place


def available() -> dict[str, str]:
    """Engines by name: "ready", for CUDA with the name of the device, or why one can't be had."""
    return {name: _why_not(name) or _ready(name) for name in _ENGINES}


def compiles(device: str) -> bool:
    """Whether a device option asks for the engine of compiled code, which can be had."""
    return _place_wanted(device, "cpu") == COMPILED and not _why_not_compiled()


def _name(device: str) -> str:
    """Engine that a device option asks for: a number after "cuda" is not part of its name."""
    return "cuda" if device.startswith("cuda") else device


def _why_not(device: str) -> str:
    """Why an engine can't be had, in one line; empty if it can."""
    name = _name(device)
    reason = devices.why_not(_number(device)) if name == "cuda" else ""
    if device == _ALL and not reason:
        reasons = {number: devices.why_not(number) for number in Several.every().numbers}
        reason = "; ".join(f"cuda:{number}: {why}" for number, why in reasons.items() if why)
    return _why_not_compiled() if name == COMPILED else reason


def _number(device: str) -> int:
    name, _, number = device.partition(":")
    return int(number) if name == "cuda" and number.isdecimal() else 0


def _ready(name: str) -> str:
    if name != "cuda":
        return "ready"
    found = devices.find(0)
    return f"ready ({found.name}, {found.memory_bytes / 2**30:.0f} GiB)"

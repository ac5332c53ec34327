"""Engines: modules with the same functions, and the choice among them."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import cpu
from gpuols.engines import device as devices
from gpuols.engines.fitted import Looks
from gpuols.engines.solution import Solution
from gpuols.engines.tables import Table
from gpuols.engines.workspace import Workspace
from gpuols.errors import DeviceError
from gpuols.moments import Moments


class Engine(Protocol):
    """What an engine module provides; `gpuols.engines.cpu` says what each function means."""

    NAME: str

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
        x: NDArray[Any],
        y: NDArray[Any],
        weights: NDArray[Any] | None,
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

    def unscaled_covariance(
        self,
        moments: Moments,
        ridge: NDArray[np.float64],
        weights: NDArray[np.float64],
        *,
        singular: str = "drop",
        exponent: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """Covariance of combinations of coefficients divided by the residual variance."""

    def run(self, tasks: Any, work: Any, report: Any = None, total: int = 0) -> None:
        """Work through tasks, several at a time."""


_ENGINES: dict[str, Engine] = {cpu.NAME: cpu}

_ABSENT = {
    "cuda": 'this version of gpuols has no CUDA engine; use device="cpu"',
    "cpu:numba": 'this version of gpuols has no compiled CPU engine; use device="cpu"',
}


def choose(device: str) -> Engine:
    """Engine for a device option; never another one than asked for.

    Parameters
    ----------
    device : str
        A checked value of the option.

    Returns
    -------
    Engine
        The module.

    Raises
    ------
    DeviceError
        If that engine can't be had, saying why.
    """
    if device in ("auto", "cpu"):
        device = cpu.NAME
    if reason := _why_not(device):
        raise DeviceError(
            "device", f"{device!r} ({reason})", "'auto' or 'cpu'", 'use device="auto"'
        )
    return _ENGINES[_name(device)]


def available() -> dict[str, str]:
    """Engines by name: "ready", for CUDA with the name of the device, or why one can't be had."""
    return {name: _why_not(name) or _ready(name) for name in (*_ENGINES, *_ABSENT)}


def _name(device: str) -> str:
    """Engine that a device option asks for: a number after "cuda" is not part of its name."""
    return "cuda" if device.startswith("cuda") else device


def _why_not(device: str) -> str:
    """Why an engine can't be had, in one line; empty if it can."""
    name = _name(device)
    reason = devices.why_not(_number(device)) if name == "cuda" else ""
    return reason or ("" if name in _ENGINES else _ABSENT[name])


def _number(device: str) -> int:
    return int(device.partition(":")[2] or 0)


def _ready(name: str) -> str:
    if name != "cuda":
        return "ready"
    found = devices.find(0)
    return f"ready ({found.name}, {found.memory_bytes / 2**30:.0f} GiB)"

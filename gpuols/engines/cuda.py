"""The CUDA engine, for batches, groups of rows, and responses on one design.

Rows that live on the device are read where they are, whatever their strides; rows in host memory
go there through a ring of buffers (ring.py), as many regressions at a time as fit one of them and
a quarter of the free memory, while the device works on those before.

Regressions of at most 4096 rows and 32 columns take one launch, rows to answers
(kernels/fit_batch.cu); longer and wider ones are summed chunk by chunk (gram.cu, panel.cu) and
solved from those sums (solve.cu), which are added in runs first where they are many (fold.cu).
Groups are stretches of one table: those of like size take one launch, with the arithmetic that a
batch of their rows would have. Responses on one design are multiplied with its columns and solved
with its factor, which the host has formed (responses.cu); where each has weights or missing rows of
its own, with the products of its columns (masked.cu).

Rows and residuals are summed in double-double here, too (`precision`, `sharing`), and most
regressions solved from those sums (`verdicts`); what is left, designs that responses share, and
fits that residuals correct are the NumPy engine's work.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import cpu, device, precision, sharing
from gpuols.engines.design import Design
from gpuols.engines.kernels import Kernel
from gpuols.engines.link import between
from gpuols.engines.lots import shape_of
from gpuols.engines.masks import MaskedWork
from gpuols.engines.outputs import Outputs
from gpuols.engines.responses import ResponseWork, moments_of, solution_of
from gpuols.engines.solution import Solution
from gpuols.engines.work import BatchWork, GroupWork, Options, Report, Work, counted
from gpuols.errors import DeviceError
from gpuols.keys import Grouping
from gpuols.moments import Moments
from gpuols.places import CPU, place_of


@dataclass(frozen=True)
class Cuda:
    """The functions of an engine, on one device.

    Attributes
    ----------
    number : int
        Of the device.
    """

    number: int

    @property
    def NAME(self) -> str:  # noqa: N802 (a constant of modules)
        """What a result says of the engine."""
        return f"cuda:{self.number}"

    def at_work(self) -> AbstractContextManager[Any]:
        """Context in which this device is the current one."""
        return device.on(self.number)

    moments_batch = staticmethod(cpu.moments_batch)
    moments_shared = staticmethod(cpu.moments_shared)
    moments_masked = staticmethod(cpu.moments_masked)
    moments_groups = staticmethod(cpu.moments_groups)
    factor_design = staticmethod(cpu.factor_design)
    solve = staticmethod(cpu.solve)
    run = staticmethod(cpu.run)
    WIDEST = math.inf

    def compile_kernel(self, kernel: Kernel) -> None:
        """Compile a kernel for this device."""
        with device.on(self.number):
            device.compile_kernel(kernel)

    def fit_batch(
        self,
        x: Any,
        y: Any,
        weights: Any,
        lead: tuple[int, ...],
        ridge: NDArray[np.float64],
        *,
        centered: bool,
        drop: bool,
        tol: float,
        masked: bool = False,
        batch_size: int | None = None,
        report: Report | None = None,
    ) -> tuple[Moments, Solution, Any]:
        """Moments and answers of a batch in double.

        Parameters
        ----------
        x : (..., n, k)
            Regressors, all on this device or all in host memory.
        y : (..., n, m)
            Responses.
        weights : (..., n) or None
            Inverse variances.
        lead : tuple of int
            Shape L that the leading axes broadcast to, B regressions in all.
        ridge : (B,)
            Penalties.
        centered : bool
            Whether the model has an intercept.
        drop : bool
            Whether a row in which a value is missing is left out.
        tol : float
            Largest error bound that is called OK.
        masked : bool
            Whether X is one matrix, to be read once for many responses, one of each regression.
        batch_size : int, optional
            Regressions worked on together, instead of what the memory allows.
        report : callable, optional
            Called with (done, B).

        Returns
        -------
        moments, solution : Moments, Solution
            L = (B,), where the rows are.
        rejected : (1,)
            On the device: how many regressions call for a closer look.
        """
        shape = shape_of(self.number, x, y, weights, centered=centered, drop=drop)
        options = Options(shape, ridge, tol, batch_size)
        kind = MaskedWork if masked else BatchWork
        return self._fit(kind((x, y, weights), lead or (1,), options), report)

    def fit_groups(
        self,
        x: Any,
        y: Any,
        weights: Any,
        grouping: Grouping,
        ridge: NDArray[np.float64],
        *,
        apart: bool,
        centered: bool,
        drop: bool,
        tol: float,
        batch_size: int | None = None,
        report: Report | None = None,
    ) -> tuple[Moments, Solution, Any]:
        """Moments and answers of the groups of a long table in double.

        Parameters
        ----------
        x : (N, k)
            Regressors, on this device or in host memory.
        y : (N, m)
            Responses, where x is.
        weights : (N,) or None
            Inverse variances, where x is.
        grouping : Grouping
            Which rows belong to which of the G groups.
        ridge : (G,), or (G * m,) where responses are apart
            Penalties.
        apart : bool
            Whether every response keeps rows of its own.
        centered, drop, tol, batch_size, report
            As in `fit_batch`.

        Returns
        -------
        moments, solution, rejected
            As of `fit_batch`, L = (G,), or (G * m,) of one response each.
        """
        own = y[:, :1] if apart else y
        shape = shape_of(self.number, x, own, weights, centered=centered, drop=drop)
        options = Options(shape, ridge, tol, batch_size)
        return self._fit(GroupWork((x, y, weights), grouping, apart, options), report)

    def _fit(
        self, work: BatchWork | GroupWork, report: Report | None
    ) -> tuple[Moments, Solution, Any]:
        shape, on_host = work.options.shape, place_of(work.tables[0]) == CPU
        with device.on(self.number):
            entries = shape.moments, shape.answers, shape.m
            outputs = self._room(entries, work.count, on_host)
            rejected = self._answer(work, outputs, counted(report, work.count))
            return outputs.moments(shape), outputs.solution(shape), rejected

    def _answer(self, work: Work, outputs: Outputs, tell: Callable[[int], None]) -> Any:
        """Answer all of it; how many call for a closer look, (1,)."""
        with between(self.number, work.tables, tell) as link:
            work.answer(self.number, outputs, link, slice(0, work.units))
        return outputs.rejected

    def fit_shared(
        self,
        x: Any,
        weights: Any,
        y: Any,
        design: Moments,
        factored: Design,
        ridge: NDArray[np.float64],
        *,
        tol: float,
        singular: str,
        batch_size: int | None = None,
        report: Report | None = None,
    ) -> tuple[Moments, Solution, Any]:
        """Moments and answers of responses on a design they share, in double.

        Parameters
        ----------
        x : (n, k)
            Regressors, on this device or in host memory.
        weights : (n,) or None
            Inverse variances, where x is.
        y : (n, m)
            Responses, where x is.
        design : Moments
            Of x alone, L = (), m = 0, in double.
        factored : Design
            From `factor_design`.
        ridge : ()
            Penalty.
        singular : str
            What redundant columns get.
        tol, batch_size, report
            As in `fit_batch`.

        Returns
        -------
        moments, solution, rejected
            As of `fit_batch`, L = (), m responses.
        """
        alone = cpu.solve(design, ridge, tol=tol, singular=singular, design=factored)
        rows, kind = (x, weights, y), {"tol": tol, "batch_size": batch_size}
        work = ResponseWork.on(*rows, design, factored, singular, **kind)
        with device.on(self.number):
            outputs = self._room(work.entries, work.count, place_of(y) == CPU)
            rejected = self._answer(work, outputs, counted(report, work.count))
            return moments_of(outputs, design), solution_of(outputs, alone), rejected

    def reduce_batch(self, *rows: Any, **options: Any) -> Moments:
        """Moments in double-double of some regressions of a batch, as `precision.sum_batch`."""
        with device.on(self.number):
            return precision.sum_batch(self.number, *rows, **options)

    def reduce_groups(self, *rows: Any, **options: Any) -> Moments:
        """Moments in double-double of some groups of a table, as `precision.sum_groups`."""
        with device.on(self.number):
            return precision.sum_groups(self.number, *rows, **options)

    def reduce_shared(self, *rows: Any, **options: Any) -> Moments:
        """Moments in double-double of some responses on a design, as `sharing.sum_shared`."""
        with device.on(self.number):
            return sharing.sum_shared(self.number, *rows, **options)

    def _room(self, entries: tuple[int, int, int], count: int, on_host: bool) -> Outputs:
        try:
            return Outputs.empty(entries, count, on_host=on_host)
        except device.OutOfMemory as error:
            raise DeviceError(
                "device",
                f"{count:,} regressions whose answers the free memory of {self.NAME} does not hold",
                "fewer regressions at a time",
                "free memory of the device, or pass arrays in host memory",
            ) from error

    def check_moments(self) -> None:
        """Raise: moments are small, and solved in host memory."""
        raise DeviceError(
            "device",
            f"{self.NAME} for moments, which are small",
            "rows, all that is worked on there",
            'leave the option out, or use device="cpu"',
        )

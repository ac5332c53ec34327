"""The CUDA engine, for batches of regressions and for groups of rows.

Rows that live on the device are read where they are, whatever their strides; rows in host memory
are copied over, as many regressions at a time as fit in a share of the free memory. Regressions
of at most 4096 rows and 32 columns take one launch, rows to answers (kernels/fit_batch.cu); longer
and wider ones are summed chunk by chunk (gram.cu, panel.cu) and solved from those sums (solve.cu).
Groups are stretches of one table: those of like size take one launch, with the arithmetic that a
batch of their rows would have.
Rows and residuals are summed in double-double here, too (`precision`); to solve from those sums is
the NumPy engine's work.
"""

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import cpu, device, precision
from gpuols.engines.batches import Batch, Report, counted
from gpuols.engines.design import Design
from gpuols.engines.fitted import Looks
from gpuols.engines.kernels import Kernel
from gpuols.engines.launches import Shape
from gpuols.engines.lots import lines, shape_of
from gpuols.engines.outputs import Outputs
from gpuols.engines.pieces import classes, pieces
from gpuols.engines.responses import Responses
from gpuols.engines.solution import Solution
from gpuols.engines.tables import Table
from gpuols.engines.workspace import Workspace
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

    moments_shared = staticmethod(cpu.moments_shared)
    moments_masked = staticmethod(cpu.moments_masked)
    moments_groups = staticmethod(cpu.moments_groups)
    factor_design = staticmethod(cpu.factor_design)
    solve = staticmethod(cpu.solve)
    unscaled_covariance = staticmethod(cpu.unscaled_covariance)
    run = staticmethod(cpu.run)

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
        count = math.prod(lead)
        shape = shape_of(self.number, x, y, weights, centered=centered, drop=drop)
        tables = [
            table if table is None else np.broadcast_to(table, (*lead, *table.shape[-inner:]))
            for table, inner in ((x, 2), (y, 2), (weights, 1))
        ]
        with device.on(self.number):
            outputs = self._room(shape, count, isinstance(x, np.ndarray))
            batch = Batch(self.number, shape, tol, outputs)
            told = counted(report, count)
            for places, parts in lines(tables, lead):
                for number in batch.answer(places, parts, ridge, batch_size):
                    told(number)
            return outputs.moments(shape), outputs.solution(shape), outputs.rejected

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
        each = range(y.shape[1]) if apart else (None,)
        total, on_host = len(grouping.counts) * len(each), place_of(x) == CPU
        own = y[:, :1] if apart else y
        shape = shape_of(self.number, x, own, weights, centered=centered, drop=drop)
        told = counted(report, total)
        with device.on(self.number):
            outputs = self._room(shape, total, on_host)
            for piece in pieces(x, y, weights, grouping, shape, self.number):
                for n, groups in classes(piece.lengths, shape):
                    batch = Batch(self.number, replace(shape, n=n), tol, outputs)
                    for r, response in enumerate(each):
                        stretches = piece.of(groups, response)
                        places = (piece.start + groups) * len(each) + r
                        for number in batch.answer(places, stretches, ridge, batch_size):
                            told(number)
                        del stretches
                del piece  # before the next one is brought over
            return outputs.moments(shape), outputs.solution(shape), outputs.rejected

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
        told = counted(report, y.shape[1])
        with device.on(self.number):
            responses = Responses.on(self.number, x, weights, y, design, factored, singular)
            for number in responses.answer(tol, batch_size):
                told(number)
            return responses.moments(design), responses.solution(alone), responses.rejected

    def reduce_batch(self, *rows: Any, **options: Any) -> Moments:
        """Moments in double-double of some regressions of a batch, as `precision.sum_batch`."""
        with device.on(self.number):
            return precision.sum_batch(self.number, *rows, **options)

    def reduce_groups(self, *rows: Any, **options: Any) -> Moments:
        """Moments in double-double of some groups of a table, as `precision.sum_groups`."""
        with device.on(self.number):
            return precision.sum_groups(self.number, *rows, **options)

    def _room(self, shape: Shape, count: int, on_host: bool) -> Outputs:
        try:
            entries = shape.moments, shape.answers, shape.m
            return Outputs.empty(entries, count, on_host=on_host)
        except device.OutOfMemory as error:
            raise DeviceError(
                "device",
                f"{count:,} regressions whose answers the free memory of {self.NAME} does not hold",
                "fewer regressions at a time",
                "free memory of the device, or pass arrays in host memory",
            ) from error

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
        """Moments of some regressions, by the NumPy engine; parameters as `cpu.moments_batch`."""
        every = slice(None)
        own = x[which, every]
        return cpu.moments_batch(
            own,
            y[which, every],
            None if weights is None else weights[which, every],
            np.arange(len(own)) if precise else slice(0, len(own)),
            centered=centered,
            drop=drop,
            precise=precise,
            fitted=fitted,
            space=space,
        )

    def check_moments(self) -> None:
        """Raise: moments are small, and solved in host memory."""
        raise DeviceError(
            "device",
            f"{self.NAME} for moments, which are small",
            "rows, all that is worked on there",
            'leave the option out, or use device="cpu"',
        )

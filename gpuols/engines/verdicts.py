"""Verdicts: answers from sums in double-double, given on the device where these were formed.

From sums in double-double they have the bits of the NumPy engine's, but for the error of choosing
the shortest solution, which comes of the device's own logarithms. From anchored sums they stand
where those could not give another status, nor a number that differs by more than its last digits;
else they are in doubt, and not given. Left to the NumPy engine are regressions whose moments have
units, and wide ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device, launches
from gpuols.engines.batches import start
from gpuols.engines.launches import Shape
from gpuols.engines.outputs import solution_from
from gpuols.engines.passes import Passes
from gpuols.engines.solution import Solution

WIDEST = 64  # columns, a bit each in kernels/pivots.cuh
EXTREME, _REDUNDANT, IN_DOUBT = 2, 4, 8  # bits of Finding, kernels/dealing.cuh
_BLOCKS = 512  # that look for shortest solutions at a time

Given = tuple[Any, Any]
"""Answers (entries, b) and statuses (m, b) on the device."""


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Room for the answers to some regressions, and by what options they are found.

    Attributes
    ----------
    places : (b,)
        Their numbers among those that there is room for.
    ridge : (b,)
        Their penalties.
    tol : float
        Largest error bound that is called OK.
    singular : str
        What redundant columns get.
    solution : Solution
        Answers, L = (r,), in host memory.
    done : (r,)
        Which of them are there.
    """

    places: NDArray[np.int64]
    ridge: NDArray[np.float64]
    tol: float
    singular: str
    solution: Solution
    done: NDArray[np.bool_]

    @classmethod
    def empty(
        cls, ridge: NDArray[np.float64], sizes: tuple[int, int], tol: float, singular: str
    ) -> Self:
        """Room for the p coefficients of m responses of regressions with penalties (r,)."""
        count = len(ridge)
        solution, done = Solution.empty(count, *sizes), np.zeros(count, bool)
        return cls(np.arange(count), ridge, tol, singular, solution, done)

    def stand_on_anchored_sums(self, shape: Shape) -> bool:
        """Whether anchored sums are worth trying: a response tells where they are in doubt."""
        return shape.k <= WIDEST and shape.m > 0

    def of(self, where: Any) -> Self:
        """The same for some of the regressions."""
        return replace(self, places=self.places[where], ridge=self.ridge[where])

    def find(self, passes: Passes) -> Given | None:
        """Answers from what passes over the rows have left; None for wide regressions.

        Their sums are changed; to their findings are added whether columns are redundant, and
        whether the answers of anchored sums are in doubt.
        """
        shape, sums, starts, finding = passes.shape, passes.sums, passes.lot.starts, passes.finding
        if shape.k > WIDEST:
            return None
        count, launch = len(self.places), launches.solve_precise(shape)
        answers = device.empty((shape.answers, count), np.float64)
        status = device.empty((shape.m, count), np.int8)
        ridge = device.upload(self.ridge) if self.ridge.any() else None
        options = [
            np.int32(passes.anchored),
            np.float64(self.tol),
            np.int32(self.singular == "nan"),
        ]
        sizes = np.int32(shape.k), np.int32(shape.m), np.int64(shape.chunks), np.int64(count)
        given = [sums, ridge, starts, *options, np.int32(shape.centered), *sizes]
        start(launch, count, [*given, finding, answers, status, np.int64(count)])
        if self.singular == "min_norm" and not passes.anchored:
            which = np.flatnonzero(device.download(finding) & _REDUNDANT)
            self._shorten(shape, [sums, starts], which, [answers, status, np.int64(count)])
        return answers, status

    def _shorten(
        self, shape: Shape, moments: list[Any], which: NDArray[np.int64], room: list[Any]
    ) -> None:
        """Put the shortest solutions into the places of some answers."""
        if not len(which):
            return
        launch, numbers = launches.shortest(shape)
        blocks = min(launch.grid(len(which)), _BLOCKS)
        spare = device.empty((blocks * launch.round, numbers), np.float64)
        kind = np.float64(self.tol), np.int32(shape.centered), np.int32(shape.k), np.int32(shape.m)
        given = [*moments, device.upload(which), *kind, np.int64(shape.chunks)]
        given += [np.int64(len(which)), spare, *room]
        device.launch(launch.kernel, blocks, launch.block, given)

    def store(self, shape: Shape, given: Given | None, marks: NDArray[np.int8]) -> None:
        """Put what was found into its place, but what is in doubt or left to the NumPy engine."""
        if given is None:
            return
        fine = np.flatnonzero((marks & (EXTREME | IN_DOUBT)) == 0)
        where = self.places[fine]
        answers, status = (device.download(array)[:, fine] for array in given)
        precise = np.ones((len(fine), shape.m), bool)
        self.solution.store(where, solution_from(answers, status, precise, shape))
        self.done[where] = True

    def completed(self, solve: Callable[[NDArray[np.int64]], Solution]) -> Solution:
        """All answers; `solve` gives those that are missing, by their numbers."""
        missing = np.flatnonzero(~self.done)
        if len(missing):
            self.solution.store(missing, solve(missing))
        return self.solution

"""Small batches that together reach every line and every barrier of the kernels.

Each is answered by one block where the engine would take many, so that shared memory is used
again.
"""

from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple
from unittest import mock

import numpy as np
from emulator import standin

from gpuols.engines import cpu, device, launches
from gpuols.engines.batches import fold
from gpuols.engines.cuda import Cuda
from gpuols.engines.lots import Lot
from gpuols.engines.verdicts import Verdicts
from gpuols.engines.workspace import Workspace


class Scene(NamedTuple):
    """One batch.

    Attributes
    ----------
    n, k, m, count : int
        Rows, columns and responses of each regression, and how many there are.
    real : dtype
        Of X and y.
    centered, weighted, drop : bool
        Whether there is an intercept; weights; missing values to leave out.
    ridge : float
        Penalty.
    crowded : bool
        Whether a block takes as many regressions at a time as it can.
    by_library : bool
        Whether cuSOLVER factors, however few columns there are.
    precise : bool
        Whether rows, and residuals, are summed in double-double, and answered from that alone.
    redundant : bool
        Whether the last two columns repeat others and the shortest solution is wanted.
    """

    n: int
    k: int
    m: int
    count: int
    real: type = np.float64
    centered: bool = True
    weighted: bool = False
    drop: bool = False
    strange: bool = False
    ridge: float = 0.0
    crowded: bool = False
    by_library: bool = False
    precise: bool = False
    redundant: bool = False

    def answer(self) -> list[np.ndarray]:
        """All that the engine gives for it."""
        x, y, weights = self._data()
        kind = {"centered": self.centered, "drop": self.drop}
        limits = {"_GRID": 1}
        if self.crowded:
            limits["_ROUNDS"] = 0
        if self.by_library:
            limits["_WIDEST_BLOCK"] = 0
        with mock.patch.multiple(launches, **limits):
            if self.precise:
                given = (x, y, weights), (self.count,), np.arange(self.count)
                sizes, penalties = (self.k + self.centered, self.m), np.full(self.count, self.ridge)
                policy = "min_norm" if self.redundant else "nan"
                asked = Verdicts.empty(penalties, sizes, 1e-10, policy)
                moments = Cuda(0).reduce_batch(*given, asked=asked, **kind)
                looks = [moments] if self.m else []
                rest = Cuda(0).reduce_batch(*given, fitted=looks, **kind)
                found = [*vars(moments.low).values(), *vars(rest.low).values(), moments.raw]
                asked.solution.map(lambda a: found.append(a[asked.done]))
                return [*found, asked.done]
            moments, solution, rejected = Cuda(0).fit_batch(
                x,
                y,
                weights,
                (self.count,),
                np.full(self.count, self.ridge),
                **kind,
                tol=1e-10,
            )
        found = []
        moments.map(found.append)
        solution.map(found.append)
        return [*found, device.download(rejected)]

    def _data(self):
        rng = np.random.default_rng(self.n)
        x = rng.normal(3, 1, (self.count, self.n, self.k)).astype(self.real)
        if self.redundant:
            x[..., -1], x[..., -2] = x[..., 0] - x[..., 1], x[..., 1]
        y = x.sum(-1, keepdims=True) + rng.normal(size=(self.count, self.n, self.m))
        y = y.astype(self.real)
        if self.drop:
            x[0, ::5, -1:] = np.nan
        weights = rng.uniform(0.5, 2, (self.count, self.n))
        weights[:, ::7] = 0
        if self.strange:
            y[0, -1] = np.nan
            x[1, :, -1] = x[1, :, 0]
            weights[2] = 0
        if self.precise:
            x[1, ::2] -= 1e3  # about a mean that is far from any row
            weights[0, 0] = 1e-310
        return x, y, weights if self.weighted else None


class Responses(NamedTuple):
    """Responses on one design; attributes as those of `Scene`.

    Attributes
    ----------
    redundant : bool
        Whether one column repeats another and the shortest solution is wanted.
    """

    n: int
    k: int
    m: int
    real: type = np.float64
    centered: bool = True
    weighted: bool = False
    ridge: float = 0.0
    redundant: bool = False

    def answer(self) -> list[np.ndarray]:
        """All that the engine gives for them."""
        rng = np.random.default_rng(self.n)
        x = rng.normal(3, 1, (self.n, self.k)).astype(self.real)
        if self.redundant:
            x[:, -1] = x[:, 0] - x[:, 1]
        y = (x.sum(-1, keepdims=True) + rng.normal(size=(self.n, self.m))).astype(self.real)
        y[1, 0], y[:, 1] = np.nan, x[:, 0]
        weights = rng.uniform(0.5, 2, self.n) if self.weighted else None
        if self.weighted:
            weights[::7] = 0
        design = cpu.moments_batch(
            x[None],
            np.empty((1, self.n, 0)),
            None if weights is None else weights[None],
            np.zeros(1, np.int64),
            centered=self.centered,
            drop=False,
            precise=True,
            space=Workspace(),
        ).reshape(())
        ridge = np.array(self.ridge)
        factored = cpu.factor_design(design, ridge, singular="min_norm")
        plain = replace(design, low=None, units=None, precise=False)
        with mock.patch.multiple(launches, _GRID=1):
            moments, solution, rejected = Cuda(0).fit_shared(
                x, weights, y, plain, factored, ridge, tol=1e-10, singular="min_norm"
            )
        found = []
        moments.map(found.append)
        solution.map(found.append)
        return [*found, device.download(rejected)]


class Masked(NamedTuple):
    """Responses on one design, each with rows of its own; attributes as those of `Scene`.

    Attributes
    ----------
    m : int
        How many there are.
    strange : bool
        Whether some have no rows, some a row that is not finite and some weights that are heavy.
    """

    n: int
    k: int
    m: int
    real: type = np.float64
    centered: bool = True
    weighted: bool = False
    drop: bool = False
    strange: bool = False

    def answer(self) -> list[np.ndarray]:
        """All that the engine gives for them."""
        rng = np.random.default_rng(self.n)
        x = rng.normal(3, 1, (self.n, self.k)).astype(self.real)
        y = (x.sum(-1) + rng.normal(size=(self.m, self.n))).astype(self.real)
        weights = rng.uniform(0.5, 2, (self.m, self.n)) if self.weighted else None
        if self.drop:
            x[3], y[::3, ::7], y[1], y[4, 2:-1] = np.nan, np.nan, np.nan, np.nan
        if self.strange:
            x[5, -1], weights[1:, 5], weights[2] = np.inf, 0, 1e30
        kind = {"centered": self.centered, "drop": self.drop}
        given = x, y[..., None], weights, (self.m,), np.zeros(self.m)
        with mock.patch.multiple(launches, _GRID=1):
            moments, solution, rejected = Cuda(0).fit_batch(*given, tol=1e-10, masked=True, **kind)
        found = []
        moments.map(found.append)
        solution.map(found.append)
        return [*found, device.download(rejected)]


class Folds(NamedTuple):
    """Sums of many chunks, made up, that are added in runs.

    Attributes
    ----------
    chunks : tuple of int
        Of each regression.
    precise : bool
        Whether they are in double-double; then only the first regression is added.
    k, m : int
        Columns and responses of each.
    """

    chunks: tuple[int, ...]
    precise: bool
    k: int = 2
    m: int = 1

    @property
    def shape(self) -> launches.Shape:
        """As the engine has it."""
        rows = max(self.chunks) * launches.CHUNK
        return launches.Shape(rows, self.k, self.m, "double", True, False, False)

    def sums(self) -> np.ndarray:
        """What is to be added."""
        shape, rng = self.shape, np.random.default_rng(len(self.chunks))
        high = rng.normal(size=(sum(self.chunks), shape.sums))
        if not self.precise:
            return high
        low = high * rng.uniform(-(2.0**-54), 2.0**-54, high.shape)
        return np.concatenate([high, low, rng.uniform(1, 2, (len(high), 2))], axis=1)

    def answer(self) -> list[np.ndarray]:
        """All sums after that."""
        starts = np.concatenate([[0], np.cumsum(self.chunks)])
        count, all_chunks = len(self.chunks), int(starts[-1])
        owners = np.repeat(np.arange(count, dtype=np.int32), self.chunks)
        places = {"owners": device.upload(owners), "starts": device.upload(starts)}
        lot = Lot(count, all_chunks, None, None, None, **places)
        far = device.upload(np.eye(1, count, dtype=np.int8)[0]) if self.precise else None
        there = device.upload(self.sums())
        with mock.patch.multiple(launches, _GRID=1):
            fold(self.shape, lot, there, self.precise, far)
        return [device.download(there)]


SCENES = (
    Scene(20, 3, 1, 9, ridge=1.0),
    Scene(20, 2, 2, 35, drop=True, crowded=True),
    Scene(20, 3, 1, 9, weighted=True, strange=True),
    Scene(300, 9, 1, 5, centered=False),
    Scene(1030, 17, 1, 2, np.float32, weighted=True),
    Scene(4100, 3, 1, 2, weighted=True, drop=True),
    Scene(4100, 3, 1, 5, ridge=1.0),
    Scene(40, 31, 2, 5),
    Scene(40, 35, 2, 2, ridge=1.0, weighted=True),
    Scene(20, 70, 2, 2, ridge=1.0),
    Scene(20, 3, 70, 2),
    Scene(40, 33, 2, 2, by_library=True),
    Scene(40, 33, 0, 2, centered=False, by_library=True),
    Responses(40, 3, 70, weighted=True),
    Responses(20, 9, 10, np.float32, ridge=1.0),
    Responses(30, 20, 10, redundant=True),
    Responses(60, 40, 10, centered=False, redundant=True),
    Responses(4100, 3, 10, weighted=True),
    Scene(20, 5, 2, 18, weighted=True, strange=True, precise=True),
    Scene(30, 9, 0, 6, ridge=1.0, precise=True),
    Scene(40, 33, 1, 2, ridge=1.0, precise=True),
    Scene(4100, 5, 1, 2, weighted=True, precise=True),
    Scene(40, 1, 5, 2, np.float32, precise=True),
    Masked(40, 3, 70, weighted=True, drop=True, strange=True),
    Masked(30, 9, 10, np.float32, centered=False, drop=True),
    Masked(4100, 1, 3, weighted=True),
    Scene(20, 5, 2, 18, precise=True, redundant=True),
    Scene(30, 9, 1, 6, weighted=True, centered=False, precise=True, redundant=True),
    Scene(40, 33, 1, 2, precise=True, redundant=True),
    Folds((35, 16, 17), precise=False),
    Folds((35, 16, 17), precise=True),
)


@contextmanager
def engine(mode, order="fifo"):
    """The engine on the stand-in, with kernels built anew; yields the machine."""
    device.forget()
    with standin.installed(mode=mode, order=order) as machine:
        yield machine
    device.forget()

"""Groups: long tables of many small groups or of one long one, rows in no order, on the device."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import gpuols
from benchmarks.cuda import solo
from benchmarks.machine import Machine, on_host
from benchmarks.timing import Deadline
from benchmarks.turns import OURS

Row = dict[str, Any]
Data = tuple[Any, Any, Any]

_SAMPLE = 8


@dataclass(frozen=True)
class Groups:
    """One table of groups of equal size, with keys that tell them apart.

    Attributes
    ----------
    letter : str
        What it is called for short.
    count, n, k : int
        Groups, rows of each and columns.
    design_ms : dict
        Floor by device that was designed for: none was.
    """

    letter: str
    count: int
    n: int
    k: int
    design_ms: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Letter and sizes."""
        return f"{self.letter}: {self.count:,} groups of ({self.n:,} x {self.k}), rows in no order"

    def bytes(self) -> int:
        """Bytes of X, y and the keys, each read once."""
        return self.count * self.n * (self.k + 2) * 8

    def flops(self) -> int:
        """Operations for half of the symmetric Gram matrix of [1 X y]."""
        return self.count * self.n * (self.k + 2) * (self.k + 3)

    def make(self, xp: Any, seed: int = 1) -> Data:
        """X (N, k), y (N,) and the key of each row (N,), an integer."""
        rng, rows = np.random.default_rng(seed), self.count * self.n
        keys = rng.permutation(np.repeat(np.arange(self.count), self.n))
        X = rng.standard_normal((rows, self.k))
        y = X.sum(axis=1) + rng.standard_normal(rows)
        return xp.asarray(X), xp.asarray(y), xp.asarray(keys)


GROUPS = (Groups("G", 1_000_000, 3, 1), Groups("L", 1, 10_000_000, 4))
QUICK = (Groups("G", 2_000, 3, 1), Groups("L", 1, 100_000, 4))
"""The same with fewer rows: to see that everything runs, not how fast."""


def measure(
    case: Groups, machine: Machine, floors: dict[str, Any], rounds: int, deadline: Deadline
) -> list[Row]:
    """A row for fits by keys and by offsets, and one for the array library's grouping alone."""
    machine.free()
    X, y, keys = case.make(machine.xp)
    order = machine.xp.argsort(keys)
    offsets = np.arange(case.count + 1) * case.n
    options = {"add_intercept": True, "device": machine.device}
    sorted_rows = X[order], y[order]
    work: dict[str, Callable[[], Any]] = {
        OURS: partial(gpuols.fit_groups, X, y, keys, **options),
        "gpuols, rows in order": partial(
            gpuols.fit_groups, *sorted_rows, offsets=offsets, **options
        ),
        "unique of the keys alone": partial(machine.xp.unique, keys, return_inverse=True),
    }
    data = X, y, keys
    wrong = partial(errors, data=data, count=case.count)
    return solo.measure(case, machine, floors, rounds, deadline, work, wrong)


def errors(result: gpuols.Result, data: Data, count: int) -> dict[str, float]:
    """Largest relative error of each answer over a sample of the groups, against the CPU."""
    X, y, keys = map(on_host, data)
    which = np.unique(np.linspace(0, count - 1, _SAMPLE).astype(int))
    some = np.isin(keys, which)
    right = gpuols.fit_groups(X[some], y[some], keys[some], add_intercept=True, device="cpu:numpy")
    return solo.against(right, result, which)

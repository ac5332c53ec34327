"""Cases that nobody else fits: gpuols in several ways, beside a part of the work by itself."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np

import gpuols
from benchmarks import turns
from benchmarks.cuda.answers import TOLERANCE
from benchmarks.floors import floor_s
from benchmarks.machine import Machine, on_host
from benchmarks.timing import Deadline, Turn, timed, warm
from benchmarks.turns import OURS, Entrant

Row = dict[str, Any]


class Solo(Protocol):
    """What is measured of a case.

    Attributes
    ----------
    letter : str
        What it is called for short.
    count : int
        Regressions.
    """

    @property
    def letter(self) -> str:
        """What it is called for short."""

    @property
    def count(self) -> int:
        """Regressions."""

    def bytes(self) -> int:
        """Bytes of the data, each read once."""

    def flops(self) -> int:
        """Operations."""


def measure(
    case: Solo,
    machine: Machine,
    floors: dict[str, Any],
    rounds: int,
    deadline: Deadline,
    work: dict[str, Callable[[], Any]],
    errors: Callable[[gpuols.Result], dict[str, float]],
) -> list[Row]:
    """A row for each kind of work, the first of which is what others are held against.

    Parameters
    ----------
    case, machine, floors, rounds, deadline
        As `benchmarks.cuda.measure.measure`.
    work : dict
        By name: what is timed. Names that start with gpuols' are its own, and give a result.
    errors : callable
        Largest relative error of each answer of a result.

    Returns
    -------
    list of dict
        As `benchmarks.cuda.measure.measure`.
    """
    size, flops = case.bytes(), case.flops()
    facts = {"case": case.letter, "count": case.count, "bytes": size, "flops": flops}
    facts |= {"from_host": False, "floor_s": floor_s(floors, size, flops)}
    time_one = partial(timed, wait=machine.wait)

    def prepare(run: Callable[[], Any], row: Row) -> Turn:
        turn = warm(lambda _: run, case.count, time_one)
        if row["ours"]:
            row["errors"] = errors(turn.output)
            row["right"] = max(row["errors"].values()) <= TOLERANCE
            row["engine"] = turn.output.engine
            row["solved_precisely"] = int(on_host(turn.output.solved_precisely).sum())
        turn.output = None
        return turn

    entrants = [
        Entrant(who, who.startswith(OURS), partial(prepare, run)) for who, run in work.items()
    ]
    return turns.measure(entrants, facts, time_one, rounds, deadline, machine.free)


def against(right: gpuols.Result, result: gpuols.Result, which: Any) -> dict[str, float]:
    """Largest relative error of some regressions of a result; coefficients beside the largest."""
    found = {}
    for name in ("params", "bse", "ssr"):
        expected = getattr(right, name)
        wrong = np.abs(on_host(getattr(result, name))[which] - expected)
        size = np.abs(expected)
        size = size if name == "ssr" else size.max(axis=1, keepdims=True)
        found[name] = float(np.max(np.nan_to_num(wrong / size, nan=1.0)))
    same = np.array_equal(on_host(result.status)[which], right.status)
    return {**found, "status": 0.0 if same else 1.0}

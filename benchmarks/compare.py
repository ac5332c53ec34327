"""gpuols and its rivals side by side: ``python -m benchmarks.compare``.

Each round times gpuols and the rival once, one after the other, so that what else the machine
does falls on both; medians over the rounds are compared. The answers are checked before any is
timed. Then one more fit is timed on one thread, function by function: the share of the shift to
the anchor and of the error bound in gpuols' own time.

With ``--device cuda``, `benchmarks.cuda` does the like on a device, against other libraries and
against what the device can do at best.
"""

import argparse
import contextlib
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import record
from benchmarks.cases import CASES, Case
from benchmarks.cuda import run
from gpuols.engines import gram, precise, shared, solve
from gpuols.options import THREADS_VARIABLE

_PARTS = {
    "shift": [
        (gram, "anchors"),
        (gram, "_load"),
        (shared, "_anchor"),
        (shared, "_shift_tiles"),
        (precise, "load"),
    ],
    "bound": [(solve, "error_bound")],
}


_ROUNDS = 9


def main() -> None:
    """Run the cases asked for, print a table, write JSON if asked to."""
    arguments = parser().parse_args()
    if arguments.device == "cuda":
        sys.exit(run.main(arguments))
    rounds = arguments.rounds or _ROUNDS
    print(f"{'case':<48}{'gpuols ms':>11}{'rival ms':>10}{'ratio':>7}{'limit':>7}", end="")
    print("  shift  bound  rival")
    found = []
    for case in CASES:
        if arguments.only in case.name:
            found.append(measure(case, rounds))
            print(_line(found[-1]), flush=True)
    if arguments.json:
        record.write(arguments.json, {**record.machine(), "rounds": rounds, "cases": found})


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    found.add_argument("--rounds", type=int, help="times each is run, at most")
    found.add_argument("--only", default="", help="cases whose name contains this")
    found.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="what runs gpuols")
    found.add_argument("--quick", action="store_true", help="cuda: small cases, to see them run")
    found.add_argument("--commit", help="cuda: what is measured, where git can't say")
    found.add_argument("--json", type=Path, help="file to write the figures to")
    return found


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """Medians of a case, their ratio, and the shares of gpuols' time."""
    data = case.make()
    case.check(data)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_seconds(case.fit, data))
        theirs.append(_seconds(case.rival, data))
    return {
        "case": case.name,
        "rival": case.rival_name,
        "gpuols_s": statistics.median(ours),
        "rival_s": statistics.median(theirs),
        "ratio": statistics.median(ours) / statistics.median(theirs),
        "limit": case.limit,
        "shares": _shares(case, data),
    }


def _seconds(function: Callable[..., Any], data: tuple[Any, ...]) -> float:
    gc.collect()
    start = time.perf_counter()
    function(*data)
    return time.perf_counter() - start


def _shares(case: Case, data: tuple[Any, ...]) -> dict[str, float]:
    """Share of the shift and of the bound in the time of one fit on one thread."""
    spent = dict.fromkeys(_PARTS, 0.0)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, {THREADS_VARIABLE: "1"}))
        for part, functions in _PARTS.items():
            for module, name in functions:
                timed = _timed(getattr(module, name), part, spent)
                stack.enter_context(mock.patch.object(module, name, timed))
        whole = _seconds(case.fit, data)
    return {part: spent[part] / whole for part in _PARTS}


def _timed(function: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[part] += time.perf_counter() - start

    return call


def _line(row: dict[str, Any]) -> str:
    shares = row["shares"]
    return (
        f"{row['case']:<48}{row['gpuols_s'] * 1e3:>11.1f}{row['rival_s'] * 1e3:>10.1f}"
        f"{row['ratio']:>7.2f}{row['limit']:>7.1f}{shares['shift']:>7.0%}{shares['bound']:>7.0%}"
        f"  {row['rival']}"
    )


if __name__ == "__main__":
    main()

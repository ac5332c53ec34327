"""All cases on the CPU: floors, then everyone in turn, memory, how time grows, and the goals."""

import argparse
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

import gpuols
from benchmarks import record
from benchmarks.cpu import floors, goals, measure, peak, plot, rivals, scaling, shares, table
from benchmarks.cpu.answers import TOLERANCE
from benchmarks.cpu.cases import Case
from benchmarks.cpu.cases import every as every
from benchmarks.cpu.others import Others
from benchmarks.timing import Deadline
from benchmarks.turns import OURS, broken
from gpuols.errors import DeviceError

PEERS = tuple(rivals.RIVALS)
_ROUNDS = 9
_SECONDS = 3_600.0
"""What all cases may take together, beyond what gpuols and three rounds of the rest need."""


def main(arguments: argparse.Namespace, cases: list[Case], peers: list[str]) -> int:
    """Exit code: 0, or 1 if gpuols failed or was wrong, or 2 where it can't run."""
    why = missing(arguments.device)
    if why:
        print(f"gpuols can't be measured: {why}", file=sys.stderr)
        return 2
    deadline, rounds = Deadline(_SECONDS), arguments.rounds or _ROUNDS
    figures = {**record.machine(), "blas": _blas()}
    figures["commit"] = arguments.commit or figures["commit"]
    figures["versions"] |= _versions()
    figures |= {"command": sys.argv[1:], "device": arguments.device, "quick": arguments.quick}
    figures |= {"rounds": rounds, "tolerance": TOLERANCE}
    figures["floors"] = floors.measure(arguments.quick)
    _show([_heading(figures), *table.floor_lines(figures["floors"])])
    figures |= {"cases": [], "goals": []}
    for place, case in enumerate(cases):
        until = deadline.share(len(cases) - place)
        found = _measure(case, arguments, peers, figures["floors"], rounds, until)
        figures["cases"].append(found)
        if not arguments.quick:
            figures["goals"] += goals.judge(case.letter, found["rows"])
        _show(["", *table.case_lines(found)])
        record.keep(arguments.out, figures)
    if arguments.plot:
        sizes = scaling.measure(arguments.device, figures["floors"], rounds, arguments.quick)
        figures["scaling"] = sizes
        _show(["", *table.scaling_lines(sizes)])
    record.finish(arguments.out, figures)
    if arguments.plot:
        plot.draw(arguments.plot, figures)
    _show(["", *table.goal_lines(figures["goals"])])
    return int(any(broken(row) for case in figures["cases"] for row in case["rows"]))


def missing(device: str) -> str | None:
    """Why gpuols can't run on a device, or None."""
    try:
        gpuols.fit(np.ones((3, 1)), np.arange(3.0), device=device)
    except DeviceError as error:
        return str(error)
    return None


def _measure(
    case: Case,
    arguments: argparse.Namespace,
    peers: list[str],
    rates: dict[str, Any],
    rounds: int,
    until: Deadline,
) -> dict[str, Any]:
    """Rows of a case, with peaks, and the shares of gpuols' own time where it is NumPy's."""
    device, data = arguments.device, case.make()
    others = Others()
    rows = measure.measure(case, data, device, peers, rates, rounds, until)
    busy = others.processors()
    parts = None
    own = rivals.ours(device, case)[0]
    if rows[0].get("engine", "").startswith("cpu:numpy"):
        parts = shares.measure(partial(own.run, data))
    del data
    for row in rows:
        if "seconds" not in row or (arguments.quick and not _has_memory_goal(row)):
            continue
        used = peak.measure(case, row["who"], row["part"], device, arguments.quick)
        row["peak_failed"] = used.pop("failed", "")
        row |= used
    facts = {"letter": case.letter, "case": case.name, "others_busy": busy}
    return {**facts, "shares": parts, "rows": rows}


def _has_memory_goal(row: dict[str, Any]) -> bool:
    return row["who"] == OURS and row["case"] in goals.MEMORY


def _versions() -> dict[str, str]:
    found = {}
    for name in rivals.LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _blas() -> list[dict[str, Any]]:
    """Libraries of linear algebra in this process, their kernels and threads."""
    keys = ("internal_api", "version", "architecture", "num_threads")
    return [{key: one.get(key) for key in keys} for one in threadpool_info()]


def _heading(figures: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {which}" for name, which in figures["versions"].items())
    cores = f"{figures['threads']} threads"
    return f"{figures['processor']}, {cores}, {figures['commit']}, {versions}"


def _show(lines: list[str]) -> None:
    print(*lines, sep="\n", flush=True)

"""All cases on the CUDA device: floors, then everyone in turn, then the goals."""

import argparse
import sys
from functools import partial
from typing import Any

from benchmarks import record
from benchmarks.cuda import floors, goals, groups, masks, measure, rivals, table
from benchmarks.cuda.answers import TOLERANCE
from benchmarks.cuda.cases import CASES, QUICK
from benchmarks.cuda.machine import cuda, missing
from benchmarks.machine import Machine
from benchmarks.timing import Deadline
from benchmarks.turns import broken

_KINDS = {groups.Groups: groups, masks.Masked: masks}
PEERS = tuple(dict.fromkeys([*rivals.RIVALS, *rivals.SHARED]))
_ROUNDS = 15
_SECONDS = 190.0
"""What all cases may take together, beyond what gpuols and three rounds of the rest need."""


def every(quick: bool) -> list[Any]:
    """All cases; few regressions of each where quick."""
    if quick:
        return [*QUICK, *groups.QUICK, *masks.QUICK]
    return [*CASES, *groups.GROUPS, *masks.MASKED]


def main(arguments: argparse.Namespace, chosen: list[Any], peers: list[str]) -> int:
    """Exit code: 0, or 1 if gpuols failed or was wrong, or 2 without a device."""
    why = missing()
    if why:
        print(f"no CUDA device to measure on: {why}", file=sys.stderr)
        return 2
    facts = {**record.machine(), **record.device()}
    return on(cuda(), arguments, chosen, peers, facts)


def on(
    machine: Machine,
    arguments: argparse.Namespace,
    chosen: list[Any],
    peers: list[str],
    figures: dict[str, Any],
) -> int:
    """Measure on a machine, print as it goes, write JSON if asked to."""
    deadline = Deadline(_SECONDS)
    figures["commit"] = arguments.commit or figures["commit"]
    figures |= {"quick": arguments.quick, "rounds": arguments.rounds or _ROUNDS}
    figures["tolerance"] = TOLERANCE
    figures["floors"] = floors.measure(machine, arguments.quick)
    _show([_heading(figures), *table.floor_lines(figures["floors"])])
    figures |= {"cases": [], "goals": []}
    for place, case in enumerate(chosen):
        until = deadline.share(len(chosen) - place)
        own = _KINDS.get(type(case))
        measured = own.measure if own else partial(measure.measure, peers=peers)
        rows = measured(case, machine, figures["floors"], figures["rounds"], until)
        figures["cases"].append({"case": case.name, "design_ms": case.design_ms, "rows": rows})
        if not arguments.quick and own is None:
            figures["goals"] += goals.judge(case, rows)
        _show(["", *table.case_lines(case, rows)])
        record.keep(arguments.out, figures)
    record.finish(arguments.out, figures)
    _show(["", *table.goal_lines(figures["goals"])])
    return int(any(broken(row) for case in figures["cases"] for row in case["rows"]))


def _heading(figures: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    return f"{figures.get('device', figures['processor'])}, {figures['commit']}, {versions}"


def _show(lines: list[str]) -> None:
    print(*lines, sep="\n", flush=True)

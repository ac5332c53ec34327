"""One case: everyone's answers checked, then everyone timed in turn, then memory measured."""

from collections.abc import Sequence
from functools import partial
from time import sleep
from typing import Any

from benchmarks import turns
from benchmarks.cpu import answers
from benchmarks.cpu.cases import Case
from benchmarks.cpu.data import Data
from benchmarks.cpu.floors import HOST
from benchmarks.cpu.plain import STRATEGIES
from benchmarks.cpu.rivals import Contender, contenders, unable
from benchmarks.floors import floor_s
from benchmarks.timing import Deadline, Run, Turn, climb, timed, warm
from benchmarks.turns import OURS, Entrant

Row = dict[str, Any]

_REST_S = 0.1

PLAIN = {"NumPy loop of lstsq", "NumPy lstsq at once", *STRATEGIES}
"""Names of what is NumPy alone."""


def measure(
    case: Case,
    data: Data,
    device: str,
    peers: Sequence[str],
    floors: dict[str, Any],
    rounds: int,
    deadline: Deadline,
) -> list[Row]:
    """A row for each contender: its times, or why there are none.

    Parameters
    ----------
    case : Case
        What is fitted.
    data : Data
        Its rows.
    device : str
        Where gpuols fits.
    peers : sequence of str
        Names of rivals.
    floors : dict
        Rates of the machine.
    rounds : int
        Timed runs of each, at most.
    deadline : Deadline
        When no more rounds start than the fewest.

    Returns
    -------
    list of dict
        Of rows with right answers, "times_best" is beside the fastest.
    """
    size, flops = case.bytes(), case.flops()
    facts = {"case": case.letter, "count": case.count, "bytes": size, "flops": flops}
    facts["floor_s"] = floor_s(floors, size, flops)
    entrants = [
        Entrant(one.name, one.ours, partial(_prepare, one, data))
        for one in contenders(case, device, peers)
    ]
    rows = turns.measure(entrants, facts, _time_one, rounds, deadline, HOST.free)
    for name, why in unable(case, peers).items():
        rows.append({**facts, "who": name, "ours": False, "failed": why})
    able = [row["seconds"] for row in rows if row.get("right") and "seconds" in row]
    for row in rows:
        if able and "seconds" in row:
            row["times_best"] = row["seconds"] / min(able)
        if row["floor_s"] and "seconds" in row:
            row["times_floor"] = row["seconds"] / row["floor_s"]
    return rows


def _time_one(run: Run) -> tuple[float, Any]:
    """Seconds and output of a run, begun when the threads of the one before it have gone to sleep.

    Those of OpenBLAS wait for more to do for 2²⁶ cycles, and slow down whoever comes next.
    """
    sleep(_REST_S)
    return timed(run, HOST.wait)


def _prepare(contender: Contender, data: Data, row: Row) -> Turn:
    """Run a contender, gpuols itself on all regressions and others on what fits, and check it."""

    def start(part: int) -> Run:
        return partial(contender.run, *contender.take(data.part(part)))

    if contender.name == OURS:
        turn = warm(start, data.count, _time_one)
    else:
        turn = climb(start, data.count, _time_one)
    given = turn.output
    row["errors"] = answers.errors(data.part(turn.part), given)
    row["right"] = max(row["errors"].values()) <= answers.TOLERANCE
    row["missing"] = [name for name in answers.WHOLE if name not in given]
    if contender.ours:
        result = given["result"]
        row["engine"] = result.engine
        row["solved_precisely"] = int(result.solved_precisely.sum())
        row["largest_bound"] = float(given["error_bound"].max())
    turn.output = None
    return turn


def best_plain(rows: list[Row]) -> Row | None:
    """The fastest of plain NumPy with all answers, and those right."""
    whole = [
        row
        for row in rows
        if row["who"] in PLAIN and row.get("right") and not row["missing"] and "seconds" in row
    ]
    return min(whole, key=lambda row: row["seconds"], default=None)

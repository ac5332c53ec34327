"""One case: everyone's answers checked, then everyone timed in turn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks import turns
from benchmarks.cuda import answers
from benchmarks.cuda.cases import Case
from benchmarks.cuda.contenders import Contender, ours
from benchmarks.cuda.floors import transfer_s
from benchmarks.cuda.rivals import RIVALS, SHARED
from benchmarks.floors import floor_s
from benchmarks.machine import Machine, on_host
from benchmarks.timing import Deadline, Run, Turn, climb, timed, warm
from benchmarks.turns import Entrant

Row = dict[str, Any]


@dataclass(frozen=True)
class _Field:
    """One case on one machine, with X (B, n, k) and y (B, n)."""

    case: Case
    machine: Machine
    floors: dict[str, Any]
    data: tuple[Any, Any]

    def time_one(self, run: Run) -> tuple[float, Any]:
        """Seconds and output of a run."""
        return timed(run, self.machine.wait)

    def part(self, count: int) -> tuple[Any, Any]:
        """The first so many regressions."""
        X, y = self.data
        return X[:count], y[:count]


def measure(
    case: Case,
    machine: Machine,
    floors: dict[str, Any],
    rounds: int,
    deadline: Deadline,
    peers: Sequence[str],
) -> list[Row]:
    """A row for gpuols' ways and for each rival named: its times, or why there are none."""
    machine.free()
    field = _Field(case, machine, floors, case.make(machine.xp))
    rivals = {
        name: make for name, make in (SHARED if case.shared else RIVALS).items() if name in peers
    }
    makers: dict[str, Callable[[], Contender]]
    makers = {own.name: lambda own=own: own for own in ours(machine.device, case.shared)}
    makers |= {name: partial(make, machine.xp, name) for name, make in rivals.items()}
    entrants = [
        Entrant(name, name not in rivals, partial(_prepare, make, field))
        for name, make in makers.items()
    ]
    facts = {"case": case.letter, "count": case.count}
    return turns.measure(entrants, facts, field.time_one, rounds, deadline, machine.free)


def _facts(contender: Contender, case: Case, floors: dict[str, Any]) -> Row:
    """What is known of a contender before it runs."""
    size = case.bytes(contender.itemsize)
    floor = floor_s(floors, size, case.flops(contender.add_intercept))
    return {
        "bytes": size,
        "flops": case.flops(contender.add_intercept),
        "floor_s": transfer_s(floors, size) if contender.from_host else floor,
        "from_host": contender.from_host,
    }


def _prepare(make: Callable[[], Contender], field: _Field, row: Row) -> Turn:
    """Run a contender, gpuols on the whole batch and a rival on what fits, and check it."""
    contender, count = make(), field.case.count
    row |= _facts(contender, field.case, field.floors)

    def start(part: int) -> partial[Any]:
        return partial(contender.run, *contender.take(*field.part(part)))

    if contender.ours:
        turn = warm(start, count, field.time_one)
    else:
        turn = climb(start, count, field.time_one)
    # gpuols may have been given other rows, in float32; a rival has them as its library's arrays.
    given = turn.run.args if contender.ours else field.part(turn.part)
    row["errors"] = answers.errors(contender, *given, turn.output)
    row["right"] = max(row["errors"].values()) <= answers.TOLERANCE
    if contender.ours:
        result = turn.output["result"]
        row["engine"] = result.engine
        row["solved_precisely"] = int(on_host(result.solved_precisely).sum())
    turn.output = None
    return turn

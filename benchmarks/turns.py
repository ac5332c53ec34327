"""One case: everyone is prepared and checked first, then all are timed in turn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.timing import Deadline, Run, Turn, attempt, take_turns

OURS = "gpuols"
"""Who the others are held against."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Entrant:
    """Something that is timed.

    Attributes
    ----------
    name : str
        Who.
    ours : bool
        Whether it is gpuols; others are not begun once the time is spent.
    prepare : callable
        Runs it, checks what it gave, puts what is known of it into its row, and gives its turn.
    """

    name: str
    ours: bool
    prepare: Callable[[Row], Turn]


def measure(
    entrants: Iterable[Entrant],
    facts: Row,
    time_one: Callable[[Run], tuple[float, Any]],
    rounds: int,
    deadline: Deadline,
    free: Callable[[], None],
) -> list[Row]:
    """A row for each entrant: its times, or why there are none.

    Parameters
    ----------
    entrants : iterable of Entrant
        Who is timed.
    facts : dict
        What all rows begin with: the case, and its number of regressions as "count".
    time_one : callable
        Seconds and output of a run.
    rounds : int
        Timed runs of each, at most.
    deadline : Deadline
        When no more rounds start than the fewest.
    free : callable
        Gives back memory; called before each is prepared.

    Returns
    -------
    list of dict
        In the order of the entrants; "times_ours" is beside gpuols.
    """
    rows, turns = [], {}
    for entrant in entrants:
        row = {**facts, "who": entrant.name, "ours": entrant.ours}
        rows.append(row)
        free()
        if not entrant.ours and deadline.left() < _planned(turns, rounds):
            row["failed"] = "not run: the time for this case is spent"
            continue
        turn, row["failed"] = attempt(partial(entrant.prepare, row))
        if turn is not None:
            turns[entrant.name] = turn
    take_turns(list(turns.values()), rounds, time_one, deadline)
    for row in rows:
        if row["who"] in turns:
            turns[row["who"]].tell(row)
    base = next((row.get("seconds") for row in rows if row["who"] == OURS), None)
    for row in rows:
        if base and row.get("seconds"):
            row["times_ours"] = row["seconds"] / base
    return rows


def _planned(turns: dict[str, Turn], rounds: int) -> float:
    return sum(turn.warm_s * (1 + turn.rounds(rounds)) for turn in turns.values())


def broken(row: Row) -> bool:
    """Whether a row is of gpuols and not both measured and right."""
    return row["ours"] and bool(row["failed"] or not row["right"])

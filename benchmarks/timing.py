"""Times: of one run, of a part of the batch that fits a cap, of rounds in turn."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

Clock = Callable[[], float]
Run = Callable[[], Any]

CAP_S = 1.5
"""Longest that one run of a rival may take; a slower one gets a part of the batch."""
TURNS_S = 4.0
"""What all timed runs of one contender may take together, if that leaves LEAST."""
LEAST = 3
"""Fewest timed runs of anything."""

_FIRST_PART, _STEP = 1_000, 10
# More at a part that seems too slow for a larger one: something else may have been. One more is at
# a tenth of it, which tells what does not grow.
_LOOKS = 2


def timed(
    run: Run, wait: Callable[[], None], clock: Clock = time.perf_counter
) -> tuple[float, Any]:
    """Seconds from an idle device to an idle device, and what the run gave."""
    wait()
    start = clock()
    output = run()
    wait()
    return clock() - start, output


def attempt(work: Run) -> tuple[Any, str]:
    """What the work gives and "", or None and why it failed, in one line."""
    try:
        return work(), ""
    except ModuleNotFoundError as error:
        return None, f"not installed ({error.name})"
    except Exception as error:
        lines = str(error).strip().splitlines()
        return None, ": ".join([type(error).__name__, *lines[:1]])


class Deadline:
    """A moment at which time is up.

    Parameters
    ----------
    seconds : float
        From now.
    clock : callable
        Gives seconds.
    """

    def __init__(self, seconds: float, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds until then; negative after it."""
        return self._end - self._clock()

    def share(self, parts: int) -> "Deadline":
        """The end of the first of so many equal parts of the time that is left."""
        return Deadline(self.left() / parts, self._clock)


@dataclass
class Turn:
    """What is timed in turn with others.

    Attributes
    ----------
    run : callable
        One run, on `part` regressions.
    part : int
        How many of the batch it fits.
    first_s, warm_s : float
        Seconds of its very first run, compilation included, and of the last one before rounds.
    output : object
        What that last run gave.
    note : str
        Why the part is not the whole, if something failed there.
    seconds : list of float
        Of each timed run.
    failed : str
        Why there are no more of them, if something failed.
    """

    run: Run
    part: int
    first_s: float
    warm_s: float
    output: Any
    note: str = ""
    seconds: list[float] = field(default_factory=list)
    failed: str = ""

    def rounds(self, most: int) -> int:
        """How many timed runs it gets."""
        return min(most, max(LEAST, int(TURNS_S / max(self.warm_s, 1e-9))))

    def tell(self, row: dict[str, Any]) -> None:
        """Put its times into the row of a table; of a part of the batch, in proportion."""
        row["part"], row["scaled"] = self.part, self.part < row["count"]
        row["first_call_s"] = self.first_s
        row["why_scaled"] = self.note
        row["failed"] = self.failed
        row["rounds"] = len(self.seconds)
        if self.seconds:
            scale = row["count"] / self.part
            row["seconds"] = statistics.median(self.seconds) * scale
            row["fastest_s"], row["slowest_s"] = (pick(self.seconds) * scale for pick in (min, max))
            row["bytes_per_s"] = row["bytes"] / row["seconds"]
            if row["floor_s"]:
                row["floor_share"] = row["floor_s"] / row["seconds"]


def climb(
    start: Callable[[int], Run],
    count: int,
    time_one: Callable[[Run], tuple[float, Any]],
    cap: float = CAP_S,
) -> Turn:
    """Grow the part of a batch tenfold until it is the whole, or the next would exceed the cap.

    What the next one takes is in proportion to this one, but for what a tenth of it takes as well.

    Parameters
    ----------
    start : callable
        Gives a run on the first so many regressions.
    count : int
        Regressions of the batch.
    time_one : callable
        Seconds and output of a run.
    cap : float
        Most seconds that a part may be expected to take.

    Returns
    -------
    Turn
        The largest part that was run, warm.

    Raises
    ------
    Exception
        What the smallest part raised; a failure of a larger one is in the note.
    """
    turn = warm(start, min(count, max(_STEP, count // _FIRST_PART)), time_one)
    looks, fixed = 0, 0.0
    while turn.part < count:
        room = turn.part * (cap - fixed) / max(turn.warm_s - fixed, 1e-9)
        # A difference of two times says little about the distant.
        part = min(count, turn.part * _STEP) if fixed or room < count else count
        if part > room:
            if looks > _LOOKS:
                break
            if looks < _LOOKS:
                turn.warm_s = min(turn.warm_s, time_one(turn.run)[0])
            else:
                fixed = _fixed_s(start, turn, time_one)
            looks += 1
            continue
        larger, why = attempt(lambda part=part: warm(start, part, time_one))
        if larger is None:
            turn.note = f"{part:,} regressions: {why}"
            break
        larger.first_s = turn.first_s
        turn, looks, fixed = larger, 0, 0.0
    return turn


def _fixed_s(start: Callable[[int], Run], turn: Turn, time_one: Callable[[Run], Any]) -> float:
    """Seconds of a part that a smaller one takes as well; 0 where a smaller one fails."""
    few = turn.part // _STEP
    smaller, _ = attempt(partial(warm, start, few, time_one))
    if smaller is None:
        return 0.0
    each = (turn.warm_s - smaller.warm_s) / (turn.part - few)
    return min(turn.warm_s, max(0.0, smaller.warm_s - few * each))


def warm(start: Callable[[int], Run], part: int, time_one: Callable[[Run], Any]) -> Turn:
    """Run a part twice: the first time may compile."""
    run = start(part)
    first, _ = time_one(run)
    seconds, output = time_one(run)
    return Turn(run, part, first, seconds, output)


def take_turns(
    turns: list[Turn],
    most: int,
    time_one: Callable[[Run], tuple[float, Any]],
    deadline: Deadline,
) -> None:
    """Time all in turn, round by round, after a round that is not counted.

    Every other round is in reverse order: who comes before may leave data in cache, or heat.
    Past the deadline no round starts once everything has had LEAST of them.
    """
    for turn in turns:
        _, turn.failed = attempt(lambda run=turn.run: time_one(run)[0])
    for number in range(most):
        if number >= LEAST and deadline.left() < 0:
            break
        for turn in turns if number % 2 == 0 else reversed(turns):
            if turn.failed or number >= turn.rounds(most):
                continue
            found, turn.failed = attempt(lambda run=turn.run: time_one(run)[0])
            if found is not None:
                turn.seconds.append(found)

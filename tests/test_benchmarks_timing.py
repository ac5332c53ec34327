"""What the benchmarks do with time, by a clock that only work moves."""

import pytest

from benchmarks import timing
from benchmarks.timing import Deadline, Turn, attempt, climb, take_turns, timed


class Clock:
    """Seconds that pass only when something is worked on."""

    def __init__(self):
        self.now = 0.0
        self.worked = []

    def __call__(self):
        return self.now

    def work(self, seconds, name=None, output=None):
        self.now += seconds
        self.worked.append(name)
        return output

    def time_one(self, run):
        return timed(run, lambda: None, self)


@pytest.fixture
def clock():
    return Clock()


def starts(clock, each, overhead=0.0):
    """Runs that take so long for each regression, by the size of the part."""
    return lambda part: lambda: clock.work(overhead + part * each, part, part)


def test_a_time_is_from_idle_to_idle(clock):
    waits = []
    found = timed(lambda: clock.work(3.0, output="out"), lambda: waits.append(clock.now), clock)
    assert found == (3.0, "out")
    assert waits == [0.0, 3.0]


def test_a_fast_rival_gets_the_whole_batch_at_once(clock):
    turn = climb(starts(clock, 1e-9), 1_000_000, clock.time_one)
    assert (turn.part, turn.output) == (1_000_000, 1_000_000)
    assert clock.worked == [1000, 1000, 1_000_000, 1_000_000]


def test_a_slow_rival_gets_the_largest_part_below_the_cap(clock):
    turn = climb(starts(clock, 1e-3), 100_000, clock.time_one, cap=1.5)
    assert turn.part == 1_000
    assert turn.warm_s == pytest.approx(1.0)
    assert max(clock.worked) == 1_000
    assert turn.note == ""


def test_a_part_is_judged_by_its_own_time_not_by_the_smallest(clock):
    turn = climb(starts(clock, 1e-6, overhead=0.1), 100_000, clock.time_one, cap=1.5)
    assert turn.part == 100_000


def test_what_does_not_grow_with_the_part_keeps_nobody_from_the_whole(clock):
    turn = climb(starts(clock, 1e-4, overhead=0.3), 200, clock.time_one, cap=1.5)
    assert (turn.part, turn.note) == (200, "")
    assert clock.worked == [10] * 4 + [1] * 2 + [100] * 2 + [200] * 2


def test_a_tenth_that_was_slow_by_chance_leads_one_step_further_at_most(clock):
    delays = iter([0.0] * 4 + [0.28] * 2)

    def start(part):
        return lambda: clock.work(0.03 * part + next(delays, 0.0), part, part)

    turn = climb(start, 10_000, clock.time_one, cap=1.5)
    assert (turn.part, max(clock.worked)) == (100, 100)


def test_time_in_steps_leads_one_step_further_at_most(clock):
    turn = climb(
        lambda part: lambda: clock.work(0.3 * -(-part // 16), part), 10_000, clock.time_one
    )
    assert (turn.part, max(clock.worked)) == (100, 100)


def test_a_start_that_takes_the_cap_alone_gets_no_more(clock):
    turn = climb(starts(clock, 1e-4, overhead=2.0), 200, clock.time_one, cap=1.5)
    assert turn.part == 10


def test_a_part_too_small_for_a_rival_costs_it_nothing(clock):
    def start(part):
        if part < 10:
            raise ValueError("too few")
        return starts(clock, 1e-3)(part)

    assert climb(start, 100_000, clock.time_one).part == 1_000


def test_a_part_that_was_slow_by_chance_is_looked_at_again(clock):
    delays = iter([0.0, 1.0, 1.0, 0.0])

    def start(part):
        return lambda: clock.work(1e-6 * part + next(delays, 0.0), part, part)

    turn = climb(start, 10_000, clock.time_one, cap=1.0)
    assert turn.part == 10_000
    assert clock.worked == [10, 10, 10, 10, 10_000, 10_000]


def test_the_first_call_is_timed_by_itself(clock):
    calls = []

    def run():
        clock.work(1e-3 if calls else 7.0)
        calls.append(1)

    turn = climb(lambda part: run, 100, clock.time_one)
    assert (turn.first_s, turn.warm_s, turn.part) == (7.0, pytest.approx(1e-3), 100)


def test_a_part_that_fails_leaves_the_one_before_it(clock):
    def start(part):
        if part > 100:
            raise MemoryError("no room\nfor this")
        return starts(clock, 1e-4)(part)

    turn = climb(start, 100_000, clock.time_one)
    assert turn.part == 100
    assert turn.note == "1,000 regressions: MemoryError: no room"
    assert turn.run() == 100


def test_the_smallest_part_that_fails_raises(clock):
    with pytest.raises(ZeroDivisionError):
        climb(lambda part: lambda: 1 // 0, 100, clock.time_one)


def test_a_failure_is_one_line():
    def absent():
        import a_library_that_is_not_there  # noqa: F401

    assert attempt(lambda: 5) == (5, "")
    assert attempt(absent) == (None, "not installed (a_library_that_is_not_there)")
    assert attempt(lambda: [].pop()) == (None, "IndexError: pop from empty list")
    assert attempt(lambda: (_ for _ in ()).throw(ValueError())) == (None, "ValueError")


def test_a_deadline_is_shared_equally_and_what_is_left_goes_on(clock):
    deadline = Deadline(12.0, clock)
    first = deadline.share(3)
    assert first.left() == 4
    clock.now = 2.0
    assert (first.left(), deadline.share(2).left()) == (2, 5)
    clock.now = 13.0
    assert deadline.left() == -1


def turn(clock, name, seconds):
    return Turn(lambda: clock.work(seconds, name), 1, seconds, seconds, None)


def test_rounds_are_taken_to_and_fro_after_one_that_is_not_counted(clock):
    turns = [turn(clock, name, 0.01) for name in "ab"]
    take_turns(turns, 3, clock.time_one, Deadline(100, clock))
    assert clock.worked == list("ababbaab")
    assert [len(one.seconds) for one in turns] == [3, 3]
    assert turns[0].seconds == [pytest.approx(0.01)] * 3


def test_slow_ones_have_fewer_rounds(clock):
    assert turn(clock, "a", 0.001).rounds(15) == 15
    assert turn(clock, "a", timing.TURNS_S / 5).rounds(15) == 5
    assert turn(clock, "a", 100.0).rounds(15) == timing.LEAST
    assert turn(clock, "a", 100.0).rounds(1) == 1
    turns = [turn(clock, "fast", 0.001), turn(clock, "slow", 1.0)]
    take_turns(turns, 15, clock.time_one, Deadline(100, clock))
    assert [len(one.seconds) for one in turns] == [15, 4]


def test_past_the_deadline_there_are_no_more_rounds_than_the_least(clock):
    turns = [turn(clock, "a", 0.1)]
    take_turns(turns, 15, clock.time_one, Deadline(0.05, clock))
    assert len(turns[0].seconds) == timing.LEAST


def test_what_fails_stops_alone_and_keeps_its_times(clock):
    calls = []

    def run():
        calls.append(1)
        if len(calls) > 3:
            raise RuntimeError("illegal address")

    turns = [Turn(run, 1, 0.0, 0.0, None), turn(clock, "b", 0.0)]
    take_turns(turns, 10, clock.time_one, Deadline(100, clock))
    assert (len(turns[0].seconds), turns[0].failed) == (2, "RuntimeError: illegal address")
    assert len(calls) == 4
    assert (len(turns[1].seconds), turns[1].failed) == (10, "")

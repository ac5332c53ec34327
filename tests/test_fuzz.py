"""Random calls, judged against exact answers; `python -m tests.fuzzing` tries many more."""

import fuzzing
import pytest

CALLS = 400
PARTS = 4

# That lines are reached is seen elsewhere; to count them would take a third of the time.
pytestmark = pytest.mark.uncovered


@pytest.mark.parametrize("part", range(PARTS))
def test_random_calls_are_answered_right(part):
    size = CALLS // PARTS
    report = fuzzing.run(20, range(part * size, (part + 1) * size))
    assert not report.failures
    assert report.regressions > size
    assert report.aside < report.regressions / 10


@pytest.mark.parametrize(
    ("seed", "call"),
    [
        *((5, 17), (5, 381), (5, 416), (5, 536), (5, 1018), (5, 2440)),
        *((4242, 405), (20261121, 9445), (20261121, 11116), (20261121, 13431), (20261121, 19199)),
        *((20261122, 15923), (20261123, 2432), (20261123, 6047), (20261123, 17077)),
        (20261125, 880),
    ],
)
def test_calls_that_once_went_wrong(seed, call):
    assert fuzzing.run(seed, range(call, call + 1)).failures == []

"""Random calls, judged against exact answers; `python -m tests.fuzzing` tries many more."""

import fuzzing
import pytest

CALLS = 600
PARTS = 6


@pytest.mark.parametrize("part", range(PARTS))
def test_random_calls_are_answered_right(part):
    size = CALLS // PARTS
    report = fuzzing.run(20, range(part * size, (part + 1) * size))
    assert not report.failures
    assert report.regressions > size
    assert report.aside < report.regressions / 10

"""The benchmarks name what is there."""

import itertools

from benchmarks import compare


def test_the_parts_that_are_timed_exist():
    for module, name in itertools.chain(*compare._PARTS.values()):
        assert callable(getattr(module, name))

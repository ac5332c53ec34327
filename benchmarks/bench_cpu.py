"""The cases on a CPU under pytest-benchmark, gpuols and plain NumPy: ``pytest benchmarks``."""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cpu import answers
from benchmarks.cpu.cases import CASES, Case
from benchmarks.cpu.data import Data
from benchmarks.cpu.plain import STRATEGIES
from benchmarks.cpu.rivals import contenders

_PAIRS = [(case, one) for case in CASES for one in contenders(case, "cpu", list(STRATEGIES))]


@pytest.fixture(scope="module")
def rows() -> dict[str, Data]:
    """Rows of the case at hand, by its letter."""
    return {}


@pytest.mark.parametrize(
    ("case", "contender"), _PAIRS, ids=[f"{case.letter}, {one.name}" for case, one in _PAIRS]
)
def bench_cpu(benchmark: BenchmarkFixture, case: Case, contender: Any, rows: dict[str, Data]):
    """Time a contender, its answers checked."""
    if case.letter not in rows:
        rows.clear()
        rows[case.letter] = case.make()
    data = rows[case.letter]
    found = benchmark.pedantic(contender.run, args=(data,), rounds=5, warmup_rounds=1)
    wrong = answers.errors(data, found)
    assert max(wrong.values()) <= answers.TOLERANCE, wrong

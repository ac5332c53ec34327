"""The cases under pytest-benchmark: ``pytest benchmarks``."""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cases import CASES, Case


@pytest.fixture(params=CASES, ids=[case.name for case in CASES])
def loaded(request: pytest.FixtureRequest) -> tuple[Case, tuple[Any, ...]]:
    """Give a case with its data, the answers checked."""
    case: Case = request.param
    data = case.make()
    case.check(data)
    return case, data


def bench_gpuols(benchmark: BenchmarkFixture, loaded: tuple[Case, tuple[Any, ...]]) -> None:
    """Time gpuols, up to the standard errors."""
    case, data = loaded
    benchmark.pedantic(case.fit, args=data, rounds=5, warmup_rounds=1)


def bench_rival(benchmark: BenchmarkFixture, loaded: tuple[Case, tuple[Any, ...]]) -> None:
    """Time the rival."""
    case, data = loaded
    benchmark.pedantic(case.rival, args=data, rounds=5, warmup_rounds=1)

"""The cases on a CUDA device, in quick size, under pytest-benchmark: ``pytest benchmarks``."""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cuda import answers, machine
from benchmarks.cuda.cases import QUICK, Case
from benchmarks.cuda.contenders import Contender, ours

_WHY = machine.missing()

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(_WHY is not None, reason=f"no device: {_WHY}")]


@pytest.mark.parametrize("contender", ours("cuda"), ids=lambda one: one.name)
@pytest.mark.parametrize("case", QUICK, ids=[case.name for case in QUICK])
def bench_cuda(benchmark: BenchmarkFixture, case: Case, contender: Contender) -> None:
    """Time gpuols, its answers read and checked."""
    device = machine.cuda()
    taken = contender.take(*case.make(device.xp))

    def run() -> Any:
        found = contender.run(*taken)
        device.wait()
        return found

    found = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    wrong = answers.errors(contender, *taken, found)
    assert max(wrong.values()) <= answers.TOLERANCE, wrong

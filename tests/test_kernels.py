"""What a kernel takes is read from its source."""

import re
from pathlib import Path

import numpy as np
import pytest

from gpuols.engines import kernels
from gpuols.engines.kernels import Kernel, Parameter

FOLDER = Path(__file__).parents[1] / "kernels"
TEXT = """
__device__ void toy_helper(int n);
// extern "C" __global__ void toy(float wrong)
extern "C" __global__ void toys(int other) {}
extern "C" __global__ void __launch_bounds__(32 * GPUOLS_WARPS, 1)
toy(const double* __restrict__ x, GPUOLS_REAL *y,  /* (all) of them, */
    const void* p, unsigned long long n, const int k, double const* const w, bool* flags) {
    if (n) other(k);
}
"""


def test_parameters_are_read():
    assert kernels.parameters(TEXT, "toy", (("warps", 4), ("real", "float"))) == (
        Parameter("x", np.dtype(float), True, False),
        Parameter("y", np.dtype(np.float32), True, True),
        Parameter("p", None, True, False),
        Parameter("n", np.dtype(np.uint64), False, False),
        Parameter("k", np.dtype(np.int32), False, False),
        Parameter("w", np.dtype(float), True, False),
        Parameter("flags", np.dtype(bool), True, True),
    )


def test_a_macro_may_be_two_words():
    text = "__global__ void toy(const GPUOLS_INDEX* i) {}"
    (parameter,) = kernels.parameters(text, "toy", (("index", "long long"),))
    assert parameter == Parameter("i", np.dtype(np.int64), True, False)


def test_a_kernel_may_take_nothing():
    assert kernels.parameters('extern "C" __global__ void toy() {}', "toy") == ()


@pytest.mark.parametrize(
    "declared", ["long n", "GPUOLS_REAL x", "double** x", "int x[3]", "void x", "double2 z", "int"]
)
def test_what_cannot_be_passed_is_refused(declared):
    with pytest.raises(ValueError, match=r"kernel toy: no argument can be made for"):
        kernels.parameters(f"__global__ void toy({declared}) {{}}", "toy")


def test_a_kernel_that_is_not_there_is_told():
    with pytest.raises(ValueError, match="kernel tool is not in its source"):
        kernels.parameters(TEXT, "tool")


def test_a_kernel_reads_its_own_source():
    assert Kernel("probe").parameters == (Parameter("out", np.dtype(np.int32), True, True),)


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.iterdir()))
def test_every_line_of_a_text_is_called_by_its_number(file):
    whole, there = kernels.source(file), []
    for line in whole.splitlines():
        if found := re.fullmatch(r'#line (\d+) "(\S+)"', line):
            number, name = int(found[1]), found[2]
            continue
        if line.strip():
            assert line == (FOLDER / name).read_text(encoding="utf-8").splitlines()[number - 1]
            there.append((name, number))
        number += 1
    assert len(there) == len(set(there)) > 0

"""Small kernels: good ones, and one for each rule of the gate that it breaks.

The body of a kernel has `x` to read, `y` to write and `n`; `t` counts threads.
"""

from dataclasses import dataclass
from typing import NamedTuple

from gate.variants import ASYNC_COPIES, TENSOR_CORES, Variant
from gpuols.engines import kernels

_FRAME = """
{above}
extern "C" __global__ void {bounds} toy(const double* x, double* y, int n) {{
    const int t = threadIdx.x;
    {body}
}}
"""
_BOUNDS = "__launch_bounds__(1024)"

# 60 doubles that live at once: a block of 1024 threads has 32 registers of that size for each.
_MANY = """
double a[60], sum = 0;
#pragma unroll
for (int i = 0; i < 60; i++) a[i] = x[i * n + t];
#pragma unroll
for (int i = 0; i < 60; i++) sum += a[i] * a[(7 * i + 3) % 60] + a[59 - i] * sum;
"""
_INDEXED = "double a[40]; for (int i = 0; i < 40; i++) a[i] = x[i * n]; y[t] = a[n];"


@dataclass(frozen=True)
class Toy(kernels.Kernel):
    """A kernel whose text is its own."""

    text: str = ""

    @property
    def source(self) -> str:
        return f'{kernels.source("common.cuh")}\n#line 1 "toy.cu"\n{self.text}'


class Broken(NamedTuple):
    """A kernel that breaks a rule.

    Attributes
    ----------
    words : str
        Of the complaint, as a pattern.
    variant : Variant
        The kernel.
    """

    words: str
    variant: Variant


def toy(body: str, *wanted: dict[int, str], above: str = "", bounds: str = "") -> Variant:
    """A variant of one kernel, `toy`."""
    text = _FRAME.format(above=above, bounds=bounds, body=body)
    return Variant(Toy("toy", text=text), wanted)


GOOD = {
    "plain": toy("y[t] = x[t] + n;"),
    "many registers": toy(_MANY + "y[t] = sum;"),
    "tensor cores": toy(
        "double d[4] = {}, a[2] = {x[t], x[t + n]}; mma_f64_16x8x4(d, a, x[t]);"
        "for (int i = 0; i < 4; i++) y[4 * t + i] = d[i];",
        TENSOR_CORES,
    ),
    "copies": toy(
        "SHARED_ARRAY(double, s, 64); cp_async<16>(s + 2 * t, x + 2 * t); cp_async_commit();"
        "cp_async_wait<0>(); __syncthreads(); y[t] = s[63 - t + n];",
        ASYNC_COPIES,
    ),
    "division": toy("y[t] = sqrt(x[t]) / x[t + n];"),
}

BROKEN = {
    "spills": Broken("spills registers: [0-9]+ bytes", toy(_MANY + "y[t] = sum;", bounds=_BOUNDS)),
    "spills in a call": Broken(
        "spills registers: [0-9]+ bytes",
        toy(
            "y[t] = called(x, t, n);",
            above=f"__device__ __noinline__ double called(const double* x, int t, int n) {{{_MANY}"
            "return sum; }",
            bounds=_BOUNDS,
        ),
    ),
    "local memory": Broken("uses local memory: [0-9]+ bytes", toy(_INDEXED)),
    "local memory in a call": Broken(
        "uses local memory: [0-9]+ bytes", toy("y[t] = sin(x[t]) + n;")
    ),
    "no tensor cores": Broken("no mma.sync.* in its PTX", toy("y[t] = x[t] + n;", TENSOR_CORES)),
    "no copies": Broken("no cp.async.c in its PTX", toy("y[t] = x[t] + n;", ASYNC_COPIES)),
    "tiny floats": Broken("takes tiny numbers for zero", toy("y[t] = x[t] + float(n);")),
    "error": Broken(r'does not compile\ntoy.cu\(5\): error: .*"oops"', toy("y[t] = oops;")),
    "warning": Broken(r'toy.cu\(5\): warning .*"idle"', toy("int idle; y[t] = x[t] + n;")),
    "second kernel": Broken(
        r"holds the kernels \['other', 'toy'\]",
        toy("y[t] = x[t] + n;", above='extern "C" __global__ void other() {}'),
    ),
    "C++ name": Broken(
        r"holds the kernels \['_Z3toyPd'\]",
        Variant(Toy("toy", text="__global__ void toy(double* y) { y[0] = 1; }")),
    ),
}

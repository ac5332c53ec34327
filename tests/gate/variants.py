"""Which kernels the gate compiles, each for every shape of problem that it is launched for."""

from collections.abc import Mapping
from typing import NamedTuple

from gpuols.engines import catalogue
from gpuols.engines.kernels import Kernel

# Compute capabilities, times 10.
ARCHS = (80, 86, 89, 90, 100, 120)

# What the PTX of a kernel must hold, by arch: how the name of an instruction starts.
TENSOR_CORES = {
    arch: f"mma.sync.aligned.{'m8n8k4' if arch < 90 else 'm16n8k4'}.row.col.f64.f64.f64.f64"
    for arch in ARCHS
}
ASYNC_COPIES = dict.fromkeys(ARCHS, "cp.async.c")


class Variant(NamedTuple):
    """One kernel for one shape of problem.

    Attributes
    ----------
    kernel : Kernel
        As the engine makes it.
    wanted : tuple of mappings from int to str
        What its PTX must hold: TENSOR_CORES, ASYNC_COPIES.
    """

    kernel: Kernel
    wanted: tuple[Mapping[int, str], ...] = ()


_WITH_TENSOR_CORES = "fit_batch", "gram", "masked", "panel", "responses"
_WANTED = dict.fromkeys(_WITH_TENSOR_CORES, (TENSOR_CORES,))


def variants() -> list[Variant]:
    """All of them; each file kernels/*.cu is there."""
    listed = [Kernel("probe"), *sorted(catalogue.every_kernel(), key=str)]
    return [Variant(kernel, _WANTED.get(kernel.name, ())) for kernel in listed]

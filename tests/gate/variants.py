"""Which kernels the gate compiles, each for every shape of problem that it is launched for."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from gpuols.engines import launches
from gpuols.engines.kernels import Kernel
from gpuols.engines.launches import CHUNK, Shape

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


_WANTED = dict.fromkeys(("fit_batch", "gram", "panel"), (TENSOR_CORES,))
_SHARED = 48 << 10  # bytes for a block: how many there are decides nothing about kernels


def variants() -> list[Variant]:
    """All of them; each file kernels/*.cu is there."""
    found = {kernel for shape in _shapes() for kernel in kernels(shape)}
    listed = [Kernel("probe"), *sorted(found, key=str)]
    return [Variant(kernel, _WANTED.get(kernel.name, ())) for kernel in listed]


def kernels(shape: Shape) -> Iterator[Kernel]:
    """Those that answer a batch of a shape."""
    if shape.weighted:
        yield launches.mask(shape).kernel
        yield launches.places().kernel
    if shape.fused:
        yield launches.fit_batch(shape, 1, 1).kernel
    else:
        yield launches.sums(shape)[0].kernel
        yield launches.solve(shape, _SHARED)[0].kernel


def _shapes() -> Iterator[Shape]:
    """The fewest sizes that ask for every kernel, in every kind."""
    sizes = [*((n, q - 1) for n in (1, CHUNK + 1) for q in (8, 16, 24, 32)), (1, 63), (1, 127)]
    flags = product((False, True), repeat=3)
    for (n, k), real, (weighted, drop, ridge) in product(sizes, ("float", "double"), flags):
        if weighted or not drop:
            yield Shape(n, k, 1, real, True, weighted, drop, ridge)

"""Catalogue: every kernel that the CUDA engine launches."""

from dataclasses import replace
from itertools import product

from gpuols.engines import launches, masks
from gpuols.engines.kernels import Kernel
from gpuols.engines.launches import CHUNK, PANEL, WIDEST_GRAM, Shape


def every_kernel() -> list[Kernel]:
    """All kernels that some batch asks for, each once."""
    found: dict[Kernel, None] = {}
    flags = (False, True)
    for real, weighted, drop in product(("double", "float"), flags, flags):
        for columns in (*range(8, WIDEST_GRAM + 1, 8), WIDEST_GRAM + 1, PANEL + 1):
            for n in (CHUNK, CHUNK + 1):
                shape = Shape(n, columns - 1, 1, real, False, weighted or drop, drop)
                found |= dict.fromkeys(_kernels_of(shape))
        for k in (8, 16, 32, 33):
            shape = Shape(1, k, 1, real, False, False, False)
            both = launches.responses(shape)[0], launches.solve_responses(shape)
            found |= dict.fromkeys(launch.kernel for launch in both)
        for k in (1, 3, 7):
            one = Shape(1, k, 1, real, False, False, False)
            three = masks.tame(one), masks.marks(one), masks.masked(one)[0]
            found |= dict.fromkeys(launch.kernel for launch in three)
    return list(found)


def _kernels_of(shape: Shape) -> list[Kernel]:
    found = [launches.mask(shape), launches.places()] if shape.weighted else []
    found += [launches.anchors(shape), launches.residuals(shape)]
    found += [launches.fold(True), launches.settle()]
    for wide in (replace(shape, k=k) for k in (8, 9, 32)):
        found += [launches.solve_precise(wide), launches.shortest(wide)[0]]
    for anchored in (False, True):
        found += [launch for launch, _ in launches.precise_sums(shape, anchored=anchored)]
    if shape.fused:
        found.append(launches.fit_batch(shape, 1, 1, 0))
    else:
        found += [launches.sums(shape)[0], launches.fold(False)]
        found += [launches.prepare(), launches.solve(shape, 0)[0]]
    return [launch.kernel for launch in found]

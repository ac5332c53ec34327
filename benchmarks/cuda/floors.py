"""What the device can do at best, measured in the same run: memory, arithmetic, transfers."""

from collections.abc import Iterator
from typing import Any

from benchmarks.floors import gemm, median
from benchmarks.machine import Machine
from benchmarks.timing import attempt

_READ = r"""
extern "C" __global__ void read_only(const double2* x, size_t n, double* out)
{
    const size_t step = (size_t)gridDim.x * blockDim.x;
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    double s = 0.0;
    for (; i + 3 * step < n; i += 4 * step) {
        const double2 a = x[i], b = x[i + step], c = x[i + 2 * step], d = x[i + 3 * step];
        s += (a.x + a.y) + (b.x + b.y) + (c.x + c.y) + (d.x + d.y);
    }
    for (; i < n; i += step) s += x[i].x + x[i].y;
    if (s == -1.0) *out = s;  // never so: the values are ones; without it nothing need be read
}
"""


def measure(machine: Machine, quick: bool) -> dict[str, Any]:
    """Rates by name, in bytes or operations a second, or {"failed": why}."""
    large, transfer, side = (2**27, 2**26, 2048) if quick else (2**32, 2**29, 8192)
    found: dict[str, Any] = {"sizes": {"memory": large, "transfers": transfer, "gemm": side}}
    for name, rate in (
        ("copy", lambda: copy(machine, large)),
        ("read", lambda: read(machine, large)),
        ("gemm", lambda: gemm(machine, side)),
    ):
        found[name], why = attempt(rate)
        if why:
            found[name] = {"failed": why}
        machine.free()
    transfers, why = attempt(lambda: dict(_transfers(machine, transfer)))
    found |= transfers if transfers else {"transfers": {"failed": why}}
    machine.free()
    return found


def copy(machine: Machine, size: int) -> float:
    """Bytes a second, read and written, of a copy on the device."""
    xp = machine.xp
    a, b = xp.ones(size // 8), xp.ones(size // 8)
    return 2 * size / median(machine, lambda: xp.copyto(b, a))


def read(machine: Machine, size: int) -> float:
    """Bytes a second of a sum over the device's memory: the best of the library's and our own."""
    xp = machine.xp
    a = xp.ones(size // 8)
    sums = [lambda: a.sum()]
    if hasattr(xp, "RawKernel"):
        kernel, out = xp.RawKernel(_READ, "read_only"), xp.zeros(1)
        blocks = 8 * xp.cuda.Device().attributes["MultiProcessorCount"]
        sums.append(lambda: kernel((blocks,), (256,), (a, xp.uint64(size // 16), out)))
    return max(size / median(machine, one) for one in sums)


def _transfers(machine: Machine, size: int) -> Iterator[tuple[str, float]]:
    """Bytes a second from the host and to it, of ordinary and of pinned memory."""
    import cupyx
    import numpy as np

    on_device = machine.xp.ones(size // 8)
    pinned = cupyx.empty_pinned(size // 8)
    pinned[:] = 1.0
    for kind, host in (("pageable", np.ones(size // 8)), ("pinned", pinned)):
        yield f"to_device_{kind}", size / median(machine, lambda a=host: on_device.set(a))
        yield f"to_host_{kind}", size / median(machine, lambda a=host: on_device.get(out=a))


def transfer_s(floors: dict[str, Any], size: int) -> float | None:
    """Least seconds to bring the rows to the device, or None where it was not measured."""
    rate = floors.get("to_device_pinned")
    return size / rate if rate else None

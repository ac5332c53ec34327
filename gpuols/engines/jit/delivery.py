"""Delivery: what is found of eight regressions to its places among that of all."""

from gpuols.engines.jit.compiling import compiled
from gpuols.engines.jit.lanes import WIDTH
from gpuols.engines.jit.memory import Memory, load, put_some, stream
from gpuols.engines.jit.solve import Target


@compiled
def deliver(source: Target, entries: tuple[int, int, int], target: Target, count: int) -> None:
    """Moments, answers and statuses, so many, of up to eight regressions alone to a target.

    Eight that begin a line of the cache go past it: others see them after `settle_streams`.
    """
    _send(source.moments, entries[0], target.moments, target.pitch, target.start, count)
    _send(source.answers, entries[1], target.answers, target.pitch, target.start, count)
    for r in range(entries[2]):
        for lane in range(count):
            target.status[r * target.pitch + target.start + lane] = source.status[r * WIDTH + lane]


@compiled
def _send(source: Memory, entries: int, out: Memory, pitch: int, first: int, count: int) -> None:
    if count == WIDTH and first % WIDTH == 0:
        for e in range(entries):
            stream(out, e * pitch + first, load(source, e))
    else:
        for e in range(entries):
            put_some(out, e * pitch + first, count, load(source, e))

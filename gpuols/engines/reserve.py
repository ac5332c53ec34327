"""Reserve: large room for what is gone after a call, kept for the next one.

The first touch of memory can take as long as the work done in it. What nobody uses is the system's
to take back where it is short of memory, and only what it took is touched anew. Where a system
can't be told so, nothing is kept.
"""

import mmap
from collections import deque
from contextlib import suppress
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from gpuols.engines.workspace import aligned

Array = NDArray[np.float64]

_LEAST, _MOST = 2**24, 2**28  # bytes: less is sooner made, more is not kept

_room: deque[mmap.mmap] = deque(maxlen=1)


def take(size: int) -> Array:
    """Room for so many doubles, on a line of the cache, with whatever the memory held before.

    Whoever holds it, or a part of it, has it alone.
    """
    if 8 * size < _LEAST or not hasattr(mmap, "MADV_FREE"):
        return aligned((size,))
    room = _kept(8 * size) or _made(8 * size)
    if room is None:
        return aligned((size,))
    whole = np.frombuffer(room)
    finalize(whole, _keep, room).atexit = False
    return whole[:size]


def _kept(size: int) -> mmap.mmap | None:
    """What was kept, if it is large enough; if not it is gone."""
    try:
        room = _room.pop()
    except IndexError:
        return None
    return room if len(room) >= size else None


def _made(size: int) -> mmap.mmap | None:
    try:
        room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:  # no memory: NumPy says so in its own way, or finds some
        return None
    with suppress(AttributeError, OSError):  # large pages, where the system has them
        room.madvise(mmap.MADV_HUGEPAGE)
    return room


def _keep(room: mmap.mmap) -> None:
    with suppress(OSError):  # an older system, which does not know how
        room.madvise(mmap.MADV_FREE)
        if len(room) <= _MOST:
            _room.append(room)

"""Page-locked memory of the host: copies from and to it are done when their stream gets there.

Who lets go of it too early, or writes to it before it was copied, finds that out: it is all 0xff
once nobody refers to it, as the pool would give it to somebody else.
"""

import math
import weakref

import numpy as np

from emulator.standin.machine import CUDARuntimeError, machine

_OUT_OF_MEMORY = 2


def empty_pinned(shape, dtype=float, order="C"):
    """An array of the host in page-locked memory, of which there is only so much."""
    on, dtype = machine(), np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    with on.lock:
        if on.locked + nbytes > on.lockable:
            raise CUDARuntimeError(_OUT_OF_MEMORY)
        on.locked += nbytes
        on.locks.append(nbytes)
    room = np.full(nbytes, 0xFF, np.uint8)
    array = np.ndarray(shape, dtype, memoryview(room), order=order)
    on.pinned[room.ctypes.data] = room
    weakref.finalize(array, _give_back, on, room)
    return array


def _give_back(on, room):
    with on.lock:
        on.locked -= room.nbytes
        del on.pinned[room.ctypes.data]
    room.fill(0xFF)


def lasting(host):
    """The same memory, to be read or written later, where it is page-locked; else None."""
    address = host.ctypes.data
    for start, room in list(machine().pinned.items()):
        if start <= address < start + room.nbytes:
            return np.ndarray(host.shape, host.dtype, room, address - start, host.strides)
    return None

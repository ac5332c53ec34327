"""Ring: buffers that rows go through to a device while it works on those before.

Pageable memory reaches a device at a fraction of the bus's speed, and one thread reads rows at a
fraction of the memory's. So several threads write rows, as the kernels take them, into a buffer of
page-locked memory, which is copied while the next one is filled. Two streams take turns: the
kernels of one run while rows for the other are copied. The answers of a turn come back into
page-locked memory, too, and are put in their places when that turn's stream comes round again.

The caller's arrays are not page-locked, which would cost more than it gains, and nobody reads
them any more when the link is left. A buffer is written to again once the copies from it are done.

Source: NVIDIA, CUDA C++ Best Practices Guide, "Asynchronous and Overlapping Transfers with
Computation".
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device, streams
from gpuols.engines.sources import Source, cuts
from gpuols.options import threads

SIZE = 32 << 20  # bytes of a buffer: large enough that a copy's start costs nothing
_BUFFERS = 3  # one is filled and one copied; the third lets neither wait for the other
_MOST_THREADS = 6  # what fills memory; more only wait for it
_ALIGNMENT = 256
_WORTH = 1 << 20  # bytes that are worth telling other threads of
_PATIENCE = 0.1  # seconds; only the main thread can act on Ctrl-C, and on Windows not in a wait

Buffer = NDArray[np.uint8]


@dataclass(eq=False)
class Staging:
    """A buffer for rows.

    Attributes
    ----------
    memory : (bytes,)
        Page-locked.
    used : int
        Bytes that hold rows.
    copies : dict
        For each stream the event behind the last copy from here.
    """

    memory: Buffer
    used: int = 0
    copies: dict[int, Any] = field(default_factory=dict)

    def clear(self) -> None:
        """Wait for the copies; then it may be written to."""
        for event in self.copies.values():
            streams.wait(event)
        self.copies.clear()
        self.used = 0


@dataclass(eq=False)
class Lane:
    """A stream, and the answers that are on their way back on it.

    Attributes
    ----------
    stream : Stream
        The device's.
    memory : (bytes,) or None
        Page-locked.
    used : int
        Bytes of it that are spoken for.
    coming : list
        What comes there, and where it is to be written.
    number : int
        Regressions that are answered with it.
    """

    stream: Any
    memory: Buffer | None = None
    used: int = 0
    coming: list[tuple[NDArray[Any], NDArray[Any], Any]] = field(default_factory=list)
    number: int = 0

    def collect(self) -> int:
        """Wait for the stream and put the answers in their places; how many those are."""
        streams.wait(self.stream)
        for found, array, where in self.coming:
            array[:, where] = found
        self.coming.clear()
        number, self.number, self.used = self.number, 0, 0
        return number


class Ring:
    """Copies that go on while other work is done; functions as those of `gpuols.engines.link.Link`.

    Parameters
    ----------
    number : int
        Of the device.
    tell : callable
        Told how many regressions are answered.
    sharers : int
        How many rings there are at the same time.
    """

    def __init__(self, number: int, tell: Callable[[int], None], sharers: int = 1) -> None:
        self._number, self._tell, self._sharers = number, tell, sharers
        self._lanes: list[Lane] = []
        self._buffers: list[Staging] = []
        self._answered = 0

    @property
    def room(self) -> int:
        """Bytes of one buffer."""
        return SIZE

    def __enter__(self) -> Self:
        """Begin, after what the current stream was asked for."""
        self._lanes = [Lane(stream) for stream in streams.pair(self._number)]
        self.follow()
        self._workers = max(1, min(threads() // self._sharers, _MOST_THREADS))
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="gpuols")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until everything is done, after an error too; give the buffers back."""
        try:
            self._pool.shutdown(cancel_futures=True)
            for lane in self._lanes:
                streams.wait(lane.stream)
            if kind is None:
                self.drain()
                self._report()
        finally:
            self._lanes.clear()
            self._buffers.clear()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Work on the stream whose turn it is, when that is done with its last one."""
        self._lanes.reverse()
        self._answered += self._lanes[0].collect()
        self._report()
        with self._lanes[0].stream:
            yield

    def follow(self) -> None:
        """Let all turns to come wait for what the current stream was asked for."""
        before = streams.current().record()
        for lane in self._lanes:
            lane.stream.wait_event(before)

    def send(self, source: Source) -> Any:
        """Rows as a device array, there when the stream gets to what it is asked for next."""
        out = device.empty(source.shape, source.dtype)
        if out.size:
            rows = out.reshape((source.rows, *source.inner))
            each = rows.nbytes // source.rows
            for start, stop in cuts(0, source.rows, source.unit, max(1, SIZE // each)):
                self._copy(source, rows, start, stop)
        return out

    def bring(self, part: Any, array: NDArray[Any], where: Any) -> None:
        """Write a device array (entries, b) into array[:, where] when it has come."""
        lane = self._lanes[0]
        if lane.memory is None:
            lane.memory = streams.pinned(SIZE)
        stop = lane.used + part.nbytes
        if stop > len(lane.memory):
            array[:, where] = device.download(part)
            return
        found = lane.memory[lane.used : stop].view(part.dtype).reshape(part.shape)
        streams.bring(part, found)
        lane.coming.append((found, array, where))
        lane.used = _aligned(stop)

    def done(self, number: int) -> None:
        """Say that the answers to so many regressions are on their way."""
        self._lanes[0].number += number

    def drain(self) -> None:
        """Wait for all answers."""
        for lane in self._lanes:
            self._answered += lane.collect()

    def _report(self) -> None:
        if self._answered:
            number, self._answered = self._answered, 0
            self._tell(number)

    def _copy(self, source: Source, rows: Any, start: int, stop: int) -> None:
        """Copy some rows to their places, a buffer's worth at a time."""
        each = rows.nbytes // len(rows)
        staging = self._staging((stop - start) * each)
        held = len(staging.memory) - staging.used
        if (stop - start) * each > held:  # there was less page-locked memory than was asked for
            for part in cuts(start, stop, source.unit, held // each):
                self._copy(source, rows, *part)
            return
        target = rows[start:stop]
        memory = staging.memory[staging.used : staging.used + target.nbytes]
        host = memory.view(target.dtype).reshape(target.shape)
        self._fill(source, host, start)
        streams.send(host, target)
        lane = self._lanes[0]
        staging.copies[lane.stream.ptr] = lane.stream.record()
        staging.used = _aligned(staging.used + target.nbytes)

    def _staging(self, nbytes: int) -> Staging:
        """Buffer with room for so many bytes, or an empty one."""
        if self._buffers and self._buffers[-1].used + nbytes <= len(self._buffers[-1].memory):
            return self._buffers[-1]
        if len(self._buffers) < _BUFFERS:
            self._buffers.append(Staging(streams.pinned(SIZE)))
        else:
            self._buffers.append(self._buffers.pop(0))
            self._buffers[-1].clear()
        return self._buffers[-1]

    def _fill(self, source: Source, host: NDArray[Any], start: int) -> None:
        """Write rows from `start` on into a buffer, several threads a range each."""
        stop, each = start + len(host), -(-len(host) // self._workers)
        parts = list(cuts(start, stop, source.unit, each))
        if host.nbytes < _WORTH or len(parts) == 1:
            source.read(host, start, stop)
            return
        work = [
            self._pool.submit(source.read, host[first - start : last - start], first, last)
            for first, last in parts
        ]
        waiting = set(work)
        while waiting:
            _, waiting = wait(waiting, timeout=_PATIENCE)
        for future in work:
            future.result()


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT

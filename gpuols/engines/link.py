"""Link: how rows go from the host to a device, and answers back.

What fits one buffer of the ring is copied at once; more goes through the ring, where copies,
kernels and the reading of rows overlap. What is on the device already needs no link.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device, ring, streams
from gpuols.engines.sources import Beside, Source
from gpuols.places import CPU, place_of


class Link(Protocol):
    """What takes rows to a device and answers back; entered while it is used.

    Attributes
    ----------
    room : int
        Bytes of rows, and of answers, that are best worked on together.
    """

    @property
    def room(self) -> int:
        """Bytes of rows, and of answers, that are best worked on together."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until everything is where it should be."""

    def turn(self) -> AbstractContextManager[None]:
        """Context in which some rows are sent, worked on and their answers brought."""

    def follow(self) -> None:
        """Let all turns to come wait for what the current stream was asked for."""

    def send(self, source: Source) -> Any:
        """Rows as a device array, to be used in the same turn."""

    def bring(self, part: Any, array: NDArray[Any], where: Any) -> None:
        """Write a device array (entries, b) into array[:, where], in this turn or later."""

    def done(self, number: int) -> None:
        """Say that the answers to so many regressions are on their way."""

    def drain(self) -> None:
        """Wait for all of them."""


class Plain:
    """Copies that are waited for.

    Parameters
    ----------
    tell : callable
        Told how many regressions are answered.
    """

    room = ring.SIZE

    def __init__(self, tell: Callable[[int], None]) -> None:
        self.done = tell

    def __enter__(self) -> Self:
        """Begin; nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """End; nothing to wait for."""

    def turn(self) -> AbstractContextManager[None]:
        """The current stream serves."""
        return nullcontext()

    def follow(self) -> None:
        """There is one stream only."""

    def send(self, source: Source) -> Any:
        """Rows as a device array."""
        return device.upload(np.ascontiguousarray(source.take(0, source.rows), source.dtype))

    def bring(self, part: Any, array: NDArray[Any], where: Any) -> None:
        """Write a device array (entries, b) into array[:, where]."""
        array[:, where] = device.download(part)

    def drain(self) -> None:
        """Nothing is under way."""


def send_matrix(link: Link, table: NDArray[Any], dtype: np.dtype) -> Any:
    """Matrix of the host on the device; what are neighbours in memory are so there."""
    if abs(table.strides[0]) < abs(table.strides[1]):
        return link.send(Beside(table.T, dtype)).T
    return link.send(Beside(table, dtype))


def between(
    number: int, tables: Sequence[Any], tell: Callable[[int], None], sharers: int = 1
) -> Link:
    """Link to a device for tables of rows.

    Parameters
    ----------
    number : int
        Of the device.
    tables : sequence of (...) or None
        The rows, on the host or on the device.
    tell : callable
        Told how many regressions are answered.
    sharers : int
        How many links there are at the same time.

    Returns
    -------
    Link
        To be entered.
    """
    there = [table for table in tables if table is not None]
    small = sum(8 * table.size for table in there) <= ring.SIZE
    wide = max(8 * table.shape[-1] for table in there[:2]) > streams.LEAST  # X and y
    if place_of(there[0]) != CPU or small or wide:
        return Plain(tell)
    return ring.Ring(number, tell, sharers)

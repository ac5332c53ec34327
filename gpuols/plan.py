"""How work is cut: chunks from a budget of temporaries; and where it is done.

A chunk is a range of regressions, of responses that share a design, or of groups of one size.
How it is cut never reaches the numbers; it decides only memory, balance between threads, and
how often progress is reported.

With device="auto" rows in host memory go to a device where that is expected to take clearly less
time. The CPU takes its time for the bytes of rows and answers, then for the operations. A device
takes its time to start, for the rows to come over the link or for the operations, whichever is
longer, since they overlap, and for the answers to come back. Five rates say how long; they are
measured (`gpuols.costs`).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from gpuols.numerics.cholesky import SMALL, TILE
from gpuols.numerics.lanes import tile_of
from gpuols.options import Progress, threads, threads_asked
from gpuols.records import filled
from gpuols.selection import ranges

BUDGET = 256 * 2**20

_SHARES = 2  # parts of a thread's share of what is left: a chunk is one at most
_READ_MOST = 4096  # regressions
_READ_LEAST = 2**18  # numbers read: fewer are not worth a task
_MASKED_MOST = 16384  # responses
_SOLVE_MOST = 32768  # regressions
_SOLVE_LEAST = 16384  # regressions: shorter calls make threads wait for one another
_FACTORED_LEAST = 256  # regressions, where each is factored by itself
_SOLVE = 2**17  # numbers in the Gram matrices: more do not stay in cache
_TILES_MOST = 256
_PRECISE = 6  # times the temporaries in double-double
_CLEARLY = 1.25  # times as long must the CPU take: rates are never quite right

Report = Callable[[int, int], object]


@filled
@dataclass(frozen=True)
class Load:
    """What a fit is to do.

    Attributes
    ----------
    sent, brought : int
        Bytes of the rows as a device takes them, and of moments and answers.
    operations : int
        Multiplications and additions.
    largest : int
        Bytes of the rows of the largest regression.
    """

    sent: int
    brought: int
    operations: int
    largest: int


@dataclass(frozen=True)
class Rates:
    """What a machine and a device can do.

    Attributes
    ----------
    link : float
        Bytes a second between host and device, rows being read meanwhile.
    latency : float
        Seconds that a fit of next to nothing takes on the device.
    device_operations : float
        Operations a second of the device.
    cpu_bytes, cpu_operations : float
        Bytes and operations a second of the CPU.
    """

    link: float
    latency: float
    device_operations: float
    cpu_bytes: float
    cpu_operations: float


def load(
    numbers: int, *, rows: int, count: int, k: int, m: int, largest: int, itemsize: int = 8
) -> Load:
    """What fitting takes.

    Parameters
    ----------
    numbers : int
        In X, y and weights, those that regressions have in common once.
    rows, count : int
        Rows of all regressions together, and regressions.
    k, m : int
        Columns and responses of each.
    largest : int
        Rows of the largest.
    itemsize : int
        Bytes of a number.

    Returns
    -------
    Load
        Bytes and operations.
    """
    products = k * (k + 1) + 2 * k * m
    answers = k * k + 2 * k * m + 5 * k + 8 * m + 8
    return Load(
        sent=numbers * itemsize,
        brought=8 * count * answers,
        operations=rows * products + count * (k**3 // 3 + k * products),
        largest=largest * (k + m + 1) * itemsize,
    )


def shared_load(n: int, k: int, m: int, *, itemsize: int = 8) -> Load:
    """What fitting responses on one design takes.

    Parameters
    ----------
    n, k : int
        Rows and columns of the design.
    m : int
        Responses.
    itemsize : int
        Bytes of a number.

    Returns
    -------
    Load
        Bytes and operations; those of the design alone count as nothing.
    """
    return Load(
        sent=n * (k + m) * itemsize,
        brought=8 * m * (2 * k + 8),
        operations=2 * m * k * (n + k),
        largest=n * (k + 1) * itemsize,
    )


def seconds_on_cpu(load: Load, rates: Rates) -> float:
    """How long the CPU is expected to take."""
    return (load.sent + load.brought) / rates.cpu_bytes + load.operations / rates.cpu_operations


def seconds_on_device(load: Load, rates: Rates) -> float:
    """How long a device is expected to take for rows of the host."""
    work = max(load.sent / rates.link, load.operations / rates.device_operations)
    return rates.latency + work + load.brought / rates.link


def device_wins(load: Load, rates: Rates) -> bool:
    """Whether rows of the host are better fitted on the device."""
    return _CLEARLY * seconds_on_device(load, rates) < seconds_on_cpu(load, rates)


def reading(count: int, *, n: int, columns: int, batch_size: int | None) -> list[slice]:
    """Ranges of regressions whose rows to read together.

    Parameters
    ----------
    count : int
        Number of regressions.
    n : int
        Rows of each.
    columns : int
        Columns of X and y.
    batch_size : int or None
        Regressions a chunk, instead of what the budget allows.

    Returns
    -------
    list of slice
        Ranges that cover ``range(count)``.
    """
    least, each = _READ_LEAST // max(n * columns, 1), 16 * (n + columns * columns)
    return _cut(count, each, least, _READ_MOST, batch_size)


def solving(
    count: int, *, k: int, m: int, batch_size: int | None, precise: bool = False
) -> list[slice]:
    """Ranges of regressions to solve together.

    Up to `SMALL` columns they are long if the budget allows: a step is one short NumPy call, and
    threads that make short calls wait for one another (on two, 2,000 a range took three times as
    long as on one). With more they stay in cache, where they take three fifths of the time.

    Parameters
    ----------
    count : int
        Number of regressions.
    k, m : int
        Columns and responses of each.
    batch_size : int or None
        Regressions a chunk, instead of what the budget allows.
    precise : bool
        Whether in double-double.

    Returns
    -------
    list of slice
        Ranges that cover ``range(count)``.
    """
    each = 8 * (10 * k * k + 20 * (k + 1) * (m + 1) + 40) * (_PRECISE if precise else 1)
    least = _SOLVE_LEAST if k <= SMALL else _FACTORED_LEAST
    most = min(_SOLVE_MOST, max(least, _SOLVE // max(k, 1) ** 2))
    return _cut(count, each, least, most, batch_size)


def column_chunks(
    m: int, *, k: int, n: int, batch_size: int | None, precise: bool = False
) -> list[slice]:
    """Ranges of responses that share a design, cut on tiles of columns.

    Parameters
    ----------
    m : int
        Number of responses.
    k, n : int
        Columns and rows of the design.
    batch_size : int or None
        Responses a chunk, rounded up to whole tiles.
    precise : bool
        Whether in double-double.

    Returns
    -------
    list of slice
        Ranges that cover ``range(m)``.
    """
    each = 8 * (12 * k + 60) * (_PRECISE if precise else 1)
    least, most = _READ_LEAST // max(n, 1), TILE * _TILES_MOST
    return _cut_tiles(TILE, m, each, least, most, batch_size) or [slice(0, 0)]


def masked_chunks(count: int, *, n: int, k: int, batch_size: int | None) -> list[slice]:
    """Ranges of responses on one design, each with weights or missing rows of its own.

    Parameters
    ----------
    count : int
        Number of responses.
    n, k : int
        Rows and columns of the design.
    batch_size : int or None
        Responses a chunk, instead of what the budget allows.

    Returns
    -------
    list of slice
        Ranges that cover ``range(count)``.
    """
    if batch_size is not None:
        return ranges(count, batch_size)
    least, each = _READ_LEAST // max(n, 1), 16 * (k + 4) ** 2
    return _cut_tiles(tile_of(n, k), count, each, least, _MASKED_MOST, None)


def _cut_tiles(
    tile: int, count: int, each: int, least: int, most: int, batch_size: int | None
) -> list[slice]:
    """As `_cut`, all counted as there, on tiles: one at least, whatever it needs."""
    size = None if batch_size is None else -(-batch_size // tile)
    tiles = _cut(-(-count // tile), tile * each, least // tile, most // tile, size)
    return [slice(part.start * tile, min(part.stop * tile, count)) for part in tiles]


def _cut(count: int, each: int, least: int, most: int, batch_size: int | None) -> list[slice]:
    """Ranges worth a task, and affordable: ever shorter, alike at last; threads end together."""
    if batch_size is not None:
        return ranges(count, batch_size)
    if count == 1:  # most often, and sooner; what is asked for is checked all the same
        threads_asked()
        return [slice(0, 1)]
    workers, start, spans = threads(), 0, []
    most = max(1, min(most, BUDGET // workers // max(each, 1)))
    while start < count:
        left = count - start
        share = max(least, -(-left // (_SHARES * workers)))
        if left < (workers + 1) * least:
            nearest = min(workers, (left + least // 2) // least)
            share = -(-left // max(1, nearest, -(-left // most)))
        spans.append(slice(start, min(count, start + min(most, share))))
        start = spans[-1].stop
    return spans


def reporter(progress: Progress) -> Report | None:
    """Turn the progress option into a function of (done, total), or None."""
    if callable(progress):
        return progress
    return _print_progress if progress else None


def _print_progress(done: int, total: int) -> None:
    line = f"\r{done:,} of {total:,} ({done / max(total, 1):.0%})"
    print(line, end="\n" if done >= total else "", file=sys.stderr, flush=True)

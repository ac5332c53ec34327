"""How work is cut: chunks from a budget of temporaries.

A chunk is a range of regressions, of responses that share a design, or of groups of one size.
How it is cut never reaches the numbers; it decides only memory, balance between threads, and
how often progress is reported.
"""

import sys
from collections.abc import Callable

from gpuols.numerics.cholesky import TILE
from gpuols.options import Progress, threads

BUDGET = 256 * 2**20

MOST = 4096
_MOST_TILES = 256
_LEAST_ELEMENTS = 2**18
_SHARES = 4

Report = Callable[[int, int], object]


def solve_bytes(k: int, m: int) -> int:
    """Bytes of temporaries that solving one regression takes, about."""
    return 8 * (10 * k * k + 20 * (k + 1) * (m + 1) + 40)


def chunks(
    count: int, *, each: int, elements: int, batch_size: int | None, most: int = MOST
) -> list[slice]:
    """Ranges of regressions to work on together.

    Parameters
    ----------
    count : int
        Number of regressions.
    each : int
        Bytes of temporaries for one.
    elements : int
        Numbers read for one: chunks of too few are not worth a task.
    batch_size : int or None
        Regressions a chunk, instead of what the budget allows.
    most : int
        Regressions a chunk at most, so that a chunk's vectors stay in cache.

    Returns
    -------
    list of slice
        Ranges that cover ``range(count)``.
    """
    step = batch_size
    if step is None:
        workers = threads()
        affordable = BUDGET // workers // max(each, 1)
        fair = -(-count // (_SHARES * workers))
        worthwhile = _LEAST_ELEMENTS // max(elements, 1)
        step = max(1, min(affordable, most, max(fair, worthwhile)))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def column_chunks(m: int, *, k: int, n: int, batch_size: int | None) -> list[slice]:
    """Ranges of responses that share a design, cut on tiles of columns.

    Parameters
    ----------
    m : int
        Number of responses.
    k, n : int
        Columns and rows of the design.
    batch_size : int or None
        Responses a chunk, rounded up to whole tiles.

    Returns
    -------
    list of slice
        Ranges that cover ``range(m)``.
    """
    tiles = chunks(
        -(-m // TILE),
        each=TILE * 8 * (12 * k + 60),
        elements=TILE * n,
        batch_size=None if batch_size is None else -(-batch_size // TILE),
        most=_MOST_TILES,
    )
    return [slice(part.start * TILE, min(part.stop * TILE, m)) for part in tiles] or [slice(0, 0)]


def reporter(progress: Progress) -> Report | None:
    """Turn the progress option into a function of (done, total), or None."""
    if callable(progress):
        return progress
    return _print_progress if progress else None


def _print_progress(done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    sys.stderr.write(f"\r{done:,} of {total:,} ({done / max(total, 1):.0%}){end}")
    sys.stderr.flush()

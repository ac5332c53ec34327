"""How work is cut: chunks from a budget of temporaries.

A chunk is a range of regressions, of responses that share a design, or of groups of one size.
How it is cut never reaches the numbers; it decides only memory, balance between threads, and
how often progress is reported.
"""

import sys
from collections.abc import Callable

from gpuols.numerics.cholesky import TILE
from gpuols.options import Progress, threads
from gpuols.selection import ranges

BUDGET = 256 * 2**20

_SHARES = 4  # chunks for each thread, at least, where there is work enough
_READ_MOST = 4096  # regressions
_READ_LEAST = 2**18  # numbers read: fewer are not worth a task
_SOLVE = 16384  # regressions
_TILES_MOST = 256
_PRECISE = 6  # times the temporaries in double-double
_MASKED_LEAST = 32  # responses: fewer take as long

Report = Callable[[int, int], object]


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
    least = _READ_LEAST // max(n * columns, 1)
    each = 16 * (n + columns * columns)
    return ranges(count, batch_size or _step(count, each, least, _READ_MOST))


def solving(
    count: int, *, k: int, m: int, batch_size: int | None, precise: bool = False
) -> list[slice]:
    """Ranges of regressions to solve together.

    They are long: each step of a solution is one short NumPy call over the range, and threads
    that make short calls wait for one another (measured: 2,000 a range take three times as long
    on two threads as on one).

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
    return ranges(count, batch_size or _step(count, each, _SOLVE, _SOLVE))


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
    each = TILE * 8 * (12 * k + 60) * (_PRECISE if precise else 1)
    count = -(-m // TILE)
    step = _step(count, each, _READ_LEAST // max(TILE * n, 1), _TILES_MOST)
    if batch_size is not None:
        step = -(-batch_size // TILE)
    tiles = ranges(count, step)
    return [slice(part.start * TILE, min(part.stop * TILE, m)) for part in tiles] or [slice(0, 0)]


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
    each = 16 * (k + 4) ** 2
    least = max(_MASKED_LEAST, _READ_LEAST // max(n, 1))
    return ranges(count, batch_size or _step(count, each, least, _SOLVE))


def _step(count: int, each: int, least: int, most: int) -> int:
    """Regressions a chunk: a fair share for each thread, but worth a task, and affordable."""
    workers = threads()
    fair = -(-count // (_SHARES * workers))
    affordable = BUDGET // workers // max(each, 1)
    return max(1, min(affordable, most, max(fair, least)))


def reporter(progress: Progress) -> Report | None:
    """Turn the progress option into a function of (done, total), or None."""
    if callable(progress):
        return progress
    return _print_progress if progress else None


def _print_progress(done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    sys.stderr.write(f"\r{done:,} of {total:,} ({done / max(total, 1):.0%}){end}")
    sys.stderr.flush()

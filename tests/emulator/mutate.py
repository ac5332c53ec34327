"""Barriers taken away one at a time: is each needed, and who notices?"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from emulator.build import ORDERS, KernelError

RUNS = tuple((mode, order) for mode in ("check", "fast") for order in ORDERS)

_BARRIER = re.compile(r"(?:__syncthreads|__syncwarp|team\.sync|cp_async_wait<[^>]*>)\([^;]*\);")


class Removal(NamedTuple):
    """One barrier that was taken away.

    Attributes
    ----------
    file, line, barrier : str, int, str
        Which.
    noticed : tuple of (str, str)
        The modes and orders of the runs that did not pass without it.
    """

    file: str
    line: int
    barrier: str
    noticed: tuple[tuple[str, str], ...]


def survey(
    sources: Mapping[str, str],
    run: Callable[[Mapping[str, str], str, str], None],
    runs: Sequence[tuple[str, str]] = RUNS,
) -> list[Removal]:
    """Take away each barrier in turn.

    Parameters
    ----------
    sources : mapping of str to str
        Texts of kernels by file.
    run : callable
        Given sources, a mode and an order, runs the kernels; raises KernelError or AssertionError
        if they are wrong.
    runs : sequence of (str, str)
        Modes and orders.

    Returns
    -------
    list of Removal
        In the order of the sources.

    Raises
    ------
    KernelError, AssertionError
        If a run does not pass with all barriers in place.
    """
    for mode, order in runs:
        run(sources, mode, order)
    return [
        Removal(file, line, barrier, tuple(_complaints({**sources, file: text}, run, runs)))
        for file, whole in sources.items()
        for line, barrier, text in removals(whole)
    ]


def removals(text: str) -> Iterator[tuple[int, str, str]]:
    """Line and wording of each barrier, and the text without it."""
    for match in _BARRIER.finditer(text):
        start = text.rfind("\n", 0, match.start()) + 1
        if "//" not in text[start : match.start()]:
            line = text.count("\n", 0, match.start()) + 1
            yield line, match[0], text[: match.start()] + ";" + text[match.end() :]


def report(found: list[Removal]) -> str:
    """A line for each removal."""
    return "\n".join(
        f"{file}:{line} {barrier} "
        + (", ".join(f"{mode} {order}" for mode, order in noticed) or "nobody notices")
        for file, line, barrier, noticed in found
    )


def _complaints(
    sources: Mapping[str, str],
    run: Callable[[Mapping[str, str], str, str], None],
    runs: Sequence[tuple[str, str]],
) -> Iterator[tuple[str, str]]:
    for mode, order in runs:
        try:
            run(sources, mode, order)
        except (KernelError, AssertionError):
            yield mode, order

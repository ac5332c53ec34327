"""Barriers taken away one at a time: is each needed, and who notices?

Kernels are built once: a number in the runtime says which barrier to leave out.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from emulator.build import ORDERS, KernelError, left_out

RUNS = tuple((mode, order) for mode in ("check", "fast") for order in ORDERS)

_BARRIER = re.compile(r"(?:__syncthreads|__syncwarp|team\.sync|cp_async_wait<[^>]*>)\([^;]*\);")

Run = Callable[[Mapping[str, str], str, str, str | None], None]


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
    sources: Mapping[str, str], run: Run, runs: Sequence[tuple[str, str]] = RUNS
) -> list[Removal]:
    """Take away each barrier in turn.

    Parameters
    ----------
    sources : mapping of str to str
        Texts of kernels by file.
    run : callable
        Given sources, a mode, an order and the file that lacks a barrier, or None, runs the kernels
        made of that file; raises KernelError or AssertionError if they are wrong.
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
    texts, found = {}, []
    for file, text in sources.items():
        texts[file] = numbered(text, len(found) + 1)
        found += [(file, line, barrier) for line, barrier in barriers(text)]
    for mode, order in runs:
        run(texts, mode, order, None)
    return [
        Removal(*barrier, tuple(_complaints(texts, run, runs, number, barrier[0])))
        for number, barrier in enumerate(found, 1)
    ]


def barriers(text: str) -> Iterator[tuple[int, str]]:
    """Line and wording of each barrier."""
    for match in _found(text):
        yield text.count("\n", 0, match.start()) + 1, match[0]


def numbered(text: str, first: int) -> str:
    """The text with its barriers left out by number."""
    parts, end = [], 0
    for number, match in enumerate(_found(text), first):
        parts += [text[end : match.start()], f"if (emu_left_out != {number}) {match[0]}"]
        end = match.end()
    return "".join([*parts, text[end:]])


def _found(text: str) -> Iterator[re.Match[str]]:
    for match in _BARRIER.finditer(text):
        if "//" not in text[text.rfind("\n", 0, match.start()) + 1 : match.start()]:
            yield match


def report(found: list[Removal]) -> str:
    """A line for each removal."""
    return "\n".join(
        f"{file}:{line} {barrier} "
        + (", ".join(f"{mode} {order}" for mode, order in noticed) or "nobody notices")
        for file, line, barrier, noticed in found
    )


def _complaints(
    texts: Mapping[str, str],
    run: Run,
    runs: Sequence[tuple[str, str]],
    number: int,
    file: str,
) -> Iterator[tuple[str, str]]:
    for mode, order in runs:
        try:
            with left_out(number):
                run(texts, mode, order, file)
        except (KernelError, AssertionError):
            yield mode, order

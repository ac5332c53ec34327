"""Compiling: how functions are compiled, and which of them are kept on disk.

Numba keeps compiled code beside its source, or in the user's cache, and takes it for stale where
that one file has changed. What is kept here holds code of other files, too: a number made of all of
them is part of what it is found by.
"""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from numba import njit

OPTIONS = {"nogil": True, "error_model": "numpy"}

compiled = njit(**OPTIONS)


def _fingerprint() -> int:
    found = blake2b(digest_size=7)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.read_bytes())
    return int.from_bytes(found.digest(), "little")


def kept(make: Callable[[int], Callable[..., Any]]) -> Any:
    """Compiled function that is kept on disk, where there is a place for it.

    Parameters
    ----------
    make : callable
        Gives the function, which uses the number it is made with.

    Returns
    -------
    callable
        The function, compiled when it is first called.
    """
    function = make(_fingerprint())
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # nowhere to write
        return njit(**OPTIONS)(function)

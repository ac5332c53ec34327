"""Compiling: how functions are compiled, and which of them are kept on disk.

Numba keeps compiled code beside its source, or in the user's cache, and takes it for stale where
that one file was written again. What is kept here holds code of other files, too: it is fresh as
long as all of them say what they said, whenever they were written, as where an image is copied.

Processes that compile at once write to the same index. Numba numbers its files of code by what the
index held, so that two could give different code one name, and a third run the wrong one
(https://github.com/numba/numba/issues/4807). Here no two processes share a name: at worst an entry
of the index is lost, and something is compiled once more.
"""

from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

from numba import njit
from numba.core.caching import FunctionCache
from numba.extending import register_jitable

OPTIONS = {"nogil": True, "error_model": "numpy"}

INNER = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

compiled = njit(**INNER)
"""Compiled for compiled code alone. Python must not call it: its own way in is left out, which
would take a fifth of the time to compile."""
inlined = njit(**INNER, forceinline=True)
"""The same, made part of what calls it: where much is handed over for few regressions."""
portable = register_jitable(**INNER)
"""Compiled where compiled code calls it; from Python it is Python's own, with no wait."""

_SOURCES = ("engines/jit/*.py", "numerics/*.py", "errors.py")  # of code and of its constants


class _Shelf(FunctionCache):
    """Numba's own place on disk, and none where that can't be read or written."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        name = self._impl.filename_base
        self._cache_file._source_stamp = _STAMP
        self._cache_file._data_name_pattern = f"{name}.{uuid4().hex[:16]}.{{number:d}}.nbc"

    def load_overload(self, *of: Any) -> Any:
        """Code that was kept, or None; where files are cut short, all is compiled once more."""
        try:
            return super().load_overload(*of)
        except OSError:
            return None
        except Exception:  # there is no telling what reading half a file raises
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, *of: Any) -> None:
        """Keep code."""
        with suppress(OSError):
            super().save_overload(*of)


def _fingerprint() -> str:
    found = blake2b(digest_size=7)
    package = Path(__file__).parents[2]
    for pattern in _SOURCES:
        for path in sorted(package.glob(pattern)):
            found.update(path.read_bytes())
    return found.hexdigest()


_STAMP = _fingerprint()


def kept(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep it on disk, where there is a place."""
    found = njit(**OPTIONS, no_cfunc_wrapper=True)(function)
    with suppress(RuntimeError):  # nowhere to write
        found._cache = _Shelf(function)
    return found

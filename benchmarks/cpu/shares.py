"""The share of the shift to the anchor and of the error bound in gpuols' own time.

One fit is timed on one thread, function by function. What loads rows shifts them as it copies them,
and multiplies them by their weights if they have any; all that is counted as the shift.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from unittest import mock

from gpuols.engines import gram, masked, precise, shared, solve
from gpuols.options import THREADS_VARIABLE

PARTS: dict[str, list[tuple[Any, str]]] = {
    "shift": [
        (gram, "anchors"),
        (gram, "_load"),
        (shared, "_anchor"),
        (shared, "_shift_tiles"),
        (masked, "_anchors"),
        (masked._Block, "write"),
        (precise, "load"),
    ],
    "bound": [(solve, "error_bound")],
}
"""Functions of the NumPy engine."""


def measure(
    run: Callable[[], Any], parts: Mapping[str, Iterable[tuple[Any, str]]] = PARTS
) -> dict[str, float]:
    """Shares of parts, the functions given by owner and name, in the time of one run."""
    spent = dict.fromkeys(parts, 0.0)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, {THREADS_VARIABLE: "1"}))
        for part, functions in parts.items():
            for owner, name in functions:
                timed = _timed(getattr(owner, name), part, spent)
                stack.enter_context(mock.patch.object(owner, name, timed))
        start = time.perf_counter()
        run()
        whole = time.perf_counter() - start
    return {part: seconds / whole for part, seconds in spent.items()}


def _timed(function: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[part] += time.perf_counter() - start

    return call

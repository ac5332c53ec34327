"""Several CUDA devices that share out the rows of one call.

Each answers one range of regressions, or of groups, on a thread of its own, and writes its answers
where one device would have. Ranges depend on sizes alone, and what a regression's numbers are does
not depend on its neighbours: they are those of one device.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import pairwise
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuols.engines import device
from gpuols.engines.cuda import Cuda
from gpuols.engines.kernels import Kernel
from gpuols.engines.link import between
from gpuols.engines.outputs import Outputs
from gpuols.engines.work import Work
from gpuols.errors import DeviceError

_PATIENCE = 0.1  # seconds; only the main thread can act on Ctrl-C


class _StoppedError(Exception):
    """What ends the work of a device where that of another went wrong."""


@dataclass(frozen=True)
class Several(Cuda):
    """The functions of an engine, on several devices; rows are in host memory.

    Attributes
    ----------
    number : int
        Of the first one, which does what one device has to do.
    numbers : tuple of int
        Of all.
    """

    numbers: tuple[int, ...] = ()

    @classmethod
    def every(cls) -> "Several":
        """All that are visible, one of which can be used at least."""
        numbers = tuple(range(device.namespace().cuda.runtime.getDeviceCount()))
        return cls(numbers[0], numbers)

    @property
    def NAME(self) -> str:  # noqa: N802 (a constant of modules)
        """What a result says of the engine."""
        return f"cuda:all ({len(self.numbers)})"

    def compile_kernel(self, kernel: Kernel) -> None:
        """Compile a kernel for all of them."""
        for number in self.numbers:
            Cuda(number).compile_kernel(kernel)

    def _answer(self, work: Work, outputs: Outputs, tell: Callable[[int], None]) -> Any:
        """Answer a part of it on each device; how many call for a closer look, (1,)."""
        stop, many = Event(), len(self.numbers)

        def tell_all(number: int) -> None:
            if stop.is_set():
                raise _StoppedError
            tell(number)

        def answer(number: int, part: slice) -> int:
            try:
                with device.on(number):
                    own = replace(outputs, rejected=device.zeros((1,), np.int32))
                    with between(number, work.tables, tell_all, many) as link:
                        work.answer(number, own, link, part)
                    return int(device.download(own.rejected)[0])
            except DeviceError as error:
                raise _named(error, number) from error
            except _StoppedError:
                return 0

        with ThreadPoolExecutor(many, thread_name_prefix="gpuols") as pool:
            try:
                parts = zip(self.numbers, _parts(work.ends, many), strict=True)
                pending = {pool.submit(answer, *part) for part in parts}
                calls = 0
                while pending:
                    done, pending = wait(pending, timeout=_PATIENCE)
                    calls += sum(future.result() for future in done)
            finally:
                stop.set()
                # Their errors would keep the frames that raised them, and what those hold.
                pending = done = set()
        return np.array([calls])


def _parts(ends: Sequence[int] | NDArray[np.int64], many: int) -> Iterator[slice]:
    """Ranges of units, one after another, of about equal sizes."""
    total = int(ends[-1]) if len(ends) else 0
    inner = [bisect_right(ends, total * i // many) for i in range(1, many)]
    for start, stop in pairwise([0, *inner, len(ends)]):
        yield slice(start, stop)


def _named(error: DeviceError, number: int) -> DeviceError:
    """The same error, which says of which device it is."""
    if f"cuda:{number}" in error.came:
        return error
    return DeviceError(
        error.argument, f"{error.came} on cuda:{number}", error.expected, error.remedy
    )

"""How busy other processes keep the machine while something is measured."""

import os
import time
from contextlib import suppress
from pathlib import Path

_STAT = Path("/proc/stat")
_IN_USE = (1, 2, 3, 6, 7, 8)
"""Fields of its first line: user, nice, system, irq, softirq, steal."""


class Others:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), _seconds()

    def processors(self) -> float | None:
        """Processors that others kept busy since, on average; None where /proc does not say."""
        moment, seconds = time.perf_counter(), _seconds()
        if seconds is None or self._start[1] is None:
            return None
        return max(0.0, (seconds - self._start[1]) / (moment - self._start[0]))


def _seconds() -> float | None:
    """Seconds of processors that others have used."""
    with suppress(OSError):
        fields = _STAT.read_text().splitlines()[0].split()
        own = os.times()
        ticks = sum(int(fields[place]) for place in _IN_USE)
        return ticks / os.sysconf("SC_CLK_TCK") - own.user - own.system
    return None

"""Costs: where device="auto" fits rows of the host, by rates that are measured once on a device.

What is measured is kept in memory, and on disk where the system keeps what programs can make
again: `$XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches`, or `%LOCALAPPDATA%`. Where that can't be
read it is measured again, which takes about a second where all is compiled. CuPy is imported only
where there is a driver, and not for what the CPU would end in no time.
"""

import ctypes
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np

from gpuols import plan
from gpuols.engines import choose, device, ring
from gpuols.engines.cuda import Cuda
from gpuols.errors import DeviceError
from gpuols.options import Options, threads
from gpuols.plan import Load, Rates
from gpuols.problems import batch
from gpuols.problems.pipeline import Job
from gpuols.rows import read_rows
from gpuols.version import __version__

# Seconds on a CPU of usual rates: what takes less is not worth asking a device, or CuPy's import.
_WORTH, _WORTH_LOOKING = 0.05, 0.5
_USUAL = Rates(1.0, 1.0, 1.0, cpu_bytes=4e9, cpu_operations=1e10)

# Regressions of the measurements: narrow ones are read, wide ones multiplied.
_NARROW, _WIDE = (200, 2), (1000, 30)
_COUNTS = {"read": 4000, "multiply": 100, "send": 4 * ring.SIZE // (8 * 200 * 3), "device": 5000}

_known: dict[str, Rates | None] = {}
_lock = Lock()


def device_for(asked: Callable[[], Load]) -> str:
    """Where device="auto" fits rows of the host.

    Parameters
    ----------
    asked : callable
        Says what is to be done; it is not asked where there is no driver.

    Returns
    -------
    str
        "cpu" or "cuda:0".
    """
    if not _has_driver():
        return "cpu"
    load, worth = asked(), _WORTH if "cupy" in sys.modules else _WORTH_LOOKING
    if plan.seconds_on_cpu(load, _USUAL) < worth or device.why_not(0):
        return "cpu"
    rates = rates_of(0)
    if rates is None or not plan.device_wins(load, rates):
        return "cpu"
    with device.on(0):
        return "cuda:0" if 2 * load.largest < device.free_bytes() else "cpu"


def _has_driver() -> bool:
    """Whether NVIDIA's driver may be there, which is known sooner than CuPy is imported."""
    return "cupy" in sys.modules or _finds_driver()


@cache
def _finds_driver() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def rates_of(number: int) -> Rates | None:
    """Rates of this machine and a device that can be used; None where they can't be measured."""
    key = _key(number)
    with _lock:
        if key not in _known:
            _known[key] = _read().get(key) or _measure_and_write(number, key)
        return _known[key]


def forget() -> None:
    """Forget what was found and measured, but not what is on disk."""
    _finds_driver.cache_clear()
    with _lock:
        _known.clear()


def _key(number: int) -> str:
    """What rates hold for: a folder may be that of many machines."""
    machine = f"{platform.node()}, {threads()} threads, {choose('cpu').NAME}"
    return f"{machine}, {device.find(number).name}, gpuols {__version__}"


def _measure_and_write(number: int, key: str) -> Rates | None:
    try:
        rates = _measure(number)
    except (DeviceError, MemoryError):  # the CPU does it, then
        return None
    _write({**_read(), key: rates})
    return rates


# On disk


def _file() -> Path:
    home = Path.home()
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = home / "Library" / "Caches"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return folder / "gpuols" / "rates.json"


def _read() -> dict[str, Rates]:
    """All rates on disk that can be read."""
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        rates = {key: Rates(**each) for key, each in found.items()}
        good = all(value > 0 for each in rates.values() for value in asdict(each).values())
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
        return {}
    return rates if good else {}


def _write(rates: dict[str, Rates]) -> None:
    """Write all rates beside the file, then put them in its place; without a folder, nowhere."""
    text = json.dumps({key: asdict(each) for key, each in rates.items()}, indent=2)
    with suppress(OSError, RuntimeError):
        file = _file()
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)


# Measurements


def _measure(number: int) -> Rates:
    """Time fits on the CPU and on a device."""
    cpu, engine = choose("cpu"), Cuda(number)
    narrow = _data(_COUNTS["send"], *_NARROW)
    few = narrow[0][: _COUNTS["read"]], narrow[1][: _COUNTS["read"]]
    wide = _data(_COUNTS["multiply"], *_WIDE)
    tiny = narrow[0][:8], narrow[1][:8]

    reading, multiplying = (_load(*data) for data in (few, wide))
    cpu_bytes = (reading.sent + reading.brought) / _seconds(cpu, few)
    rest = _seconds(cpu, wide)
    rest = max(rest - (multiplying.sent + multiplying.brought) / cpu_bytes, rest / 2)

    latency = _seconds(engine, tiny)
    sending = _load(*narrow)
    link = (sending.sent + sending.brought) / _beyond(latency, _seconds(engine, narrow))
    with engine.at_work():
        same = [device.upload(array[0]) for array in wide]
        count = _COUNTS["device"]
        there = [np.broadcast_to(array, (count, *array.shape)) for array in same]
    seconds = _beyond(latency, _seconds(engine, there))
    return Rates(
        link=link,
        latency=latency,
        device_operations=_load(*there).operations / seconds,
        cpu_bytes=cpu_bytes,
        cpu_operations=multiplying.operations / rest,
    )


def _beyond(latency: float, seconds: float) -> float:
    return max(seconds - latency, seconds / 2)


def _data(count: int, n: int, k: int) -> tuple[Any, Any]:
    """Regressions to time; how many different ones there are does not matter."""
    some = np.random.default_rng(0).standard_normal((16, n, k + 1))
    all_of_them = np.resize(some, (count, n, k + 1))
    return np.ascontiguousarray(all_of_them[..., :k]), np.ascontiguousarray(all_of_them[..., k])


def _load(x: Any, y: Any) -> Load:
    count, n, k = x.shape
    return plan.load(x.size + y.size, rows=count * n, count=count, k=k, m=1, largest=n)


def _seconds(engine: Any, data: Iterable[Any]) -> float:
    """Time of the second of two fits: the first one compiles kernels and takes memory."""
    x, y = data
    rows = read_rows(x, y, None, None)
    job = Job(engine, Options(solver="cholesky"), np.zeros(rows.lead))
    seconds = 0.0
    for _ in range(2):
        start = perf_counter()
        with engine.at_work():
            batch.answer(rows, job)
        seconds = perf_counter() - start
    return seconds

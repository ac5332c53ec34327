"""What engines are made of, compiled ahead of the first fit that needs it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from gpuols.engines import COMPILED, available, catalogue, choose, compiles, cpu
from gpuols.engines.cuda import Cuda
from gpuols.errors import DeviceError, InputError
from gpuols.fit import fit, fit_groups
from gpuols.options import Options, Progress, threads
from gpuols.plan import reporter

Step = Callable[[], object]

_COLUMNS = range(6)  # those for which code is made, and more


def precompile(device: str = "auto", *, progress: Progress = False) -> int:
    """Compile what an engine is made of, ahead of the first fit that needs it.

    A CUDA kernel is compiled when a fit first needs it, which takes about a second, once for each
    kind of device: CuPy keeps what is compiled in ``~/.cupy/kernel_cache``, or
    ``$CUPY_CACHE_DIR``. What the compiled CPU engine is made of takes about fifteen seconds at
    first, and 4 to 40 for each further kind of fit; Numba keeps it beside gpuols where it can write
    there, else in the user's cache, or in ``$NUMBA_CACHE_DIR``. This does it for all at once, for
    example where an image is built or a server starts.

    Parameters
    ----------
    device : str
        "auto": the compiled CPU engine where it can be had, and the first CUDA device where there
        is one. "cpu" or "cpu:numba", "cuda", "cuda:1" and so on, or "cuda:all": one of them.
    progress : bool or callable
        True for a line on stderr, or a function called with (done, total).

    Returns
    -------
    int
        Number of kernels and of kinds of fits, those that were compiled already included.

    Raises
    ------
    DeviceError
        If the device, or for a CPU Numba, can't be had, saying why.
    InputError
        If the NumPy engine is named, which needs no compiling.
    """
    options = Options(device=device, progress=progress)
    if options.device == cpu.NAME:
        raise InputError("device", repr(device), "'cpu:numba' or 'cuda'", "name what is compiled")
    steps = _kernels(options.device) + _fits(options.device)
    report = reporter(options.progress)
    with ThreadPoolExecutor(threads(), thread_name_prefix="gpuols") as pool:
        jobs = [pool.submit(step) for step in steps]
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            if report is not None:
                report(done, len(steps))
    return len(steps)


def _kernels(device: str) -> list[Step]:
    """What compiles each kernel, if the device has some."""
    if device == "auto" and available()["cuda"].startswith("ready"):
        device = "cuda"
    if not device.startswith("cuda"):
        return []
    engine = choose(device)
    assert isinstance(engine, Cuda)
    return [partial(engine.compile_kernel, kernel) for kernel in catalogue.every_kernel()]


def _fits(device: str) -> list[Step]:
    """What fits a little of each kind by the compiled CPU engine, if the device means that."""
    if device.startswith("cuda") or (device == "auto" and not compiles(device)):
        return []
    if not compiles(device):
        reason = available()[COMPILED]
        expected = "an engine of compiled code that can be had"
        remedy = 'device="auto" compiles for those that there are'
        raise DeviceError("device", f"{device!r} ({reason})", expected, remedy)
    kinds = product(_COLUMNS, (False, True), ("nan", "drop"), ("auto", "accurate"))
    return [partial(_fit_every_shape, *kind) for kind in kinds]


def _fit_every_shape(k: int, weighted: bool, missing: str, solver: str) -> None:
    """Fit a batch, groups, and responses on one design, some of them exactly."""
    rng, count, n = np.random.default_rng(0), 9, 24
    x, y = rng.normal(size=(count, n, k)), rng.normal(size=(count, n))
    y[:3] = 0.0
    heavy: Any = np.ones((count, n)) if weighted else None
    options: dict[str, Any] = {"missing": missing, "solver": solver, "device": COMPILED}
    fit(x, y, weights=heavy, **options)
    fit(x, np.stack([y, y], axis=2), weights=heavy, **options)
    fit(x[0], y.T, weights=None if heavy is None else heavy[0], **options)
    fit(x[:1], y, weights=heavy, **options)
    rows = x.reshape(count * n, k), y.reshape(-1)
    heavy = None if heavy is None else heavy.reshape(-1)
    fit_groups(*rows, np.tile(np.arange(count), n), weights=heavy, **options)
    fit_groups(*rows, offsets=n * np.arange(count + 1), weights=heavy, **options)

"""Kernels compiled ahead of the first fit that needs them."""

from concurrent.futures import ThreadPoolExecutor, as_completed

from gpuols.engines import catalogue, choose
from gpuols.engines.cuda import Cuda
from gpuols.errors import InputError
from gpuols.options import Options, Progress, threads
from gpuols.plan import reporter


def precompile(device: str = "cuda", *, progress: Progress = False) -> int:
    """Compile every CUDA kernel for a device.

    A kernel is compiled when a fit first needs it, which takes about a second, once for each kind
    of device: CuPy keeps what is compiled in ``~/.cupy/kernel_cache``, or ``$CUPY_CACHE_DIR``.
    This does it for all at once, for example where an image is built or a server starts.

    Parameters
    ----------
    device : str
        "cuda", "cuda:1" and so on, or "cuda:all".
    progress : bool or callable
        True for a line on stderr, or a function called with (done, total).

    Returns
    -------
    int
        Number of kernels.

    Raises
    ------
    DeviceError
        If the device can't be had, saying why.
    InputError
        If another engine is named, whose code needs no compiling.
    """
    options = Options(device=device, progress=progress)
    if not options.device.startswith("cuda"):
        raise InputError("device", repr(device), "'cuda' or 'cuda:1'", "name a CUDA device")
    engine = choose(options.device)
    assert isinstance(engine, Cuda)
    kernels, report = catalogue.every_kernel(), reporter(options.progress)
    with ThreadPoolExecutor(threads(), thread_name_prefix="gpuols") as pool:
        jobs = [pool.submit(engine.compile_kernel, kernel) for kernel in kernels]
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            if report is not None:
                report(done, len(kernels))
    return len(kernels)

"""Reasons: why a CUDA device can't be used and what to do, each in one line."""

import os

_EXTRAS = '"gpuols[cuda12]" or "gpuols[cuda13]"'
_BROKEN = "the NVIDIA driver does not work"
_MEND = "restart the machine or install the driver again; in a container it must be the host's"
_BY_STATUS = {
    2: (
        "the device has no free memory",
        "end other programs on it: nvidia-smi lists them",
    ),
    35: (
        "there is no NVIDIA driver, or one too old for this CuPy's CUDA",
        f"install or update the driver, or take the extra for its CUDA: {_EXTRAS}",
    ),
    100: ("no CUDA device is there", "see whether nvidia-smi lists one"),
    802: (_BROKEN, _MEND),
    803: (_BROKEN, _MEND),
    804: (_BROKEN, _MEND),
    999: (_BROKEN, _MEND),
}
_REPORT = 'use device="cpu", and report it with what gpuols.info() says'


def of_import(error: Exception) -> str:
    """Why `import cupy` failed.

    Parameters
    ----------
    error : Exception
        What it raised.

    Returns
    -------
    str
        One line: reason; remedy.
    """
    if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
        return f"CuPy is not installed; pip install {_EXTRAS}"
    return (
        f"CuPy is installed but can't be imported ({_first_line(error)}); remove every package "
        f"whose name starts with cupy, then pip install {_EXTRAS}"
    )


def of_probe(error: Exception) -> str:
    """Why devices could not be counted, or the first kernel not be run; as `of_import`."""
    status = 2 if isinstance(error, MemoryError) else status_of(error)
    if _lacks_library(error):
        return f"CUDA's compiler NVRTC or another library is not found; pip install {_EXTRAS}"
    if type(error).__name__ == "CompileException":
        return f"a one-line kernel does not compile ({_first_line(error)}); pip install {_EXTRAS}"
    reason, remedy = _BY_STATUS.get(
        status, ("CUDA does not work", "see what cupy.show_config() says")
    )
    return f"{reason} ({_first_line(error)}{_hidden() if status == 100 else ''}); {remedy}"


def of_number(number: int, count: int) -> str:
    """Why there is no device of a number."""
    devices = "only device 0 is" if count == 1 else f"only devices 0 to {count - 1} are"
    return f"there is no CUDA device {number}: {devices} there{_hidden()}; choose one of them"


def of_answer(value: int, expected: int) -> str:
    """Why a device that runs kernels can't be trusted."""
    return (
        f"a one-line kernel answered {value}, not {expected}; restart the machine, and look for "
        "errors of the device with nvidia-smi -q"
    )


def of_launch(error: Exception) -> tuple[str, str]:
    """Why a kernel failed.

    Parameters
    ----------
    error : Exception
        What CuPy raised.

    Returns
    -------
    tuple of str
        Reason and remedy.
    """
    if type(error).__name__ == "CompileException":
        return f"it does not compile ({_first_line(error)})", _REPORT
    return _first_line(error), f"restart Python: CUDA may refuse all that follows; {_REPORT}"


def status_of(error: Exception) -> int:
    """Number of a CUDA error, 0 for other exceptions."""
    known = type(error).__name__ in ("CUDARuntimeError", "CUDADriverError")
    return int(getattr(error, "status", 0)) if known else 0


def _hidden() -> str:
    """That CUDA_VISIBLE_DEVICES is set, where it is."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if visible is None else f", CUDA_VISIBLE_DEVICES is {visible!r}"


def _lacks_library(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a shared library that was not found."""
    if type(error).__name__ == "DynamicLibNotFoundError":
        return True
    if isinstance(error, ImportError | OSError | RuntimeError) and "libnvrtc" in str(error):
        return True
    cause = error.__cause__
    return cause is not None and _lacks_library(cause)


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text or type(error).__name__

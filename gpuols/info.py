"""What this installation can do, and why not more."""

import sys
from dataclasses import dataclass

from gpuols.engines import available
from gpuols.options import threads
from gpuols.version import __version__

# As they are called where they are installed from.
_LIBRARIES = (
    *("numpy", "scipy", "threadpoolctl", "numba"),
    *("cupy", "cupy-cuda12x", "cupy-cuda13x", "torch", "jax"),
    *("narwhals", "formulaic", "pandas", "polars", "pyarrow", "scikit-learn"),
)


@dataclass(frozen=True)
class Info:
    """Engines, devices and versions; print it.

    Attributes
    ----------
    engines : dict
        For each engine "ready", or why it can't be had.
    threads : int
        Threads the CPU engine uses.
    versions : dict
        Versions of Python and of the libraries that matter, where installed.
    machine : str
        Operating system and processor.
    """

    engines: dict[str, str]
    threads: int
    versions: dict[str, str]
    machine: str

    def __str__(self) -> str:
        """One line an engine, then the versions."""
        engines = [f"{name:<10} {state}" for name, state in self.engines.items()]
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return "\n".join([*engines, f"{'threads':<10} {self.threads}", versions, self.machine])


def info() -> Info:
    """Say which engines and devices can be used, and why another can't.

    Returns
    -------
    Info
        Print it to read it.
    """
    import importlib.metadata  # slow imports, and seldom needed
    import platform

    versions = {"gpuols": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Info(available(), threads(), versions, f"{sys.platform} {platform.machine()}")

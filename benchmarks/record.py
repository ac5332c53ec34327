"""What a run of benchmarks leaves behind: where it ran, and one JSON file of figures."""

import contextlib
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import gpuols
from gpuols.files import written


def machine() -> dict[str, Any]:
    """Commit, processor, threads and versions of this run."""
    info = gpuols.info()
    return {
        "commit": _said_by("git", "describe", "--always", "--dirty", "--exclude=*"),
        "processor": _processor(),
        "threads": info.threads,
        "versions": info.versions,
        "machine": info.machine,
    }


def device() -> dict[str, Any]:
    """The current CUDA device, its driver, CUDA's versions and CuPy's."""
    import cupy

    runtime, index = cupy.cuda.runtime, cupy.cuda.Device().id
    properties = runtime.getDeviceProperties(index)
    return {
        "device": properties["name"].decode(),
        "device_memory": properties["totalGlobalMem"],
        "driver": _said_by(
            "nvidia-smi", f"--id={index}", "--query-gpu=driver_version", "--format=csv,noheader"
        ),
        "cuda_driver": runtime.driverGetVersion(),
        "cuda_runtime": runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
    }


def write(path: Path, figures: dict[str, Any]) -> None:
    """Write the figures as JSON; a file of that name is replaced at once or not at all."""
    with written(path) as file:
        file.write((json.dumps(figures, indent=2) + "\n").encode())


def beside(path: Path) -> Path:
    """Where the figures are until all are measured."""
    return path.with_name(f"{path.name}.part")


def keep(path: Path | None, figures: dict[str, Any]) -> None:
    """Write what is measured so far beside a results file, if there is to be one."""
    if path is not None:
        write(beside(path), figures)


def finish(path: Path | None, figures: dict[str, Any]) -> None:
    """Write a results file, if there is to be one, in place of what was kept beside it."""
    if path is not None:
        write(path, figures)
        beside(path).unlink(missing_ok=True)


def _said_by(*command: str) -> str:
    """What a command prints in the checkout; nothing where it fails or is not there."""
    with contextlib.suppress(OSError):
        here = Path(__file__).parent
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()

"""What a run of benchmarks leaves behind: where it ran, and one JSON file of figures."""

import contextlib
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import gpuols


def machine() -> dict[str, Any]:
    """Commit, processor, threads and versions of this run."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    info = gpuols.info()
    return {
        "commit": commit,
        "processor": _processor(),
        "threads": info.threads,
        "versions": info.versions,
        "machine": info.machine,
    }


def write(path: Path, figures: dict[str, Any]) -> None:
    """Write the figures as JSON; a file of that name is replaced at once or not at all."""
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(figures, indent=2) + "\n")
    beside.replace(path)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()

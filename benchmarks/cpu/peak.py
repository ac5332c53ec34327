"""Peak memory of one contender on one case, in a process of its own.

``python -m benchmarks.cpu.peak`` is given what to run as JSON, makes the rows, runs the contender
on a few of them so that libraries are loaded and compiled, and then on all. It prints, as JSON,
the bytes by which the resident size grew beyond what it was before that run, at most, and the bytes
of the answers.
"""

import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import choice
from benchmarks.cpu.cases import Case, every
from benchmarks.cpu.rivals import OURS, READ, contenders

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 180.0
_FEW = 10


def measure(case: Case, who: str, part: int, device: str, quick: bool) -> dict[str, Any]:
    """What a fresh process says: "peak_bytes" and "output_bytes", or "failed" and why."""
    if not _RESET.exists():
        return {"failed": "peak memory is read from /proc, which is not there"}
    task = {"letter": case.letter, "who": who, "part": part, "device": device, "quick": quick}
    words = [sys.executable, "-m", "benchmarks.cpu.peak", json.dumps(task)]
    options: dict[str, Any] = {"capture_output": True, "text": True, "check": False}
    try:
        done = subprocess.run(words, cwd=_ROOT, timeout=_SECONDS, **options)
    except subprocess.TimeoutExpired:
        return {"failed": f"peak memory: no answer after {_SECONDS:.0f} s"}
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"failed": f"peak memory: {said[-1]}"}
    return json.loads(done.stdout.splitlines()[-1])


def main(words: list[str]) -> None:
    """Run what the JSON says and print what it took."""
    task = json.loads(words[0])
    case = choice.cases(task["letter"], every(task["quick"]))[0]
    peers = [] if task["who"].startswith(OURS) else [task["who"]]
    able = contenders(case, task["device"], peers)
    one = next(contender for contender in able if contender.name == task["who"])
    data = case.make()
    one.run(*one.take(data.part(min(_FEW, data.count))))
    given = one.take(data.part(task["part"]))
    _give_back()
    _RESET.write_text("5")
    before = _kilobytes("VmRSS")
    found = one.run(*given)
    peak = 1024 * (_kilobytes("VmHWM") - before)
    size = sum(found[name].nbytes for name in READ if name in found)
    print(json.dumps({"peak_bytes": peak, "input_bytes": data.nbytes, "output_bytes": size}))


def _give_back() -> None:
    """Let the system have what was freed: else it would serve the run, and nothing would grow."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _kilobytes(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    main(sys.argv[1:])

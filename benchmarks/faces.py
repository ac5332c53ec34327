"""What data frames and the command line cost: ``python -m benchmarks.faces``.

A table of 5,000,000 rows in 20,000 groups: `fit_frame` beside `fit_groups` on the same numbers,
taken in turns, medians; then `gpuols fit` from a parquet file to another beside reading that file
and fitting it by `fit_groups`, each in a process of its own, in turns. The command's seconds count
the start of Python and of all libraries, the others' do not; modules are compiled beforehand, as
installing does. Its peak is the process's largest resident size. Fails above a limit.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

import gpuols
from benchmarks import choice, record

_FORMULA = "y ~ x0 + x1 + x2"
_GROUPS = 20_000
_OWN_LIMIT, _SECONDS_LIMIT, _MEMORY_LIMIT = 1.25, 3.0, 3.0
_UNIT = 1 if sys.platform == "darwin" else 1024
_ALONE = """
import sys
from time import perf_counter
import gpuols, polars
start = perf_counter()
table = polars.read_parquet(sys.argv[1], use_pyarrow=False)
read = perf_counter()
x, y, g = table["x0", "x1", "x2"].to_numpy(order="c"), table["y"].to_numpy(), table["g"].to_numpy()
begin = perf_counter()
gpuols.fit_groups(x, y, g, add_intercept=True, missing="drop")
print(read - start, perf_counter() - begin)
"""


def main() -> None:
    """Measure, print, write JSON if asked to, fail above a limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faces", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the table")
    parser.add_argument("--rounds", type=int, default=7, help="times each is run")
    parser.add_argument("--json", type=choice.new_file, help="file to write the figures to")
    arguments = parser.parse_args()
    table = make(arguments.rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        table.write_parquet(path)
        command = measure_command(path, arguments.rounds)
    found = {"frames": measure_frames(table, arguments.rounds), "command": command}
    command["share_of_limit"] = command["seconds"] / (
        _SECONDS_LIMIT * command["fit_s"] + command["read_s"]
    )
    command["memory_ratio"] = command["peak_bytes"] / table.estimated_size()
    print_all(found)
    if arguments.json:
        record.write(arguments.json, {**record.machine(), "rows": len(table), **found})
    slow = any(found["frames"][name] > _OWN_LIMIT for name in ("pandas", "polars", "pyarrow"))
    sys.exit(slow or command["share_of_limit"] > 1 or command["memory_ratio"] > _MEMORY_LIMIT)


def make(rows: int) -> pl.DataFrame:
    """The table, its groups in no order."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, rows))
    y = x.sum(axis=0) + rng.standard_normal(rows)
    columns = {"x0": x[0], "x1": x[1], "x2": x[2], "y": y}
    return pl.DataFrame({"g": rng.integers(0, _GROUPS, rows), **columns})


def measure_frames(table: pl.DataFrame, rounds: int) -> dict[str, float]:
    """Seconds of fit_groups, and those of fit_frame over them for each library."""
    x, y, g = table["x0", "x1", "x2"].to_numpy(), table["y"].to_numpy(), table["g"].to_numpy()
    x = np.ascontiguousarray(x)
    frames: dict[str, Any] = {
        "pandas": pd.DataFrame({name: table[name].to_numpy() for name in table.columns}),
        "polars": table,
        "pyarrow": table.to_arrow(),
    }

    def direct() -> gpuols.Result:
        return gpuols.fit_groups(x, y, g, add_intercept=True, missing="drop")

    expected = direct().params
    ratios: dict[str, list[float]] = {name: [] for name in frames}
    seconds = []
    for _ in range(rounds):
        seconds.append(_seconds(direct))
        for name, frame in frames.items():
            took, result = _timed(lambda f=frame: gpuols.fit_frame(f, _FORMULA, by="g"))
            np.testing.assert_array_equal(result.params, expected)
            ratios[name].append(took / seconds[-1])
    medians = {name: statistics.median(values) for name, values in ratios.items()}
    return {"fit_groups_s": statistics.median(seconds), **medians}


def measure_command(path: Path, rounds: int) -> dict[str, float]:
    """Seconds and peak of `gpuols fit`, and seconds of reading and of fitting alone."""
    out = path.with_name("fits.parquet")
    words = ["-m", "gpuols", "fit", str(path), _FORMULA, "--by", "g", "--out", str(out)]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(path.with_name("compiled"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    _run(words, environment)
    found: dict[str, list[float]] = {"seconds": [], "peak_bytes": [], "read_s": [], "fit_s": []}
    for _ in range(rounds):
        printed, _, _ = _run(["-c", _ALONE, str(path)], environment)
        _, took, peak = _run(words, environment)
        figures = took, peak, *map(float, printed.split())
        for values, figure in zip(found.values(), figures, strict=True):
            values.append(figure)
    return {name: statistics.median(values) for name, values in found.items()}


def _run(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str, float, float]:
    """What a run of Python prints, its seconds and its peak in bytes."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, env=environment)
    assert child.stdout is not None
    printed = child.stdout.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    took = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"python {' '.join(words)} failed")
    return printed, took, used.ru_maxrss * _UNIT


def print_all(found: dict[str, Any]) -> None:
    """One line a figure."""
    frames, command = found["frames"], found["command"]
    print(f"fit_groups                  {frames['fit_groups_s']:.3f} s")
    for name in ("pandas", "polars", "pyarrow"):
        print(f"fit_frame of {name:<15}{frames[name]:.3f} times that, limit {_OWN_LIMIT}")
    print(
        f"gpuols fit                  {command['seconds']:.2f} s, limit {_SECONDS_LIMIT:g} times "
        f"the fit of {command['fit_s']:.2f} s and {command['read_s']:.2f} s to read"
    )
    print(
        f"its peak                    {command['peak_bytes'] / 1e6:.0f} MB, "
        f"{command['memory_ratio']:.2f} times the table, limit {_MEMORY_LIMIT:g}"
    )


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def _seconds(call: Callable[[], Any]) -> float:
    return _timed(call)[0]


if __name__ == "__main__":
    main()

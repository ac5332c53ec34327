"""A results file as the README shows it: ``python -m benchmarks.published results.json``.

Prints a table in Markdown of what `benchmarks.compare` wrote on a CPU: gpuols' time on each case,
and everyone else's as a multiple of it. With `--plot`, draws the file, too.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import choice
from benchmarks.cpu import plot
from benchmarks.cpu.measure import best_plain
from benchmarks.cpu.plain import STRATEGIES
from benchmarks.cpu.rivals import RIVALS
from benchmarks.turns import OURS

_PLAIN = "NumPy at its best"
_OTHERS = [name for name in RIVALS if name not in STRATEGIES]

Row = dict[str, Any]


def main(words: list[str] | None = None) -> None:
    """Print the table, draw the picture if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published", description=__doc__)
    parser.add_argument("results", type=_results, help="JSON file")
    parser.add_argument("--plot", type=choice.new_file, help="PNG file to draw it to")
    arguments = parser.parse_args(words)
    if arguments.plot and "scaling" not in arguments.results:
        parser.error("--plot: the file is of a run without --plot, which measures growth")
    print(*lines(arguments.results), sep="\n")
    if arguments.plot:
        plot.draw(arguments.plot, arguments.results)


def _results(text: str) -> Row:
    """What `benchmarks.compare` wrote to a file of that name."""
    try:
        figures = json.loads(Path(text).read_text())
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} can't be read: {error}") from error
    if not (isinstance(figures, dict) and {"blas", "cases"} <= figures.keys()):
        raise argparse.ArgumentTypeError(f"{text!r} is not what benchmarks.compare writes on a CPU")
    return figures


def lines(figures: Row) -> Iterator[str]:
    """What the figures are of, then the table, its cases in columns."""
    cases = figures["cases"]
    versions = ", ".join(f"{name} {which}" for name, which in figures["versions"].items())
    machine = f"{figures['processor']}, {figures['threads']} threads"
    yield f"`python -m benchmarks.compare {' '.join(figures['command'])}`"
    yield f"(gpuols {figures['commit']} on `{figures['device']}`; {machine}; {versions})."
    yield "≈ scaled from a part; † coefficients alone, or without some of the other answers; -: not"
    yield "for this case, or not done."
    yield ""
    names = [case["case"].partition(": ")[2].replace(" x ", " × ") for case in cases]
    yield f"| | {' | '.join(names)} |"
    yield f"| --- |{' --- |' * len(cases)}"
    own = [_row(case, OURS) for case in cases]
    yield _line(OURS, [_milliseconds(row) for row in own])
    yield _line("times the floor", [_number(row, "times_floor") for row in own])
    yield _line("peak memory beside the input", [_megabytes(row) for row in own])
    yield _line(_PLAIN, [_times(best_plain(case["rows"]) or {}) for case in cases])
    for name in _OTHERS:
        found = [_row(case, name) for case in cases]
        if any("seconds" in row for row in found):
            yield _line(name, [_times(row) for row in found])


def _row(case: Row, name: str) -> Row:
    return next((row for row in case["rows"] if row["who"] == name), {})


def _line(name: str, texts: list[str]) -> str:
    return f"| {name} | {' | '.join(texts)} |"


def _milliseconds(row: Row) -> str:
    return f"{_figures(row['seconds'] * 1e3)} ms" if "seconds" in row else "-"


def _megabytes(row: Row) -> str:
    return f"{row['peak_bytes'] / 1e6:.0f} MB" if "peak_bytes" in row else "-"


def _number(row: Row, name: str) -> str:
    return f"{row[name]:.1f}" if name in row else "-"


def _figures(value: float) -> str:
    """Three of them, without an exponent."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def _times(row: Row) -> str:
    """A multiple of gpuols' time; nothing where the answers were wrong."""
    if "times_ours" not in row:
        return "-"
    if not row["right"]:
        return "wrong"
    scaled, short = "≈" * row["scaled"], "†" * bool(row["missing"])
    return f"{scaled}{_figures(row['times_ours'])}{short}"


if __name__ == "__main__":
    main()

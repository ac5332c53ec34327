"""The README's commands do what it says they do; its Python runs as doctests."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import published

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight")
INSTALLS = re.compile(r"pip install \"\.\[(demo|test)\]\" && (gpuols demo|pytest -n auto)\n")


def steady(text):
    """Without times, and with one space for many."""
    return re.sub(r" +", " ", re.sub(r"\d+\.\d\d s", "0.00 s", text)).split("\n")


def test_a_command_prints_what_is_shown_below_it(tmp_path):
    kinds = [kind for kind, _ in BLOCKS]
    at = kinds.index("text")
    assert kinds[at - 1] == "sh"
    python = f'gpuols() {{ "{sys.executable}" -m gpuols "$@"; }}\n'
    run = subprocess.run(
        ["bash", "-euc", python + BLOCKS[at - 1][1]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert steady(run.stdout.rstrip()) == steady(BLOCKS[at][1].rstrip())
    assert run.stderr == ""


def test_the_table_of_times_is_that_of_the_results():
    figures = json.loads((ROOT / "benchmarks" / "results" / "cpu.json").read_text())
    table = [line for line in published.lines(figures) if line.startswith("|")]
    assert "\n".join(table) in TEXT
    assert f"`python -m benchmarks.compare {' '.join(figures['command'])}`" in TEXT
    fastest = [goal for goal in figures["goals"] if "the fastest rival" in goal["goal"]]
    assert [goal["verdict"] for goal in fastest] == ["met"] * len(figures["cases"])
    assert "Nobody was faster." in TEXT
    busy = math.ceil(100 * max(case["others_busy"] for case in figures["cases"])) / 100
    assert f"at most {busy:.2f} of the two processors" in " ".join(TEXT.split())


def test_the_times_of_numpy_are_those_of_the_results():
    figures = json.loads((ROOT / "benchmarks" / "results" / "numpy.json").read_text())
    plain = [goal["measured"] for goal in figures["goals"] if "plain NumPy" in goal["goal"]]
    rows = [row for case in figures["cases"] for row in case["rows"]]
    shifts = [case["shares"]["shift"] for case in figures["cases"]]

    def faster(who):
        found = [1 / row["times_ours"] for row in rows if row["who"] == who]
        assert len(found) == 8
        ahead = [ratio for ratio in found if ratio > 1]
        return f"up to {max(ahead):.1f} times as fast, on {NUMBERS[len(ahead)]}"

    text = " ".join(TEXT.split())
    assert f"takes {min(plain):.2f} to {max(plain):.2f} times as long" in text
    assert f"first, {100 * min(shifts):.0f} to {max(shifts):.0%} of its time on one thread" in text
    assert f"torch with the same answers is {faster('torch Gram, same outputs')} of them" in text
    assert f"for the coefficients alone {faster('torch Gram + Cholesky')}" in text
    assert f"JAX, for them alone, {faster('JAX vmap Gram + Cholesky')} of them" in text
    assert f"`python -m benchmarks.compare {' '.join(figures['command'])}`" in text


def test_the_times_of_one_regression_are_those_of_the_results():
    text = " ".join(TEXT.split())
    for name, words in (
        ("numba", "takes {fit_us:.0f} µs compiled, {read_us:.0f} with its numbers read"),
        ("numpy", "with NumPy alone {fit_us:.0f} and {read_us:.0f}"),
    ):
        path = ROOT / "benchmarks" / "results" / f"one_{name}.json"
        assert words.format(**json.loads(path.read_text())) in text


def test_every_block_is_run_somewhere():
    """Python by doctest, installing by hand and by the checks, the rest above."""
    others = [text for kind, text in BLOCKS if kind == "sh" and not INSTALLS.fullmatch(text)]
    assert len(others) == 1
    assert {kind for kind, _ in BLOCKS} == {"sh", "text", "python"}


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", TEXT))
def test_what_is_linked_is_there(path):
    assert (ROOT / path).is_file()

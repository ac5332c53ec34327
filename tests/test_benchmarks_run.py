"""The command line of the benchmarks, and all that a run on a CPU leaves behind."""

import errno
import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import gpuols
from benchmarks import choice, compare, published, record
from benchmarks.cpu import cases, floors, others, peak, rivals, run, scaling, shares
from gpuols.errors import DeviceError

SMALL = {case.letter: case for case in cases.every(quick=True)}


def ask(monkeypatch, *words):
    """Exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["compare", *words])
    with pytest.raises(SystemExit) as stop:
        compare.main()
    return stop.value.code


# what is asked for


def test_cases_are_chosen_by_letter_and_keep_their_order():
    found = choice.cases("W10, W1", cases.CASES)
    assert [case.letter for case in found] == ["W1", "W10"]
    assert choice.cases(None, cases.CASES) == list(cases.CASES)
    with pytest.raises(ValueError, match="no case 'W6': there are W1, W2,"):
        choice.cases("W1,W6", cases.CASES)


def test_rivals_are_chosen_by_a_part_of_their_name():
    known = ["torch lstsq", "JAX vmap lstsq", "NumPy loop of lstsq"]
    assert choice.peers("jax,TORCH", known) == known[:2]
    assert choice.peers(None, known) == known
    assert choice.peers("", known) == []
    with pytest.raises(ValueError, match="no rival 'stata': there are torch lstsq, JAX"):
        choice.peers("torch,stata", known)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cases", "W6"], "no case 'W6'"),
        (["--peers", "stata"], "no rival 'stata'"),
        (["--device", "cuda", "--cases", "W1"], "no case 'W1'"),
        (["--device", "cuda", "--peers", "pandas"], "no rival 'pandas'"),
        (["--device", "cuda", "--plot", "a.png"], "--plot"),
        (["--cases", ""], "no case is named: there are W1, W2,"),
        (["--rounds", "0"], "'0' is no positive number"),
        (["--rounds", "-3"], "'-3' is no positive number"),
        (["--out", "tests"], "'tests' is a directory: name a file"),
        (["--plot", "not/there.png"], "'not/there.png' is in not, which is no directory"),
        (["--out", "found.png", "--plot", "./found.png"], "--plot: the same file as --out"),
    ],
)
def test_what_is_not_there_is_said(words, said, monkeypatch, capsys):
    assert ask(monkeypatch, *words) == 2
    assert said in capsys.readouterr().err


def test_a_place_where_nothing_can_be_written_is_refused(monkeypatch, capsys, tmp_path):
    def refuse(dir):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(choice, "TemporaryFile", refuse)
    assert ask(monkeypatch, "--out", str(tmp_path / "found.json")) == 2
    assert "where nothing can be written (Permission denied)" in capsys.readouterr().err


def test_the_commit_is_that_of_the_checkout(monkeypatch, tmp_path):
    found = record.machine()["commit"]
    monkeypatch.chdir(tmp_path)
    assert record.machine()["commit"] == found


def test_a_picture_is_not_promised_where_nobody_can_draw_it(monkeypatch, capsys):
    monkeypatch.setattr(compare, "find_spec", lambda name: None)
    assert ask(monkeypatch, "--plot", "a.png") == 2
    assert "pip install matplotlib" in capsys.readouterr().err


def test_where_gpuols_cannot_run_the_reason_is_given_and_the_code_is_2(monkeypatch, capsys):
    def fit(*arrays, device):
        raise DeviceError("device", device, "another", "use that")

    monkeypatch.setattr(gpuols, "fit", fit)
    assert ask(monkeypatch, "--device", "cpu:numba", "--quick") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "gpuols can't be measured: device: got cpu:numba, expected another; use that\n"
    )


# a whole run


@pytest.fixture
def short(monkeypatch):
    """No other process, and small floors."""
    used = {"peak_bytes": 5_000_000, "input_bytes": 1, "output_bytes": 1}
    monkeypatch.setattr(peak, "measure", lambda *arguments: dict(used))


def test_a_whole_run(tmp_path, monkeypatch, capsys, short):
    out, picture = tmp_path / "found.json", tmp_path / "found.png"
    words = ["--device", "cpu:numpy", "--quick", "--cases", "W2,W7", "--peers", "numpy,scipy"]
    files = ["--rounds", "2", "--out", str(out), "--plot", str(picture), "--commit", "abc"]
    assert ask(monkeypatch, *words, *files) == 0
    found = json.loads(out.read_text())
    assert found["commit"] == "abc"
    assert found["command"] == [*words, *files]
    assert {"processor", "threads", "versions", "machine", "blas", "floors"} <= set(found)
    assert "statsmodels" in found["versions"]
    assert [case["letter"] for case in found["cases"]] == ["W2", "W7"]
    assert found["goals"] == []
    own = [case["rows"][0] for case in found["cases"]]
    assert [one["peak_bytes"] for one in own] == [5_000_000] * 2
    assert all(one["right"] and one["rounds"] == 2 for one in own)
    assert all(0 < sum(case["shares"].values()) < 1 for case in found["cases"])
    assert list(found["scaling"]) == ["regressions", "coefficients"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    for row in itertools.chain(*(case["rows"] for case in found["cases"])):
        assert row["who"] in said
    for text in ("GEMM, float64", "best plain NumPy", "shift", "bound", "us each, "):
        assert text in said
    again = tmp_path / "again.json"
    record.write(again, found)
    assert again.read_text() == out.read_text()
    picture.unlink()
    published.main([str(out), "--plot", str(picture)])
    assert picture.exists()
    shown = capsys.readouterr().out
    assert f"benchmarks.compare {' '.join(found['command'])}" in shown
    assert all(
        f" {case['case'].partition(': ')[2]} ".replace(" x ", " × ") in shown
        for case in found["cases"]
    )


def test_a_run_that_is_interrupted_leaves_the_last_results_alone(
    tmp_path, monkeypatch, capsys, short
):
    out, shown = tmp_path / "found.json", run.table.case_lines
    out.write_text("of the last run")

    def interrupt(found):
        if found["letter"] == "W7":
            raise KeyboardInterrupt
        return shown(found)

    monkeypatch.setattr(run.table, "case_lines", interrupt)
    words = ["--device", "cpu:numpy", "--quick", "--peers", "inverses", "--rounds", "1"]
    assert ask(monkeypatch, *words, "--cases", "W1,W7", "--out", str(out)) == 130
    assert out.read_text() == "of the last run"
    kept = json.loads((tmp_path / "found.json.part").read_text())
    assert [case["letter"] for case in kept["cases"]] == ["W1"]
    assert f"interrupted: {out}.part has the cases so far" in capsys.readouterr().err
    assert ask(monkeypatch, *words, "--cases", "W7", "--out", str(out)) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"
    monkeypatch.undo()
    monkeypatch.setattr(peak, "measure", lambda *arguments: {})
    assert ask(monkeypatch, *words, "--cases", "W1", "--out", str(out)) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_whole_sizes_have_goals_and_everyone_a_peak(monkeypatch, tmp_path, short):
    monkeypatch.setattr(run, "every", lambda quick: list(SMALL.values()))
    monkeypatch.setattr(floors, "measure", lambda quick: {"read": 1e9, "gemm": 1e9})
    out = tmp_path / "found.json"
    assert ask(monkeypatch, "--cases", "W2", "--peers", "inverses", "--out", str(out)) == 0
    found = json.loads(out.read_text())
    assert len(found["goals"]) == 3
    assert all("peak_bytes" in row for row in found["cases"][0]["rows"])
    assert "scaling" not in found


def test_gpuols_wrong_is_a_failure(monkeypatch, short):
    right = rivals.read
    monkeypatch.setattr(
        rivals, "read", lambda result: right(result) | {"ssr": np.zeros(len(result))}
    )
    assert ask(monkeypatch, "--quick", "--cases", "W1", "--peers", "inverses") == 1


def test_what_is_published_says_what_is_scaled_short_or_wrong():
    known = {"right": True, "scaled": False, "missing": []}
    rows = [
        {**known, "who": "gpuols", "seconds": 0.0123, "times_floor": 7.0, "peak_bytes": 5e6},
        {**known, "who": "NumPy inverses", "seconds": 0.01, "times_ours": 0.8},
        {**known, "who": "SciPy", "seconds": 1.0, "times_ours": 81.0, "missing": ["bse"]},
        {**known, "who": "statsmodels", "seconds": 2.0, "times_ours": 162.0, "scaled": True},
        {**known, "who": "scikit-learn", "seconds": 2.0, "times_ours": 9.0, "right": False},
        {"who": "torch lstsq", "failed": "not installed (torch)"},
    ]
    facts = {"processor": "P", "threads": 2, "versions": {}, "device": "cpu", "command": []}
    facts["commit"] = "abc"
    text = "\n".join(published.lines({**facts, "cases": [{"case": "W1: 5 x 6", "rows": rows}]}))
    for line in (
        "| | 5 × 6 |",
        "| gpuols | 12.3 ms |",
        "| times the floor | 7.0 |",
        "| peak memory beside the input | 5 MB |",
        "| NumPy at its best | 0.80 |",
        "| SciPy | 81.0† |",
        "| statsmodels | ≈162 |",
        "| scikit-learn | wrong |",
    ):
        assert line in text
    assert "torch" not in text


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (None, [], "can't be read: [Errno 2] No such file"),
        ("{", [], "can't be read: Expecting"),
        ('{"frames": {}}', [], "is not what benchmarks.compare writes on a CPU"),
        ("5", [], "is not what benchmarks.compare writes on a CPU"),
        ('{"blas": [], "cases": []}', ["--plot", "a.png"], "--plot: the file is of a run without"),
    ],
)
def test_what_can_not_be_published_is_said(text, words, said, tmp_path, capsys):
    path = tmp_path / "found.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as stop:
        published.main([str(path), *words])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


# its parts


def test_rates_are_measured():
    found = floors.measure(quick=True)
    assert min(found["read"], found["gemm"]) > 0


def test_what_others_do_meanwhile_is_counted_without_ones_own(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    monkeypatch.setattr(others, "_STAT", stat)
    assert others.Others().processors() is None
    tick = others.os.sysconf("SC_CLK_TCK")
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(others, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    owns = iter([(1.0, 0.0), (4.0, 1.0)])
    used = ({"user": user, "system": system} for user, system in owns)
    monkeypatch.setattr(others.os, "times", lambda: SimpleNamespace(**next(used)))
    stat.write_text(f"cpu {2 * tick} 0 0 {99 * tick} 0 0 0 0 0 0\n")
    found = others.Others()
    stat.write_text(f"cpu {9 * tick} {tick} {tick} {999 * tick} 0 {tick} {tick} {tick} 0 0\n")
    assert found.processors() == pytest.approx((14 - 2 - 4) / 10)


@pytest.mark.skipif(not peak._RESET.exists(), reason="peak memory is read from /proc")
def test_peak_memory_is_that_of_a_fresh_process(monkeypatch):
    # As many regressions as take more than the pages that a process has in hand.
    case = next(case for case in cases.CASES if case.letter == "W1")
    found = peak.measure(case, "NumPy inverses", 2_000, "cpu", False)
    gram = 2_000 * case.p * case.p * 8
    assert set(found) == {"peak_bytes", "input_bytes", "output_bytes"}
    assert found["input_bytes"] == case.bytes()
    assert found["output_bytes"] == 2_000 * (2 * case.p + 2) * 8
    assert gram < found["peak_bytes"] < 100 * gram


def test_why_there_is_no_peak(monkeypatch):
    case = SMALL["W1"]
    if peak._RESET.exists():
        assert "StopIteration" in peak.measure(case, "gpuols, nobody", 5, "cpu", True)["failed"]
        monkeypatch.setattr(peak, "_SECONDS", 0.01)
        assert "no answer" in peak.measure(case, "gpuols", 5, "cpu", True)["failed"]
    monkeypatch.setattr(peak, "_RESET", Path("/not/there"))
    assert "/proc" in peak.measure(case, "gpuols", 5, "cpu", True)["failed"]


def test_the_parts_that_are_timed_exist():
    for owner, name in itertools.chain(*shares.PARTS.values()):
        assert callable(getattr(owner, name))


@pytest.mark.parametrize("letter", ["W1", "W5", "W7", "W9", "W10"])
def test_shift_and_bound_are_parts_of_the_time(letter):
    case = SMALL[letter]
    data, (own, *_) = case.make(), rivals.ours("cpu:numpy", case)
    found = shares.measure(lambda: own.run(data))
    assert min(found.values()) > 0
    assert sum(found.values()) < 1


def test_growth_is_measured_by_size():
    found = scaling.measure("cpu", {"read": 1e9, "gemm": 1e9}, 2, True)
    assert [one["count"] for one in found["regressions"]] == [100, 1_000]
    assert [one["p"] for one in found["coefficients"]] == [2, 4]
    assert all(one["seconds"] > 0 and one["floor_s"] > 0 for one in found["regressions"])

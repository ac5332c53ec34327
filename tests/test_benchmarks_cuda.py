"""The benchmarks on a device, as far as they can be tested without one."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from emulator import build, standin

import gpuols
from benchmarks import choice, compare
from benchmarks.cuda import (
    answers,
    cases,
    contenders,
    floors,
    goals,
    groups,
    masks,
    measure,
    rivals,
    run,
    table,
)
from benchmarks.cuda.machine import missing
from benchmarks.machine import Machine
from benchmarks.timing import Deadline, warm
from benchmarks.turns import OURS
from gpuols.engines import device
from tests import libraries

HOST = Machine(np, "cpu", lambda: None, lambda: None)
RATES = {"sizes": {}, "copy": 1e9, "read": 1e9, "gemm": 1e9, "transfers": {"failed": "no device"}}


@pytest.fixture
def batch():
    return cases.Case("T", 12, 30, 4, 0.5, {}).make(np)


@pytest.fixture
def responses():
    return cases.Case("T", 12, 30, 4, 0.5, {}, shared=True).make(np)


def lstsq(X, y):
    designs = np.broadcast_to(X, (len(y), *X.shape[1:]))
    return np.stack([np.linalg.lstsq(a, b)[0] for a, b in zip(designs, y, strict=True)])


@pytest.fixture
def jax_as_it_was():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


# without a device


def test_without_a_device_the_reason_is_given_in_one_line_and_the_code_is_2(monkeypatch, capsys):
    monkeypatch.setattr(run, "missing", lambda: "the driver is too old")
    monkeypatch.setattr(sys, "argv", ["compare", "--device", "cuda", "--quick"])
    with pytest.raises(SystemExit) as stop:
        compare.main()
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert said.out == ""
    assert said.err == "no CUDA device to measure on: the driver is too old\n"


def test_the_reason_is_that_of_info():
    state = gpuols.info().engines["cuda"]
    assert missing() == (None if state.startswith("ready") else state)


@pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")
def test_a_device_that_is_ready_is_not_missing():
    device.forget()
    with standin.installed():
        assert missing() is None
    device.forget()


# the rivals


@pytest.mark.parametrize("name", [name for name in rivals.RIVALS if "torch" in name])
def test_torch_rivals(name, batch):
    pytest.importorskip("torch")
    check_rival(rivals.RIVALS[name](np, name), batch)


@pytest.mark.parametrize("name", [name for name in rivals.RIVALS if "JAX" in name])
def test_jax_rivals(name, batch, jax_as_it_was):
    check_rival(rivals.RIVALS[name](np, name), batch)


def test_array_rival(batch):
    name = "CuPy matmul + solve"
    check_rival(rivals.RIVALS[name](np, name), batch)


def test_library_rival(batch):
    solve = rivals.gemm_potrf(libraries.XP, libraries.BLAS, libraries.LAPACK, (1, 2))
    check_rival(
        contenders.Contender("libraries", solve), [a.view(libraries.Pointed) for a in batch]
    )


def check_rival(contender, batch):
    found = contender.run(*contender.take(*batch))
    np.testing.assert_allclose(np.asarray(found["params"]), lstsq(*batch), rtol=1e-10)
    expected = gpuols.fit(*map(np.asarray, batch), device="cpu:numpy")
    for name in {"bse", "ssr"} & set(found):
        np.testing.assert_allclose(np.asarray(found[name]), getattr(expected, name), rtol=1e-10)
    assert not contender.ours


def test_same_outputs_are_the_same_outputs(batch):
    torch = pytest.importorskip("torch")
    found = rivals.torch_same(torch, *map(torch.from_dlpack, batch))
    assert set(found) == {"params", "bse", "ssr"}


# the answers


@pytest.mark.parametrize("name", rivals.SHARED)
def test_rivals_on_one_design(name, responses):
    if "torch" in name:
        pytest.importorskip("torch")
    check_rival(rivals.SHARED[name](np, name), responses)


@pytest.mark.parametrize("contender", contenders.ours("cpu", True), ids=lambda one: one.name)
def test_right_answers_on_one_design_have_small_errors(contender, responses):
    taken = contender.take(*responses)
    assert max(answers.errors(contender, *taken, contender.run(*taken)).values()) < 1e-9


def test_a_shared_design_is_counted_once():
    case = cases.Case("E", 10, 100, 4, 0.5, {}, shared=True)
    assert case.bytes() == 8 * (100 * 4 + 10 * 100 + 10 * 4)
    assert case.flops() == 2 * 10 * 100 * 5
    assert case.name == "E: one (100 x 4), 10 responses"


@pytest.mark.parametrize("contender", contenders.ours("cpu", False), ids=lambda one: one.name)
def test_right_answers_have_small_errors(contender, batch):
    taken = contender.take(*batch)
    found = answers.errors(contender, *taken, contender.run(*taken))
    assert set(found) == {"params", "bse", "ssr", "status"}
    assert max(found.values()) <= answers.TOLERANCE


@pytest.mark.parametrize("name", ["params", "bse", "ssr", "status"])
def test_a_wrong_answer_is_noticed(name, batch):
    contender = contenders.ours("cpu", False)[0]
    given = contender.run(*batch)
    given[name] = np.array(given[name])
    given[name][-1] += 1 if name == "status" else 1e-8 * np.abs(given[name][-1]).max()
    assert answers.errors(contender, *batch, given)[name] > answers.TOLERANCE


def test_nan_is_wrong(batch):
    contender = contenders.ours("cpu", False)[0]
    given = contender.run(*batch) | {"ssr": np.full(12, np.nan)}
    assert answers.errors(contender, *batch, given)["ssr"] == 1


# the goals and the table


def row(who, **facts):
    known = {"case": "A", "who": who, "ours": who not in rivals.RIVALS, "count": 100, "failed": ""}
    known |= {"part": 100, "scaled": False, "right": True, "rounds": 3, "first_call_s": 0.5}
    return known | {"from_host": False, "errors": {"params": 1e-15}} | facts


def verdicts(*rows):
    return [goal["verdict"] for goal in goals.judge(cases.CASES[0], list(rows))]


LSTSQ, GRAM = rivals.TORCH_LSTSQ, "torch Gram + Cholesky"


def test_goals_are_met_or_missed():
    ours = row(OURS, floor_share=0.85), row(contenders.OURS_INTERCEPT, floor_share=0.84)
    others = row(LSTSQ, times_ours=10.0), row(GRAM, times_ours=2.9)
    assert verdicts(*ours, *others) == ["met", "missed", "not measured", "met", "missed"]
    for slower, verdict in ((1.29, "met"), (1.31, "missed")):
        accurate = row(contenders.OURS_ACCURATE, times_ours=slower)
        assert verdicts(*ours, accurate)[2] == verdict
    wide, on_one_design = cases.CASES[3], cases.CASES[4]
    assert [len(list(goals.judge(case, []))) for case in (wide, on_one_design)] == [4, 4]


def test_a_goal_without_a_measurement_is_not_measured():
    assert verdicts() == ["not measured"] * 5


def test_wrong_rivals_do_not_count_and_scaled_ones_are_said_to_be():
    wrong = (
        row(LSTSQ, times_ours=50.0, right=False),
        row("JAX vmap lstsq", times_ours=1.0, right=False),
    )
    found = list(goals.judge(cases.CASES[0], [*wrong, row(GRAM, times_ours=4.0, scaled=True)]))
    assert [goal["verdict"] for goal in found[3:]] == ["not measured", "met"]
    assert GRAM in found[4]["goal"]
    assert found[4]["scaled"]
    assert "design figure 3.00" in list(table.goal_lines(found))[4]


def test_the_table_hides_nothing():
    rows = [
        row(OURS, seconds=0.001, times_ours=1.0, bytes_per_s=3e12, floor_share=0.9),
        row(LSTSQ, seconds=2.0, times_ours=2000.0, part=10, scaled=True, right=False),
        row(GRAM, why_scaled="100 regressions: OutOfMemoryError: no room", failed=""),
        {"who": "JAX vmap lstsq", "failed": "not installed (jax)"},
    ]
    rows[0]["floor_s"], rows[0]["solved_precisely"] = 0.0009, 7
    head, _, *lines = table.case_lines(cases.CASES[0], rows)
    assert "floor 0.900 ms" in head
    assert "design figures" in head
    for text in ("1.000", "3000", "90%", "1e-15", "3 rounds", "first call 0.50 s", "7 solved"):
        assert text in lines[0]
    for text in ("2000.000", "WRONG", "scaled from 10 of 100"):
        assert text in lines[1]
    assert "OutOfMemoryError: no room" in lines[2]
    assert lines[3].endswith("-  not installed (jax)")


def test_rates_are_printed_with_their_units_or_with_why_not():
    lines = "\n".join(table.floor_lines(RATES | {"gemm": 6e13}))
    assert "1 GB/s" in lines
    assert "60 TFLOP/s" in lines
    assert "no device" in lines


# all of it, on NumPy


@pytest.fixture
def small(monkeypatch, jax_or_not):
    monkeypatch.setattr(run, "QUICK", (cases.Case("T", 12, 30, 4, 0.5, {}),))
    monkeypatch.setattr(run, "CASES", (cases.Case("T", 12, 30, 4, 0.5, {"H100": 0.29}),))
    monkeypatch.setattr(groups, "QUICK", (groups.Groups("U", 20, 3, 1),))
    monkeypatch.setattr(groups, "GROUPS", (groups.Groups("U", 2, 500, 4),))
    monkeypatch.setattr(masks, "QUICK", (masks.Masked("N", 20, 30, 3, False),))
    monkeypatch.setattr(masks, "MASKED", (masks.Masked("N", 20, 30, 3, True),))
    monkeypatch.setattr(floors, "measure", lambda machine, quick: dict(RATES))


@pytest.fixture
def jax_or_not(request):
    try:
        import jax  # noqa: F401
    except ImportError:
        return
    request.getfixturevalue("jax_as_it_was")


def go(tmp_path, *options):
    out = tmp_path / "found.json"
    return ask(*options, "--out", str(out)), json.loads(out.read_text())


def ask(*options):
    parsed = compare.parser().parse_args(options)
    cases = choice.cases(parsed.cases, run.every(parsed.quick))
    peers = choice.peers(parsed.peers, run.PEERS)
    facts = {"commit": "", "processor": "P", "versions": {"numpy": "2"}}
    return run.on(HOST, parsed, cases, peers, facts)


def test_a_whole_run(tmp_path, small, capsys):
    code, found = go(tmp_path, "--rounds", "4", "--commit", "abc")
    rows = {row["who"]: row for row in found["cases"][0]["rows"]}
    assert code == 0
    assert found["commit"] == "abc"
    assert [one.name for one in contenders.ours("cpu", False)] + list(rivals.RIVALS) == list(rows)
    own = rows[OURS]
    assert own["right"]
    assert (own["rounds"], own["times_ours"], own["part"]) == (4, 1.0, 12)
    assert own["floor_share"] == pytest.approx(own["floor_s"] / own["seconds"])
    assert own["floor_s"] == pytest.approx(12 * 30 * 5 * 8 / 1e9)
    assert rows["gpuols, host to host"]["floor_s"] is None
    for name in ("CuPy matmul + solve", "cuBLAS GEMM + cuSOLVER potrf"):
        assert rows[name].get("seconds") or rows[name]["failed"]
    assert len(found["goals"]) == 5
    said = capsys.readouterr().out
    assert all(name in said for name in rows)


def test_quick_sizes_have_no_goals(tmp_path, small):
    assert go(tmp_path, "--quick", "--rounds", "1")[1]["goals"] == []


def test_only_the_rivals_named_take_part(tmp_path, small, capsys):
    _, found = go(tmp_path, "--rounds", "1", "--cases", "T", "--peers", "cupy matmul,JAX vmap l")
    (case,) = found["cases"]
    rivals_there = [row["who"] for row in case["rows"] if not row["ours"]]
    assert rivals_there == ["CuPy matmul + solve", "JAX vmap lstsq"]


@pytest.mark.parametrize("broken", [{"right": False}, {"failed": "no memory"}])
def test_gpuols_wrong_or_failed_is_a_failure(broken, tmp_path, small, monkeypatch):
    rows = [row(OURS, **broken)]
    monkeypatch.setattr(measure, "measure", lambda *arguments, peers: rows)
    assert go(tmp_path)[0] == 1
    rows[:] = [row(OURS), row(GRAM, **broken)]
    assert go(tmp_path)[0] == 0


@pytest.mark.parametrize("off", [0.0, 1.0])
def test_a_part_of_the_batch_is_scaled_and_all_of_it_checked(off, monkeypatch):
    def last_one_off(X, y):
        return {"params": lstsq(X, y) + off * (np.arange(len(y)) == len(y) - 1)[:, None]}

    rival = contenders.Contender("half", last_one_off)
    monkeypatch.setattr(measure, "RIVALS", {"half": lambda xp, name: rival})
    monkeypatch.setattr(measure, "climb", lambda start, count, one: warm(start, count // 2, one))
    monkeypatch.setattr(measure, "timed", lambda run, wait: (3.0, run()))
    case = cases.Case("T", 12, 30, 4, 0.5, {})
    found = measure.measure(case, HOST, RATES, 3, Deadline(100.0), ["half"])[-1]
    assert (found["who"], found["part"], found["scaled"]) == ("half", 6, True)
    assert (found["seconds"], found["times_ours"]) == (6.0, 2.0)
    assert found["right"] == (off == 0)


def test_a_rival_is_not_begun_once_the_time_is_spent(monkeypatch):
    case = cases.Case("T", 12, 30, 4, 0.5, {})
    rows = measure.measure(case, HOST, RATES, 3, Deadline(-1.0), run.PEERS)
    assert [bool(row["failed"]) for row in rows] == [not row["ours"] for row in rows]
    assert rows[-1]["failed"] == "not run: the time for this case is spent"


@pytest.mark.parametrize("options", [(), ("--quick",)], ids=["whole", "quick"])
def test_groups_are_measured_by_keys_and_by_offsets(options, tmp_path, small, capsys):
    code, found = go(tmp_path, *options, "--cases", "U", "--rounds", "2")
    assert code == 0
    assert found["goals"] == []
    rows = found["cases"][0]["rows"]
    assert [row["ours"] for row in rows] == [True, True, False]
    assert [row["rounds"] for row in rows] == [2, 2, 2]
    assert all(row["right"] for row in rows[:2])
    assert "rows in no order" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["params", "bse", "ssr", "status"])
def test_a_wrong_group_is_noticed(name):
    case = groups.Groups("U", 12, 30, 2)
    data = case.make(np)
    result = gpuols.fit_groups(*data, add_intercept=True)
    assert max(groups.errors(result, data, 12).values()) <= answers.TOLERANCE
    wrong = {each: np.array(getattr(result, each)) for each in ("params", "bse", "ssr", "status")}
    wrong[name][-1] += 1 if name == "status" else 1e-8 * np.abs(wrong[name][-1]).max()
    assert groups.errors(SimpleNamespace(**wrong), data, 12)[name] > answers.TOLERANCE


@pytest.mark.parametrize("options", [(), ("--quick",)], ids=["weights", "missing"])
def test_responses_with_rows_of_their_own_are_measured(options, tmp_path, small, capsys):
    code, found = go(tmp_path, *options, "--cases", "N", "--rounds", "2")
    assert code == 0
    rows = found["cases"][0]["rows"]
    assert [row["ours"] for row in rows] == [True, True, True, False]
    assert [row["rounds"] for row in rows] == [2, 2, 2, 2]
    assert all(row["right"] for row in rows[:3])
    wanted = 30 * (3 + 20 + (not options)) * 8
    assert [row["bytes"] for row in rows] == [wanted] * 4
    assert "N: one (30 x 3), 20" in capsys.readouterr().out


def test_the_two_products_are_the_sums():
    for weighted in (False, True):
        X, y, weights = data = masks.Masked("N", 9, 30, 2, weighted).make(np)
        gram, cross = masks.products(np, *data)()
        moments = gpuols.moments(X[None], y, weights=weights, missing="drop")
        np.testing.assert_allclose(gram[:, 0], moments.sumw, rtol=1e-12)
        np.testing.assert_allclose(gram[:, 3], moments.sxx[:, 0, 0], rtol=1e-12)
        np.testing.assert_allclose(gram[:, 4], moments.sxx[:, 0, 1], rtol=1e-12)
        np.testing.assert_allclose(cross[:, 1:], moments.sxy[..., 0], rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_wrong_response_is_noticed(weighted):
    data = masks.Masked("N", 12, 30, 2, weighted).make(np)
    result = masks.fit(*data, "cpu")
    assert max(masks.errors(result, data).values()) <= answers.TOLERANCE
    wrong = {name: np.array(getattr(result, name)) for name in ("params", "bse", "ssr", "status")}
    wrong["params"][-1] += 1e-6
    assert masks.errors(SimpleNamespace(**wrong), data)["params"] > answers.TOLERANCE

"""The benchmarks on a CPU: rows, answers, rivals, goals and what is printed of them."""

import sys

import numpy as np
import pytest

from benchmarks.cpu import (
    answers,
    cases,
    goals,
    hashing,
    loops,
    measure,
    plain,
    rivals,
    table,
    tensors,
)
from benchmarks.timing import Deadline, attempt, warm
from benchmarks.turns import OURS

RATES = {"sizes": {}, "read": 1e9, "gemm": 1e9}
SMALL = {case.letter: case for case in cases.every(quick=True)}


@pytest.fixture
def jax_as_it_was():
    jax = sys.modules.get("jax")
    before = jax and jax.config.jax_enable_x64
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", bool(before))


def of(letter):
    return SMALL[letter], SMALL[letter].make()


# the rows


@pytest.mark.parametrize("letter", SMALL)
def test_rows_are_as_their_case_says(letter):
    case, data = of(letter)
    assert data.count == case.count
    assert data.nbytes == case.bytes()
    assert data.design.shape[-1] == case.p
    assert np.all(data.design[..., 0] == 1.0)
    np.testing.assert_array_equal(data.design[..., 1:], data.slopes)
    for array in (data.slopes, data.design, data.y):
        assert (array.dtype, array.flags.c_contiguous) == (np.float64, True)
    np.testing.assert_array_equal(case.make().y, data.y)


@pytest.mark.parametrize("letter", SMALL)
def test_a_part_is_the_first_regressions(letter):
    _, data = of(letter)
    half = data.part((data.count + 1) // 2)
    assert half.count == (data.count + 1) // 2
    for whole, part in zip(data.each(), half.each(), strict=False):
        for a, b in zip(whole, part, strict=True):
            np.testing.assert_array_equal(a, b)
    assert data.part(data.count).nbytes == data.nbytes


def test_groups_are_those_of_their_keys():
    _, data = of("W7")
    names, sizes = np.unique(data.keys, return_counts=True)
    assert np.any(np.diff(data.keys) < 0)
    assert sizes.min() >= 20
    for index, (design, y, _) in enumerate(data.each()):
        rows = data.keys == names[index]
        np.testing.assert_array_equal(design, data.design[rows])
        np.testing.assert_array_equal(y, data.one(index)[1])


def test_the_whole_table_of_groups_has_the_sizes_that_it_says():
    case = next(case for case in cases.CASES if case.letter == "W7")
    sizes = cases._sizes(case, np.random.default_rng(0))
    assert (len(sizes), sizes.sum()) == (20_000, 5_000_000)
    assert 20 <= sizes.min() <= sizes.max() <= 500


@pytest.mark.parametrize("bits", [2, 18])
def test_hashing_numbers_keys_as_sorting_does(bits, monkeypatch):
    monkeypatch.setattr(hashing, "_BITS", bits)
    monkeypatch.setattr(hashing, "_BLOCK", 7)
    keys = np.random.default_rng(0).integers(-5, 5, 100) * 2**60
    found, group = hashing.number(keys)
    np.testing.assert_array_equal(np.sort(found), np.unique(keys))
    np.testing.assert_array_equal(found[group], keys)


# the answers


@pytest.mark.parametrize("letter", SMALL)
def test_the_reference_says_what_statsmodels_says(letter):
    _, data = of(letter)
    design, y, weights = data.one(data.count - 1)
    expected = loops.statsmodels(design, y, weights)
    found = answers.reference(design, y, weights)
    for name in answers.WHOLE:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)


PAIRS = [
    pytest.param(case.letter, name, id=f"{case.letter}-{name}")
    for case in SMALL.values()
    for name, ways in {OURS: {case.kind: None}, **rivals.RIVALS}.items()
    if case.kind in ways and not (case.m > 1 and name.startswith("polars"))
]


@pytest.mark.usefixtures("jax_as_it_was")
@pytest.mark.parametrize(("letter", "name"), PAIRS)
def test_everyone_is_right(letter, name):
    case, data = of(letter)
    able = rivals.contenders(case, "cpu", [] if name == OURS else [name])
    contender = next(one for one in able if one.name == name)
    found, why = attempt(lambda: contender.run(*contender.take(data)))
    if why.startswith("not installed"):
        pytest.skip(why)
    assert why == ""
    assert max(answers.errors(data, found).values()) <= answers.TOLERANCE


@pytest.mark.parametrize("letter", ["W1", "W4", "W5", "W9", "W10"])
def test_what_torch_and_jax_share_is_right_in_numpy(letter):
    case, data = of(letter)
    rows = tensors.arrays(data)
    X, Y = tensors.systems(np, case.kind, *rows)
    gram, right = tensors.grams(np, case.kind, *rows)
    total = tensors.squares(np, case.kind, *rows)
    np.testing.assert_allclose(gram, X.mT @ X, rtol=1e-12)
    np.testing.assert_allclose(right, X.mT @ Y, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(total, (Y * Y).sum(axis=1), rtol=1e-12)
    found = np.linalg.solve(gram, right)
    ssr = total - (found * right).sum(axis=1)
    given = tensors.shaped(case.kind, data.y, params=found, ssr=ssr)
    assert max(answers.errors(data, given).values()) <= answers.TOLERANCE


def test_gpuols_gives_all_that_is_asked_for():
    for letter, names in {"W1": 3, "W4": 1, "W7": 1}.items():
        case, data = of(letter)
        ways = rivals.ours("cpu", case)
        assert len(ways) == names
        assert set(rivals.READ) <= set(ways[0].run(data))


@pytest.mark.parametrize("letter", ["W1", "W4", "W7", "W10"])
@pytest.mark.parametrize("name", [*answers.WHOLE, "status"])
def test_a_wrong_answer_is_noticed(letter, name):
    case, data = of(letter)
    given = rivals.ours("cpu", case)[0].run(data)
    assert answers.errors(data, given)[name] <= answers.TOLERANCE
    wrong = np.array(given[name])
    last = np.moveaxis(wrong, data.axis, 0)[-1:]
    last[...] = last + (1 if name == "status" else 1e-8 * np.abs(last).max())
    assert answers.errors(data, {**given, name: wrong})[name] > answers.TOLERANCE


def test_nan_a_missing_regression_and_another_shape_are_wrong():
    case, data = of("W1")
    given = rivals.ours("cpu", case)[0].run(data)
    for wrong in (given["ssr"] * np.nan, given["ssr"][:-1], given["ssr"][:, None]):
        assert answers.errors(data, {"ssr": wrong}) == {"ssr": 1.0}


def test_groups_in_another_order_are_found_by_their_keys():
    _, data = of("W7")
    given = plain.sorted_sums(data)
    turned = {name: a[::-1] for name, a in given.items()}
    assert max(answers.errors(data, turned).values()) <= answers.TOLERANCE
    assert max(answers.errors(data, {**turned, "keys": given["keys"]}).values()) > 1e-3


# who is measured


def go(letter, peers, rounds=2):
    case, data = of(letter)
    return measure.measure(case, data, "cpu", peers, RATES, rounds, Deadline(100.0))


def test_a_wrong_rival_is_said_to_be_and_sets_no_mark(monkeypatch):
    def off(design, y, weights):
        return {"params": np.zeros(design.shape[1])}

    monkeypatch.setitem(rivals.RIVALS, "SciPy", rivals._everywhere(off))
    rows = {row["who"]: row for row in go("W1", ["SciPy", "NumPy inverses"])}
    assert not rows["SciPy"]["right"]
    assert rows[OURS]["right"]
    assert min(row["times_best"] for row in rows.values() if row["right"]) == 1.0
    (line,) = (one for one in table.case_lines(as_case(rows.values())) if one.startswith("SciPy"))
    assert "WRONG" in line


def test_a_missing_library_is_the_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    rows = go("W9", ["torch lstsq"])
    assert [row["who"] for row in rows] == [OURS, "torch lstsq"]
    assert rows[1]["failed"] == "not installed (torch)"
    assert "seconds" not in rows[1]


@pytest.mark.parametrize("letter", SMALL)
def test_every_library_is_measured_or_the_reason_told(letter):
    case, _ = of(letter)
    libraries = [name for name in rivals.RIVALS if name not in plain.STRATEGIES]
    able = {one.name for one in rivals.contenders(case, "cpu", libraries) if not one.ours}
    why = rivals.unable(case, libraries)
    assert sorted([*able, *why]) == sorted(libraries)
    assert all(reason.startswith("not for this case: ") for reason in why.values())


def test_who_cant_do_a_case_is_the_last_with_the_reason():
    rows = go("W5", ["pandas groupby", "NumPy loop of lstsq", "NumPy hash + bincount"])
    assert [row["who"] for row in rows] == [OURS, "NumPy loop of lstsq", "pandas groupby"]
    assert rows[-1]["failed"] == "not for this case: is measured where rows come with keys"
    assert "not for this case" in [*table.case_lines(as_case(rows))][-1]


def test_several_responses_are_refused_by_a_long_table():
    pytest.importorskip("polars")
    assert "one response at a time" in go("W4", ["polars_ds"])[-1]["failed"]


def test_a_slow_rival_is_scaled_and_gpuols_never(monkeypatch):
    monkeypatch.setattr(measure, "climb", lambda start, count, one: warm(start, count // 2, one))
    monkeypatch.setattr(measure, "timed", lambda run, wait: (3.0, run()))
    rows = {row["who"]: row for row in go("W10", ["NumPy loop of lstsq"])}
    assert (rows[OURS]["scaled"], rows[OURS]["seconds"]) == (False, 3.0)
    loop = rows["NumPy loop of lstsq"]
    assert (loop["scaled"], loop["seconds"]) == (True, 6.0)
    lines = list(table.case_lines(as_case(rows.values())))
    assert "scaled from 10 of 20" in lines[3]
    assert "without bse, ssr, rsquared" in lines[3]


def test_floors_and_ratios_belong_together():
    rows = go("W1", ["NumPy loop of lstsq"])
    floor = max(SMALL["W1"].bytes(), SMALL["W1"].flops()) / 1e9
    for row in rows:
        assert row["floor_s"] == pytest.approx(floor)
        assert row["times_floor"] == pytest.approx(row["seconds"] / floor)
        assert row["times_ours"] == pytest.approx(row["seconds"] / rows[0]["seconds"])


def as_case(rows, shares=None):
    facts = {"letter": "W1", "case": "W1: some", "others_busy": 0.25}
    return {**facts, "shares": shares, "rows": list(rows)}


# goals and lines


def row(who, **facts):
    known = {"who": who, "ours": who.startswith(OURS), "failed": "", "count": 100, "part": 100}
    known |= {"scaled": False, "right": True, "missing": [], "rounds": 3, "first_call_s": 0.5}
    return known | {"floor_s": 1e-3, "errors": {"params": 1e-15, "ssr": 1e-12}} | facts


PLAIN = "NumPy inverses"


def verdicts(letter, *rows):
    return [goal["verdict"] for goal in goals.judge(letter, list(rows))]


@pytest.mark.parametrize(("seconds", "verdict"), [(2.0, "met"), (2.1, "missed")])
def test_gpuols_is_held_against_the_best_plain_numpy(seconds, verdict):
    own = row(OURS, seconds=seconds)
    slow, fast = row("NumPy Cholesky across", seconds=5.0), row(PLAIN, seconds=1.0)
    short, wrong = row("NumPy loop of lstsq", seconds=0.1, missing=["bse"]), row(PLAIN, right=False)
    assert verdicts("W1", own, slow, fast, short, {**wrong, "seconds": 0.1}) == [verdict]
    assert verdicts("W1", own, short) == ["not measured"]
    assert verdicts("W1") == ["not measured"]


@pytest.mark.parametrize(("seconds", "verdict"), [(1.0, "met"), (1.1, "missed")])
def test_numpy_is_held_against_torch_and_jax_where_matrices_are_multiplied(seconds, verdict):
    own = row(OURS, seconds=seconds, engine="cpu:numpy")
    others = row("torch lstsq", seconds=1.0, missing=["bse"]), row("JAX vmap lstsq", seconds=2.0)
    wrong = row("torch Gram + Cholesky", seconds=0.1, right=False)
    for letter in goals.MATRICES:
        assert verdicts(letter, own, *others, wrong)[1] == verdict
    assert len(verdicts("W1", own, *others)) == 1


@pytest.mark.parametrize(("seconds", "verdict"), [(1.0, "met"), (1.1, "missed")])
def test_compiled_code_is_held_against_everybody(seconds, verdict):
    own = row(OURS, seconds=seconds, engine="cpu:numba")
    mine = row(rivals.OURS_CHOLESKY, seconds=0.5)
    fast, slow = row("torch lstsq", seconds=1.0, missing=["bse"]), row("SciPy", seconds=3.0)
    wrong = row(PLAIN, seconds=0.1, right=False)
    assert verdicts("W1", mine, own, slow, fast, wrong) == [verdict]
    loops = row("statsmodels", seconds=100.0), row("scikit-learn", seconds=100.0, scaled=True)
    assert verdicts("W1", own, fast, *loops) == [verdict] * 3
    assert verdicts("W5", own, fast, *loops) == [verdict] * 2
    assert verdicts("W1", own, fast, row("statsmodels", seconds=100.0, right=False)) == [
        verdict,
        "not measured",
    ]


def test_solving_nothing_again_costs_little_and_memory_is_bounded():
    fast = row(rivals.OURS_CHOLESKY, seconds=1.0)
    own = row(OURS, seconds=1.1, input_bytes=10**9, output_bytes=10**8)
    assert verdicts("W2", {**own, "peak_bytes": 6e8}, fast)[1:] == ["met", "met"]
    assert verdicts("W2", {**own, "peak_bytes": 8e8, "seconds": 1.2}, fast)[1:] == ["missed"] * 2
    assert verdicts("W7", own) == ["not measured"] * 3
    assert "at most 2.00" in next(table.goal_lines(list(goals.judge("W1", [own]))))


def test_the_table_hides_nothing():
    rows = [
        row(OURS, seconds=0.002, times_ours=1.0, times_best=2.0, times_floor=2.0, peak_bytes=5e6),
        row(
            PLAIN,
            seconds=0.001,
            times_ours=0.5,
            times_best=1.0,
            part=10,
            scaled=True,
            peak_bytes=1e6,
        ),
        row("JAX", why_scaled="100 regressions: MemoryError: no room", peak_failed="no answer"),
        {"who": "torch lstsq", "failed": "not installed (torch)"},
    ]
    head, _, *lines = table.case_lines(as_case(rows, {"shift": 0.25, "bound": 0.1}))
    assert "floor 1.000 ms, others kept 0.2 processors busy" in head
    for text in ("2.000", "1.00", "5", "1e-12", "3 rounds", "first call 0.50 s"):
        assert text in lines[0]
    assert "scaled from 10 of 100, but for MB" in lines[1]
    assert "MemoryError: no room; no answer" in lines[2]
    assert lines[3].endswith("-  not installed (torch)")
    assert lines[4] == f"best plain NumPy: {PLAIN}, 1.000 ms, gpuols takes 2.00 times that"
    assert lines[5] == "of gpuols' own time on one thread: shift 25%, bound 10%"

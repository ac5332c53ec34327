"""Answers in double-double on the device, from sums formed there: the CPU's, to the bit."""

from unittest import mock

import machines
import numpy as np
import pytest
from machines import in_order, uncovered, upload
from problems import CASES
from singular import KINDS

import gpuols
from gpuols import Status
from gpuols.engines import cpu, launches, verdicts
from gpuols.engines.cuda import Cuda
from gpuols.engines.verdicts import Verdicts

machine, pretended, unanchored = machines.machine, machines.pretended, machines.unanchored
pytestmark = pytest.mark.usefixtures("machine", "unanchored")

POLICIES = ("drop", "nan", "min_norm")


def rows(n, k, m=1, count=4, seed=0):
    """Regressions, the second with a redundant column, the third without an error."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(3.0, 1.0, (count, n, k)), rng.normal(size=(count, n, m))
    if k > 1:
        x[1, :, -1] = 2.0 * x[1, :, 0]
    x[2:3] = np.round(x[2:3])
    if count > 2:
        y[2] = x[2].sum(axis=-1, keepdims=True)
    return x, y, rng.uniform(0.5, 2.0, (count, n))


def answer(tables, ridge, *, singular="drop", centered=True, places=None):
    """Moments and answers of regressions, as the device gives them."""
    x, y, _ = tables
    places = np.arange(len(x)) if places is None else places
    sizes = x.shape[2] + centered, y.shape[2]
    asked = Verdicts.empty(np.full(len(places), ridge), sizes, 1e-10, singular)
    kind = {"centered": centered, "drop": False}
    moments = Cuda(0).reduce_batch(tables, (len(x),), places, asked=asked, **kind)
    return moments, asked


def assert_same_bits(found, expected, singular="drop"):
    for name, array in vars(expected).items():
        if singular == "min_norm" and name == "error_bound":
            # The error of the choice is found by logarithms, whose last bit is the device's own.
            np.testing.assert_allclose(found.error_bound, array, rtol=1e-12)
        else:
            np.testing.assert_array_equal(getattr(found, name), array, name)


def check(tables, ridge, singular="drop", centered=True):
    """Hold what the device answers against the CPU; which regressions it answered."""
    moments, asked = answer(tables, ridge, singular=singular, centered=centered)
    penalties = np.full(len(asked.done), ridge)
    expected = cpu.solve(moments, penalties, tol=1e-10, singular=singular)
    here = np.flatnonzero(asked.done)
    mine, theirs = (of.map(lambda a: a[here]) for of in (asked.solution, expected))
    assert_same_bits(mine, theirs, singular)
    return asked.done


@uncovered
@in_order
@pytest.mark.parametrize("case", CASES[::4], ids=lambda case: case.name)
def test_cases_have_the_answers_of_the_cpu(case):
    X, y, weights = case.data()
    found, expected = (
        gpuols.fit(X, y, weights=weights, device=name, **{**case.options, "solver": "accurate"})
        for name in ("cuda", "cpu:numpy")
    )
    for name in ("params", "bse", "ssr", "error_bound", "df_resid", "status", "rank"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


@in_order
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_ranks_and_what_follows_from_them_are_those_of_the_cpu(kind):
    for designs in kind.designs(3, 8):
        y = np.random.default_rng(1).normal(size=(*designs.X.shape[:2], 1))
        for policy in POLICIES:
            tables = designs.X, y, designs.weights
            assert check(tables, 0.0, policy, designs.add_intercept).all()


@in_order
@pytest.mark.parametrize(
    ("k", "ridge"),
    [*((k, ridge) for k in (0, 1, 8, 9, 32) for ridge in (0.0, 2.0, 1e-310)), (31, 0.0), (64, 1.0)],
)
def test_any_number_of_columns(k, ridge):
    x, y, weights = rows(70 if k > 9 else 20, k, 2, 4 if k < 64 else 2)
    for heavy, centered in ((None, True), (weights, False)):
        assert check((x, y, heavy), ridge, "nan", centered).all()


@in_order
@pytest.mark.parametrize("k", [1, 2, 8, 9, 31, 32, 64])
def test_shortest_solutions_of_any_number_of_columns(k):
    """Redundant columns anywhere, in units of their own; responses fitted exactly, too."""
    rng = np.random.default_rng(k)
    for centered in (True, False)[: 2 if k < 64 else 1]:
        x, y, weights = rows(70 if k > 9 else 20, k, 2, 3)
        if k > 1:
            x[:, :, 1], x[:, :, -1] = 3.0 * x[:, :, 0], x[:, :, 0] - x[:, :, k // 2]
        x[0, :, k // 2] = 0.0
        x *= 10.0 ** rng.integers(-9, 10, (3, 1, k))
        y[1] = x[1] @ rng.normal(size=(k, 2))
        assert check((x, y, None if centered else weights), 0.0, "min_norm", centered).all()


@in_order
def test_shortest_solutions_of_few_rows_and_of_units_too_far_apart():
    for n in (0, 1, 2, 4, 5):
        for centered in (True, False):
            assert check(rows(n, 5), 0.0, "min_norm", centered).all()
    x, y, _ = rows(20, 3)
    x[:, :, 1], x[:, :, 2] = 1e70 * x[:, :, 0], 1e-70 * x[:, :, 0]
    assert check((x, y, None), 0.0, "min_norm").all()


@in_order
@pytest.mark.parametrize("n", [0, 1, 3, 5, 6, 100, 4097])
@pytest.mark.parametrize("ridge", [0.0, 1e-4, 1e200])
def test_any_number_of_rows(n, ridge):
    for centered in (True, False):
        assert check(rows(n, 5, 1), ridge, centered=centered).all()


@in_order
def test_what_is_left_to_the_cpu_is_told_and_answered_there():
    x, y, _ = rows(40, 3, count=6)
    x[4, :, 2] *= 1e200
    y[5] *= 1e-200
    tables = x, y, None
    assert check(tables, 0.0).tolist() == [True] * 4 + [False] * 2
    assert check(tables, 0.0, "min_norm").tolist() == [True] * 4 + [False] * 2
    assert not check(rows(70, 65), 0.0).any()
    for policy in POLICIES:
        found, expected = (
            gpuols.fit(x, y, add_intercept=True, solver="accurate", singular=policy, device=name)
            for name in ("cuda", "cpu:numpy")
        )
        np.testing.assert_array_equal(found.params, expected.params)
        np.testing.assert_array_equal(found.status, expected.status)


def near(x, y):
    x[1, :, 1] = x[1, :, 0] + 1e-7 * x[1, :, 1]


def redundant(x, y):
    x[1, :, 1] = x[1, :, 0]


def exact(x, y):
    y[1] = x[1].sum(axis=-1, keepdims=True)


def tiny(x, y):
    y[1] *= 1e-200


HELPED = [
    (near, 3, {}, False),
    (redundant, 3, {}, False),
    (redundant, 3, {"singular": "min_norm"}, False),
    (redundant, 3, {"singular": "nan"}, False),
    (exact, 3, {}, True),
    (exact, 3, {"ridge": 1.0}, False),
    (tiny, 3, {}, True),
    (near, 65, {}, True),
]


@in_order
@pytest.mark.parametrize(("trouble", "k", "options", "helped"), HELPED)
def test_a_result_says_whether_the_cpu_helped(trouble, k, options, helped):
    x, y = np.random.default_rng(0).normal(size=(3, 70, k)), np.ones((3, 70, 1))
    y += np.random.default_rng(1).normal(size=y.shape)
    trouble(x, y)
    keys = np.repeat(np.arange(3), 70)
    for solver in ("auto", "accurate"):
        settings = {**options, "solver": solver, "device": "cuda"}
        batch = gpuols.fit(x, y, **settings)
        groups = gpuols.fit_groups(x.reshape(-1, k), y.reshape(-1, 1), keys, **settings)
        for found in (batch, groups):
            assert found.engine == ("cuda:0+cpu:numpy" if helped else "cuda:0")


@in_order
def test_designs_that_responses_share_are_factored_by_the_cpu():
    x, y = (a[:1] for a in rows(40, 3, 9)[:2])
    for solver in ("auto", "accurate", "cholesky"):
        assert gpuols.fit(x[0], y[0], device="cuda", solver=solver).engine == "cuda:0+cpu:numpy"
        assert gpuols.fit(x, y[0].T, device="cuda", solver=solver).engine == "cuda:0+cpu:numpy"


@in_order
def test_numbers_that_are_not_finite_are_known():
    x, y, _ = rows(20, 3, 2, count=6)
    x[0, 3, 1], y[1, 4, 0], x[3, 0, 0], y[4, 1, 1] = np.nan, np.nan, np.inf, -np.inf
    for policy in POLICIES:
        check((x, y, None), 0.0, policy)
    status = gpuols.fit(x, y, add_intercept=True, solver="accurate", device="cuda").status
    assert (status == Status.NONFINITE).tolist() == [
        [True, True],
        [True, False],
        [False, False],
        [True, True],
        [False, True],
        [False, False],
    ]


@in_order
@pytest.mark.parametrize("there", [False, True], ids=["host", "device"])
def test_groups_have_the_answers_of_the_cpu(there, monkeypatch):
    sizes = (50, 9, 4100, 70, 3)
    keys = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(0)
    x, y = rng.normal(5.0, 1.0, (len(keys), 3)), rng.normal(size=(len(keys), 2))
    x[:50, 1] = x[:50, 0] + 1e-7 * x[:50, 1]
    ridge = np.array([0.0, 1.0, 0.0, 3.0, 0.0])
    options = {"add_intercept": True, "ridge": ridge, "solver": "accurate"}
    expected = gpuols.fit_groups(x, y, keys, device="cpu:numpy", **options)
    monkeypatch.setattr(Verdicts, "completed", complete_without_help)
    given = [upload(a) for a in (x, y)] if there else [x, y]
    found = gpuols.fit_groups(*given, keys, device="cuda", **options)
    for name in ("params", "bse", "ssr", "error_bound", "status", "rank"):
        mine = getattr(found, name)
        np.testing.assert_array_equal(mine.get() if there else mine, getattr(expected, name))


def complete_without_help(asked, solve):
    assert asked.done.all()
    return asked.solution


def test_bits_do_not_depend_on_neighbours_or_blocks(pretended, monkeypatch):
    for k in (5, 20, 40):
        tables = rows(60, k, 2, count=7)
        places = np.array([1, 2, 6])
        whole = answer(tables, 1.0)[1].solution
        with mock.patch.object(launches, "_GRID", 1):
            found = answer(tables, 1.0, places=places)[1].solution
        assert pretended.launches[-1][0] == "solve_precise"
        assert_same_bits(found, whole.map(lambda a, places=places: a[places]))
        tables[0][:, :, 2] = tables[0][:, :, 1]
        whole = answer(tables, 0.0, singular="min_norm")[1].solution
        with mock.patch.object(verdicts, "_BLOCKS", 1):
            found = answer(tables, 0.0, places=places, singular="min_norm")[1].solution
        assert pretended.launches[-1][0] == "shortest"
        assert_same_bits(found, whole.map(lambda a, places=places: a[places]))


def test_wide_regressions_are_not_asked_for(pretended):
    k = verdicts.WIDEST
    for columns, name in ((k, "solve_precise"), (k + 1, "settle")):
        answer(rows(9, columns, count=3), 1.0)
        assert pretended.launches[-1][0] == name

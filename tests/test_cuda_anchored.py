"""Anchored sums on the device: within their bound, and given where nothing else would be."""

import exact
import machines
import numpy as np
import pytest
from agreement import disagreements
from machines import in_order, uncovered, upload
from mpmath import mp
from problems import CASES

import gpuols
from gpuols import Status
from gpuols.engines import device, launches, precision
from gpuols.engines.launches import Shape
from gpuols.engines.lots import Slices
from gpuols.engines.passes import Passes
from gpuols.engines.transfer import to_host
from gpuols.numerics.bound import gamma_precise

machine, pretended = machines.machine, machines.pretended
pytestmark = pytest.mark.usefixtures("machine")

NUMBERS = ("params", "bse", "ssr", "error_bound", "df_resid", "status", "rank")
UNIT = 2.0**-53

KINDS = {
    "normal": lambda rng, *shape: rng.normal(size=shape),
    "wide": lambda rng, *shape: rng.normal(size=shape) * 10.0 ** rng.uniform(-9, 9, shape),
    "few values": lambda rng, *shape: rng.choice([0.1, 0.3, 0.7], shape),
    "one value": lambda rng, *shape: np.full(shape, 0.1),
    "tiny": lambda rng, *shape: rng.normal(size=shape) * 1e-70,
    "huge": lambda rng, *shape: rng.normal(size=shape) * 1e70,
    "alternating": lambda rng, *shape: 0.1 * (-1.0) ** np.indices(shape).sum(axis=0),
}


def summed(x, y, weights, *, centered, anchored):
    """Moments of a batch in double-double, and what their products may be wrong by."""
    shape = Shape(*x.shape[1:], y.shape[2], "double", centered, weights is not None, False)
    there = [None if a is None else device.upload(a) for a in (x, y, weights)]
    lot = Slices(there).part(shape, slice(0, len(x)))
    passes = Passes.of_responses(shape, lot, anchored=anchored)
    passes.total()
    run = min(shape.n, 64)
    return passes.found(), gamma_precise(shape.n) + (6.0 * run + 22.0) * run * 2.0**-104


@uncovered
@in_order
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_within_their_bound(kind, weighted):
    rng = np.random.default_rng(0)
    for n in (1, 15, 300, 600, 4096):
        for centered in (False, True) if n > 1 else (False,):
            z = KINDS[kind](rng, 1, n, 5)
            if centered and kind in ("normal", "few values"):
                z += 3e7
            weights = KINDS["few values"](rng, 1, n) if weighted else None
            x, y = z[..., :4], z[..., 4:]
            found, gamma = summed(x, y, weights, centered=centered, anchored=True)
            heavy = np.ones(n) if weights is None else weights[0]
            with mp.workdps(exact.DIGITS):
                true = exact.sums(x[0], y[0], heavy, about_mean=centered)
            size = np.sqrt(found.raw[0])
            for mine, low, whole, allowed in (
                (found.sxx[0], found.low.sxx[0], true.xx, np.outer(size[:4], size[:4])),
                (found.sxy[0], found.low.sxy[0], true.xy, np.outer(size[:4], size[4:])),
                (found.syy[0], found.low.syy[0], true.yy, size[4:] ** 2),
            ):
                for place in np.ndindex(mine.shape):
                    with mp.workdps(exact.DIGITS):
                        error = abs(mp.mpf(mine[place]) + mp.mpf(low[place]) - whole[place])
                    assert error <= gamma * allowed[place]


@pytest.fixture
def tried(monkeypatch):
    """Regressions of each lot whose responses are summed, and whether by anchored sums."""
    lots, begin = [], Passes.of_responses

    def of_responses(shape, lot, *, anchored=False):
        lots.append((lot.count, anchored))
        return begin(shape, lot, anchored=anchored)

    monkeypatch.setattr(Passes, "of_responses", of_responses)
    return lots


def assert_close(found, expected, stood):
    """Hold results against the CPU's: to the bit where sums were not anchored."""
    assert disagreements(found, expected) == []
    both = [{name: to_host(getattr(of, name)) for name in NUMBERS} for of in (found, expected)]
    for name in NUMBERS:
        mine, theirs = (of[name] for of in both)
        np.testing.assert_array_equal(mine[~stood], theirs[~stood], name)
    # Both are rounded, and the rest of what an anchored sum may be wrong by can't be seen.
    mine, theirs = ({name: a[stood] for name, a in of.items()} for of in both)
    assert (np.abs(mine["error_bound"] - theirs["error_bound"]) <= 2.5 * UNIT).all()
    size = np.maximum(np.abs(theirs["params"]), theirs["bse"])
    assert (np.abs(mine["params"] - theirs["params"]) <= 4.0 * UNIT * size).all()
    assert np.allclose(mine["bse"], theirs["bse"], rtol=8.0 * UNIT, atol=0.0)


def regressions(n=60, seed=0):
    """Sound ones at the even places; at the odd ones what only closer sums can tell."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(3.0, 1.0, (12, n, 4)), rng.normal(size=(12, n))
    x[1, :, 1] = x[1, :, 0] + 1e-9 * rng.normal(size=n)
    y[3] = np.round(x[3]).sum(axis=-1)
    x[3] = np.round(x[3])
    x[5, :, 3] = 2.0 * x[5, :, 0]
    y[7, 2] = np.nan
    y[9] = 5.0
    x[11] = rng.integers(0, 2**30, (n, 1)) + 1e-8 * rng.normal(size=(n, 4))
    return x, y


@in_order
def test_columns_that_are_opposite_in_a_lane():
    """A square of the lane is rounded down to just below an odd power of two."""
    one = np.array([4, 0, 6, 3, 8, 1, 4, 7, 6, 2, 4, 9, 4, 5, 0, 8]) / 10
    ticks = np.array([0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 1])
    y = (np.arange(16) * 7 % 11 / 10)[None]
    for step in (1e-6, 1e-2, 0.1):
        X = np.stack([one, step * ticks - one], -1)[None]
        for solver in ("auto", "accurate"):
            found, expected = (
                gpuols.fit(X, y, solver=solver, device=name) for name in ("cuda", "cpu:numpy")
            )
            assert disagreements(found, expected) == []


@in_order
@pytest.mark.parametrize("closeness", [1e-6, 1e-7])
def test_what_is_seen_beyond_the_last_digits_is_in_doubt(closeness, tried):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1, 70, 2)), rng.normal(size=(1, 70))
    x[0, :, 1] = x[0, :, 0] + closeness * x[0, :, 1]
    options = {"add_intercept": True, "solver": "accurate"}
    found, expected = (gpuols.fit(x, y, device=name, **options) for name in ("cuda", "cpu:numpy"))
    assert tried == [(1, True), (1, False)]
    assert_close(found, expected, np.array([False]))
    assert found.status.tolist() == [Status.OK]


@in_order
def test_a_pivot_near_the_floor_is_in_doubt(tried):
    x = np.round(2.0**50 / 1.2) + np.where(np.arange(40) % 3, 1.0, -1.0)[None, :, None]
    y = np.random.default_rng(0).normal(size=(1, 40))
    options = {"add_intercept": True, "solver": "accurate"}
    found, expected = (gpuols.fit(x, y, device=name, **options) for name in ("cuda", "cpu:numpy"))
    assert tried == [(1, True), (1, False)]
    assert_close(found, expected, np.array([False]))
    assert found.status.tolist() == [Status.OK]


@in_order
@pytest.mark.parametrize("singular", ["drop", "min_norm"])
def test_designs_without_responses_have_the_bits_of_the_cpu(singular, tried):
    x, y = np.random.default_rng(0).normal(3.0, 1.0, (3, 40, 3)), np.zeros((3, 40, 0))
    x[:, :, 2] = 2.0 * x[:, :, 0]
    options = {"solver": "accurate", "singular": singular}
    found, expected = (gpuols.fit(x, y, device=name, **options) for name in ("cuda", "cpu:numpy"))
    np.testing.assert_array_equal(found.normalized_cov, expected.normalized_cov)
    assert tried == [(3, False)]


ODD = np.arange(12) % 2 == 1


@in_order
@pytest.mark.parametrize("solver", ["accurate", "auto"])
@pytest.mark.parametrize("there", [False, True], ids=["host", "device"])
def test_those_in_doubt_alone_are_summed_again(solver, there, tried, monkeypatch):
    x, y = regressions()
    options = {"add_intercept": True, "solver": solver, "tol": 1e-10 if solver == "auto" else 1e-9}
    expected = gpuols.fit(x, y, device="cpu:numpy", **options)
    given = [upload(x), upload(y)] if there else [x, y]
    found = gpuols.fit(*given, device="cuda", **options)
    closely = np.flatnonzero(expected.solved_precisely | (solver == "accurate"))
    assert tried == [(len(closely), True), (np.sum(ODD[closely]), False)]
    if solver == "accurate":
        assert_close(found, expected, ~ODD)
    assert disagreements(found, expected) == []


@in_order
def test_groups_in_doubt_alone_are_summed_again(tried):
    x, y = regressions()
    keys = np.repeat(np.arange(12), x.shape[1])
    given = x.reshape(-1, 4), y.reshape(-1), keys
    options = {"add_intercept": True, "solver": "accurate"}
    found, expected = (
        gpuols.fit_groups(*given, device=name, **options) for name in ("cuda", "cpu:numpy")
    )
    assert tried == [(12, True), (6, False)]
    assert_close(found, expected, ~ODD)


@in_order
def test_bits_do_not_depend_on_longer_groups(tried):
    sizes = np.array([600, 4000, 515, 5000])
    keys, rng = np.repeat(np.arange(4), sizes), np.random.default_rng(0)
    x, y = rng.normal(3.0, 1.0, (len(keys), 3)), rng.normal(size=len(keys))
    options = {"add_intercept": True, "solver": "accurate", "device": "cuda"}
    together = gpuols.fit_groups(x, y, keys, **options)
    assert tried == [(4, True)]
    for group in range(4):
        alone = gpuols.fit_groups(
            x[keys == group], y[keys == group], keys[keys == group], **options
        )
        for name in NUMBERS:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[group])


@in_order
@pytest.mark.parametrize("ridge", [0.0, 1e-9, 1.0])
def test_without_rows_to_spare_nothing_is_sure(ridge, tried):
    for n in (4, 5, 6, 7):
        x, y = (a[::2] for a in regressions(n))
        options = {"add_intercept": True, "solver": "accurate", "ridge": ridge}
        found, expected = (
            gpuols.fit(x, y, device=name, **options) for name in ("cuda", "cpu:numpy")
        )
        assert (len(tried) == 2) == (n < 6), (n, tried)
        assert_close(found, expected, np.full(6, n > 5))
        tried.clear()


@in_order
def test_several_responses_stand_together(tried):
    x, y = regressions()
    y = np.stack([y, y, np.random.default_rng(1).normal(size=y.shape)], axis=-1)
    options = {"add_intercept": True, "solver": "accurate"}
    found, expected = (gpuols.fit(x, y, device=name, **options) for name in ("cuda", "cpu:numpy"))
    assert tried == [(12, True), (6, False)]
    assert (found.status[:, 2] == Status.OK).sum() == 10
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name)[ODD], getattr(expected, name)[ODD])
    assert disagreements(found, expected) == []


@in_order
def test_moments_and_wide_regressions_are_not_tried(tried):
    x, y = regressions()
    gpuols.moments(x, y, solver="accurate", device="cuda")
    wide = np.random.default_rng(0).normal(size=(2, 70, 65))
    gpuols.fit(wide, wide.sum(axis=-1), solver="accurate", device="cuda")
    assert [anchored for _, anchored in tried] == [False, False]


@uncovered
@in_order
@pytest.mark.parametrize("case", CASES[1::4], ids=lambda case: case.name)
def test_cases_are_answered_as_by_the_cpu(case):
    X, y, weights = case.data()
    options = {**case.options, "solver": "accurate"}
    found, expected = (
        gpuols.fit(X, y, weights=weights, device=name, **options) for name in ("cuda", "cpu:numpy")
    )
    assert disagreements(found, expected) == []


@pytest.mark.parametrize("n", [60, 5000])
def test_bits_do_not_depend_on_neighbours_or_blocks(pretended, monkeypatch, n):
    x, y = regressions(n)
    options = {"add_intercept": True, "solver": "accurate", "device": "cuda"}
    whole = gpuols.fit(x, y, **options)
    monkeypatch.setattr(launches, "_GRID", 1)
    for some in ([0], [1, 2, 8], [10, 11]):
        found = gpuols.fit(x[some], y[some], **options)
        for name in NUMBERS:
            np.testing.assert_array_equal(getattr(found, name), getattr(whole, name)[some])


def test_out_of_memory_halves_what_is_tried_and_goes_on(pretended, monkeypatch):
    x, y = regressions(300)
    options = {"add_intercept": True, "solver": "accurate", "device": "cuda"}
    expected, work, refused = gpuols.fit(x, y, **options), precision._sum_lot, []

    def sum_lot(shape, lot, *given):
        if lot.count > 2:
            refused.append(lot.count)
            raise MemoryError
        return work(shape, lot, *given)

    monkeypatch.setattr(precision, "_sum_lot", sum_lot)
    found = gpuols.fit(x, y, **options)
    assert refused == [12, 6, 3, 6, 3]
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))

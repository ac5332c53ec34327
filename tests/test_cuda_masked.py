"""Responses on one design, each with weights or missing rows of its own: kernels and the CPU."""

import machines
import numpy as np
import pytest
from agreement import disagreements
from machines import in_order, upload
from rings import shrink

import gpuols
from gpuols import DeviceError, Status
from gpuols.engines import device, launches, masks
from gpuols.engines.link import Plain
from gpuols.engines.ring import Ring

machine, pretended = machines.machine, machines.pretended
pytestmark = [pytest.mark.usefixtures("machine"), in_order]

NUMBERS = ("params", "bse", "ssr", "llf", "nobs", "error_bound", "status")
DROP = {"missing": "drop", "add_intercept": True}


def draw(n, k, m, share=0.1, seed=0):
    """X (n, k) and y (m, n), a share of y and few rows of X missing."""
    rng = np.random.default_rng([seed, n, k, m])
    X, y = rng.normal(size=(n, k)) + 3.0, rng.normal(size=(m, n)) + 1.0
    y[rng.random(y.shape) < share] = np.nan
    X[rng.random(n) < share / 10] = np.nan
    return X, y


def weigh(y, seed=0):
    """Weights for each response (m, n), some zero and some missing."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 2.0, y.shape)
    weights[rng.random(y.shape) < 0.1] = 0.0
    weights[rng.random(y.shape) < 0.02] = np.nan
    return weights


def fit_both(X, y, weights=None, **options):
    """Fit one design (n, k) with responses (m, n), on the device and on the CPU."""
    given = X[None], y
    expected = gpuols.fit(*given, weights=weights, device="cpu:numpy", **options)
    return gpuols.fit(*given, weights=weights, device="cuda", **options), expected


def numbers(result, some=slice(None)):
    """What a result says of some responses, which are the last axis where they came as columns."""
    found = [np.asarray(getattr(result, name)) for name in NUMBERS]
    return [array[..., some] if result.apart else array[some] for array in found]


def assert_same(found, expected):
    for name, mine, theirs in zip(NUMBERS, found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


@pytest.mark.parametrize("k", [0, 1, 2, 3, 5, 6, 7, 8, 9, 31, 40, 64, 65])
def test_any_number_of_columns(pretended, k):
    X, y = draw(2 * k + 12, k, 5)
    before = len(pretended.launches)
    assert disagreements(*fit_both(X, y, None, **DROP, solver="cholesky")) == []
    if k < 40:
        assert disagreements(*fit_both(X, y, weigh(y), **DROP)) == []
        assert disagreements(*fit_both(X, y, None, missing="drop", ridge=0.3)) == []
    used = {name for name, *_ in pretended.launches[before:]}
    assert ("masked" in used) == (k <= 64)
    assert used.isdisjoint({"mask", "gram", "panel", "fit_batch"}) == (k <= 64)


ROWS = (0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 127, 128, 129, 200, 4096, 4097)


@pytest.mark.parametrize("n", ROWS)
def test_any_number_of_rows(n):
    X, y = draw(n, 3, 4)
    y[1] = np.nan
    assert disagreements(*fit_both(X, y, weigh(y), **DROP)) == []
    if n < 4000:
        assert disagreements(*fit_both(X, y, **DROP)) == []
        weights = np.nan_to_num(weigh(y))
        assert disagreements(*fit_both(np.nan_to_num(X), np.nan_to_num(y), weights)) == []


def test_several_chunks():
    X, y = draw(2 * launches.CHUNK + 5, 2, 3, 0.3)
    y[0, launches.CHUNK :] = np.nan
    y[1, : launches.CHUNK] = np.nan
    assert disagreements(*fit_both(X, y, **DROP, solver="cholesky")) == []


@pytest.mark.parametrize("m", [1, 15, 16, 17, 63, 64, 65, 130])
def test_any_number_of_responses(m):
    X, y = draw(20, 4, m)
    assert disagreements(*fit_both(X, y, weigh(y) if m % 2 else None, **DROP)) == []


def test_moments_are_those_of_the_cpu():
    X, y = draw(300, 5, 7)
    options = {"weights": weigh(y), **DROP}
    found = gpuols.moments(X[None], y, device="cuda", **options)
    expected = gpuols.moments(X[None], y, **options)
    np.testing.assert_array_equal(found.nobs, expected.nobs)
    for name in ("sumw", "sum_log_w", "sxx", "sxy", "syy"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)
    np.testing.assert_allclose(
        found.anchor + found.mean, expected.anchor + expected.mean, rtol=1e-13
    )


@pytest.mark.parametrize("policy", ["nan", "drop", "min_norm"])
def test_redundant_columns(policy):
    X, y = draw(30, 4, 6)
    X[:, 3] = X[:, 0] - X[:, 1]
    y[2, 5:] = np.nan
    found, expected = fit_both(X, y, **DROP, singular=policy)
    assert disagreements(found, expected) == []
    assert (np.delete(found.status, 2) == Status.RANK_DEFICIENT).all()
    assert found.status[2] == Status.TOO_FEW_ROWS


# Rows that some responses have and others do not.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("row", [0, 7, 20, 39])
@pytest.mark.parametrize("centered", [False, True])
def test_a_row_matters_to_those_who_have_it(value, row, centered):
    X, y = draw(40, 3, 6, 0.0)
    weights = np.ones(y.shape)
    weights[:3, row] = 0.0
    X[row, 1] = value
    y[1, row] = np.inf
    found, expected = fit_both(X, y, weights, add_intercept=centered)
    assert disagreements(found, expected) == []
    right = Status.OK if value == 1e200 else Status.NONFINITE
    assert found.status.tolist() == [0, 0, 0, right, right, right]


def test_what_a_row_holds_does_not_reach_those_who_do_not_have_it():
    X, y = draw(40, 10, 100, 0.0)
    y[::3, 7] = np.nan
    for k in (3, 10):
        before = numbers(gpuols.fit(X[:, :k], y.T, device="cuda", **DROP), slice(None, None, 3))
        for value in (np.inf, 1e200):
            wild = X[:, :k].copy()
            wild[7, 1] = value
            after = gpuols.fit(wild, y.T, device="cuda", **DROP)
            assert_same(numbers(after, slice(None, None, 3)), before)
            others = np.arange(100) % 3 > 0
            assert ((after.status == Status.NONFINITE) == (others & np.isinf(value))).all()


def test_nothing_finite_in_a_column():
    X, y = draw(40, 3, 5, 0.0)
    X[:, 2] = np.inf
    found, expected = fit_both(X, y, **DROP)
    for result in (found, expected):
        assert (result.status == Status.NONFINITE).all()
        assert np.isnan(result.params).all()


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e15, 1e16, 1e30, 1e200])
def test_weights_of_any_size(size):
    X, y = draw(40, 3, 6)
    for data in ((X, y), (X * 1e-160, y * 1e-100)):
        for options in ({}, {"solver": "cholesky"}):
            given = (*data, weigh(y) * size)
            assert disagreements(*fit_both(*given, **DROP, **options)) == []
    weights = np.ones(y.shape)
    weights[1] *= size
    weights[2, :4] = size
    weights[3, 4] = np.inf
    assert disagreements(*fit_both(X, y, weights, **DROP)) == []


def test_products_that_heavy_weights_bring_back_are_not_lost():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)) * 2.0**-540, rng.normal(size=(3, 40))
    weights = np.full(y.shape, 2.0**300)
    found = gpuols.moments(X[None], y, weights=weights, device="cuda")
    expected = gpuols.moments(X[None] * 2.0**150, y, weights=weights * 2.0**-300)
    np.testing.assert_allclose(found.sxx, expected.sxx, rtol=1e-12)


def test_a_large_level_is_taken_away_even_beside_an_outlier():
    X, y = draw(60, 3, 6)
    y += 1e9
    y[2, 0] = 1e30
    y[3, 30:] = np.nan
    y[4, :30] = np.nan
    found, expected = fit_both(X + 1e9, y, **DROP, solver="cholesky")
    assert disagreements(found, expected) == []
    assert (found.status == Status.OK).all()


def test_of_three_rows_none_is_taken_twice_for_the_anchor():
    y = np.full((3, 9), np.nan)
    for some, places in zip(y, ([0, 1, 8], [0, 4, 8], [0, 7, 8]), strict=True):
        some[places] = 5.0, 2.0, -9.0  # of two rows it is the second
    found = gpuols.moments(np.zeros((1, 9, 0)), y, device="cuda", **DROP)
    np.testing.assert_array_equal(found.anchor[:, 0], 2.0)
    y[:, 8] = np.nan
    found = gpuols.moments(np.zeros((1, 9, 0)), y, device="cuda", **DROP)
    np.testing.assert_array_equal(found.anchor[:, 0], 2.0)


# Bits.

VARIANTS = {
    "dropped": DROP,
    "no intercept": {"missing": "drop"},
    "weights": {"weights": True, **DROP},
    "weights, nothing dropped": {"weights": True, "add_intercept": True},
    "penalties": {"ridge": True},
}


def prepared(n, k, m, variant):
    """One design, responses (m, n) and options, those of each response by name."""
    X, y = draw(n, k, m)
    options = dict(VARIANTS[variant])
    if options.get("missing") != "drop":
        X, y = np.nan_to_num(X), np.nan_to_num(y)
    own = {"y": y}
    if options.pop("weights", False):
        own["weights"] = weigh(y) if "missing" in options else np.nan_to_num(weigh(y))
    if options.pop("ridge", False):
        own["ridge"] = np.linspace(0.0, 1.0, m)
    return X, own, options


@pytest.mark.parametrize(
    ("n", "k", "size", "variant"),
    [
        *((20, 3, 1, variant) for variant in VARIANTS),
        *((140, 9, 20, variant) for variant in VARIANTS),
        (4100, 2, 30, "weights"),
    ],
)
def test_a_responses_bits_are_its_own(n, k, size, variant):
    X, own, options = prepared(n, k, 70 if k == 3 else 35, variant)

    def bits(which, **more):
        some = {name: array[which] for name, array in own.items()}
        return numbers(gpuols.fit(X[None], **some, device="cuda", **options, **more))

    whole = bits(slice(None))
    assert_same(bits(slice(None), batch_size=size), whole)
    which = [33, 3, 34, 0]
    assert_same(bits(which), [part[which] for part in whole])
    own["y"] = own["y"].copy()
    own["y"][::2] = np.inf
    assert_same([part[1::2] for part in bits(slice(None))], [part[1::2] for part in whole])


def orders(own):
    """The same arrays with rows or responses as neighbours in memory."""
    for change in (
        np.ascontiguousarray,
        np.asfortranarray,
        lambda a: np.repeat(a, 2, -1)[..., ::2],
        lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    ):
        yield {name: change(array) for name, array in own.items()}


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("variant", ["weights", "penalties"])
def test_neither_place_nor_memory_order_matter(variant, real):
    X, own, options = prepared(40, 3, 9, variant)
    own["y"] = own["y"].astype(real)
    X = X.astype(real)
    expected = gpuols.fit(X[None], **own, **options)
    whole = numbers(gpuols.fit(X[None], **own, device="cuda", **options))
    for given in orders(own):
        found = gpuols.fit(np.asfortranarray(X)[None], **given, device="cuda", **options)
        assert disagreements(found, expected) == []
        assert_same(numbers(found), whole)
        ridge = {name: given.pop(name) for name in list(given) if name == "ridge"}
        there = {name: upload(array) for name, array in given.items()}
        found = gpuols.fit(upload(X)[None], **there, **ridge, **options)
        assert found.place == "cuda:0"
        same = [device.download(getattr(found, name)) for name in NUMBERS]
        assert_same(same, whole)


def test_responses_as_columns_with_one_vector_of_weights():
    X, y = draw(50, 3, 20)
    weights = weigh(y)[0].astype(np.float32)
    expected = gpuols.fit(X, y.T, weights=weights, device="cpu:numpy", **DROP)
    found = gpuols.fit(X, y.T, weights=weights, device="cuda", **DROP)
    assert disagreements(found, expected) == []
    there = [upload(array) for array in (X, np.ascontiguousarray(y.T), weights)]
    again = gpuols.fit(there[0], there[1], weights=there[2], **DROP)
    for name in NUMBERS:
        np.testing.assert_array_equal(
            device.download(getattr(again, name)), getattr(found, name), err_msg=name
        )


def test_vectors_of_weights_over_several_axes():
    X, y = draw(30, 3, 1, 0.0)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, (2, 1, 5, 30))
    for given in ((X, y[0]), (X[None, None], np.broadcast_to(y, (3, 5, 30)))):
        expected = gpuols.fit(*given, weights=weights, device="cpu:numpy", **DROP)
        found = gpuols.fit(*given, weights=weights, device="cuda", **DROP)
        assert disagreements(found, expected) == []


# How the work is done.


def test_the_design_is_looked_at_once(pretended):
    X, y = draw(40, 3, 50)
    before = len(pretended.launches)
    gpuols.fit(X, y.T, device="cuda", solver="cholesky", batch_size=20, **DROP)
    names = [name for name, *_ in pretended.launches[before:]]
    design = ["tame", "places", "anchors", "tame"]
    assert names == [*design, *3 * ["marks", "anchors", "masked", "solve"]]


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_all_have_in_common_goes_over_once(pretended, monkeypatch, order):
    X, y = draw(30, 3, 5)
    weights = np.array(np.nan_to_num(weigh(y)), order=order)
    sent = []
    send = Plain.send
    monkeypatch.setattr(Plain, "send", lambda self, rows: sent.append(rows) or send(self, rows))
    gpuols.fit(X, y[0], weights=weights, device="cuda", solver="cholesky", **DROP)
    gpuols.fit(X[None], y, weights=weights[0], device="cuda", solver="cholesky", **DROP)
    own = (5, 30) if order == "C" else (30, 5)
    assert [rows.shape for rows in sent] == [(1, 30), own, (5, 30), (1, 30)]


def test_what_all_have_in_common_goes_over_once_for_a_second_look(pretended):
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(300, 20)), rng.uniform(0.5, 1.0, (30, 300))
    y = X.sum(axis=1) + rng.normal(size=(30, 300))
    pretended.uploads.clear()
    found = gpuols.fit(X[None], y, weights=weights, device="cuda", solver="accurate")
    assert found.solved_precisely.all()
    assert sum(pretended.uploads) < 4 * X.nbytes + 2 * (y.nbytes + weights.nbytes)
    expected = gpuols.fit(X[None], y, weights=weights, solver="accurate")
    assert disagreements(found, expected) == []


def test_an_infinite_response_is_no_anchor():
    X, y = np.random.default_rng(0).normal(size=(1, 2, 2)), np.array([[np.inf, np.nan], [1.0, 2.0]])
    options = {"add_intercept": True, "missing": "drop"}
    found, expected = (gpuols.fit(X, y, device=name, **options) for name in ("cuda", "cpu:numpy"))
    for name in ("status", "rank", "df_resid"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("k", [3, 10])
def test_more_responses_than_blocks(pretended, monkeypatch, k):
    X, y = draw(40, k, 200)
    before = numbers(gpuols.fit(X, y.T, device="cuda", **DROP))
    monkeypatch.setattr(launches, "_GRID", 2)
    assert_same(numbers(gpuols.fit(X, y.T, device="cuda", **DROP)), before)
    assert {grid for name, _, grid, *_ in pretended.launches[-9:] if name == "masked"} == {(2,)}


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_the_host_come_through_the_ring(pretended, monkeypatch, order):
    X, y = draw(40, 3, 300)
    weights = np.array(weigh(y), order=order)
    y = np.array(y, order=order)
    plain = numbers(gpuols.fit(X[None], y, weights=weights, device="cuda", **DROP))
    shrink(monkeypatch, 1 << 13)
    entered = []
    monkeypatch.setattr(Ring, "__enter__", lambda self: entered.append(1) or enter(self))
    told = []
    options = {**DROP, "progress": lambda *step: told.append(step)}
    found = gpuols.fit(X[None], y, weights=weights, device="cuda", **options)
    assert entered
    assert told[-1] == (300, 300)
    assert_same(numbers(found), plain)


enter = Ring.__enter__


def test_out_of_memory_halves_the_responses_and_goes_on(pretended):
    X, y = draw(200, 3, 300)
    expected = numbers(gpuols.fit(X, y.T, device="cuda", solver="cholesky", **DROP))
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + y.nbytes // 2
    used = len(pretended.launches)
    options = {"solver": "cholesky", "batch_size": 300, **DROP}
    try:
        found = gpuols.fit(X, y.T, device="cuda", **options)
    finally:
        pretended.memory = before
    assert [name for name, *_ in pretended.launches[used:]].count("masked") > 1
    assert_same(numbers(found), expected)


def test_a_design_too_large_for_the_device_is_an_error(pretended):
    X, y = draw(3000, 20, 2)
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 2**17
    try:
        with pytest.raises(DeviceError, match=r"a design of 3,000 rows and 20 columns.* cuda:0"):
            gpuols.fit(X, y.T, device="cuda", **DROP)
    finally:
        pretended.memory = before


def test_panels_are_of_like_sizes():
    for k in range(65):
        shape = launches.Shape(9, k, 1, "double", True, False, False)
        launch, panels, each = masks.masked(shape)
        width = dict(launch.kernel.macros)["tiles"]
        tiles = -(-(k + 1) * (k + 2) // 16) - (-(k + 1) // 8)
        assert panels * each >= tiles > (panels - 1) * each
        assert width - 2 < each <= width <= 6

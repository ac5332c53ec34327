"""Groups on the CUDA engine against the CPU's, and against batches of their rows."""

from itertools import product

import machines
import numpy as np
import pandas as pd
import pytest
from agreement import disagreements
from machines import in_order, uncovered, upload
from problems import CASES

import gpuols
from gpuols import DeviceError, Status
from gpuols.engines import device, launches, lots, pieces

machine, pretended = machines.machine, machines.pretended
pytestmark = pytest.mark.usefixtures("machine")

SIZES = (1, 2, 5, 33, 255, 256, 257, 512, 513, 1024, 1025, 4096, 4097, 8193)
NUMBERS = ("params", "bse", "ssr", "error_bound", "status", "nobs", "df_resid", "rank")


def as_groups(case):
    """A batch of the table of cases as one long table in no order, with the keys of its rows."""
    X, y, weights = case.data()
    if X.ndim != 3 or len({*X.shape[:1], *y.shape[:1]}) > 1 or "ridge" in case.options:
        return None
    count = X.shape[0] * X.shape[1]
    rows = np.random.default_rng(0).permutation(count)
    flat = [array.reshape(count, *array.shape[2:])[rows] for array in (X, y)]
    heavy = None if weights is None else np.broadcast_to(weights, X.shape[:2]).reshape(count)[rows]
    return *flat, heavy, np.repeat(np.arange(len(X)), X.shape[1])[rows]


GROUPED = [case for case in CASES if as_groups(case) is not None]


@uncovered
@in_order
@pytest.mark.parametrize(
    ("case", "there"),
    [
        *(pytest.param(case, True, id=f"{case.name}-device") for case in GROUPED),
        *(pytest.param(case, False, id=f"{case.name}-host") for case in GROUPED[::4]),
    ],
)
def test_every_case_in_groups_is_answered_as_by_the_cpu(case, there):
    X, y, weights, keys = as_groups(case)
    expected = gpuols.fit_groups(X, y, keys, weights=weights, device="cpu:numpy", **case.options)
    if there:
        X, y, weights = (upload(array) for array in (X, y, weights))
    found = gpuols.fit_groups(X, y, keys, weights=weights, device="cuda", **case.options)
    assert found.place == ("cuda:0" if there else "cpu")
    assert disagreements(found, expected) == []


def ragged(k, m=None, sizes=SIZES, seed=0):
    """Groups of many sizes, their rows in no order; weights, some of them zero."""
    rng = np.random.default_rng(seed)
    keys = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X = rng.normal(2.0, 1.0, (len(keys), k))
    y = X.sum(axis=1)[:, None] + rng.normal(size=(len(keys), m or 1))
    weights = rng.uniform(0.5, 2.0, len(keys))
    weights[::7] = 0.0
    return X, y if m else y[:, 0], keys, weights


@uncovered
@in_order
@pytest.mark.parametrize(
    ("k", "weighted", "there"),
    [*product((0, 3, 20), (False, True), (False, True)), (40, False, True), (40, True, False)],
)
def test_groups_of_any_size(k, weighted, there):
    X, y, keys, weights = ragged(k)
    options = {"add_intercept": True, "weights": weights if weighted else None}
    expected = gpuols.fit_groups(X, y, keys, device="cpu:numpy", **options)
    if there:
        options["weights"] = upload(options["weights"])
        X, y = upload(X), upload(y)
    found = gpuols.fit_groups(X, y, keys, device="cuda", **options)
    assert disagreements(found, expected) == []


@uncovered
@in_order
@pytest.mark.parametrize("missing", ["nan", "drop"])
@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_missing_values_and_several_responses(m, missing, weighted):
    X, y, keys, weights = ragged(3, m, (1, 4, 9, 40, 300, 1025, 4100))
    X[::97, 1], y[::89, 0] = np.nan, np.nan
    options = {"missing": missing, "weights": weights if weighted else None, "ridge": 0.5}
    for given in ((X, y), (X[:, ::-1], y), (X.astype(np.float32), y.astype(np.float32))):
        expected = gpuols.fit_groups(*given, keys, device="cpu:numpy", **options)
        assert (
            disagreements(gpuols.fit_groups(*given, keys, device="cuda", **options), expected) == []
        )
        there = {**options, "weights": upload(options["weights"])}
        found = gpuols.fit_groups(*map(upload, given), keys, **there)
        assert disagreements(found, expected) == []


@uncovered
@in_order
@pytest.mark.parametrize("options", [{}, {"missing": "drop"}, {"add_intercept": True}], ids=str)
@pytest.mark.parametrize("k", [3, 12, 33])
def test_bits_are_those_of_a_batch_of_the_rows(k, options):
    X, y, keys, weights = ragged(k, sizes=(50, 255, 300, 900, 2000, 4100))
    for own in ({}, {"weights": weights}):
        heavy = own.get("weights")
        groups = gpuols.fit_groups(X, y, keys, device="cuda", **options, **own)
        for g in range(len(groups)):
            rows = keys == g
            alone = gpuols.fit(
                X[None, rows],
                y[None, rows],
                weights=None if heavy is None else heavy[None, rows],
                device="cuda",
                **options,
            )
            for name in NUMBERS:
                np.testing.assert_array_equal(getattr(groups, name)[g], getattr(alone, name)[0])


@pytest.mark.parametrize("options", [{}, {"missing": "drop"}, {"ridge": 0.1}], ids=str)
def test_bits_do_not_depend_on_neighbours_order_or_chunks(options):
    X, y, keys, weights = ragged(3, sizes=(40, 40, 7, 300, 5000, 40, 5000))
    X[np.flatnonzero(keys == 1)[3], 0] = np.nan

    def bits(rows, **more):
        found = gpuols.fit_groups(
            X[rows], y[rows], keys[rows], weights=weights[rows], device="cuda", **options, **more
        )
        return [getattr(found, name) for name in NUMBERS]

    every = np.arange(len(keys))
    whole = bits(every)
    for found, expected in zip(bits(every, batch_size=1), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    for found, expected in zip(bits(np.argsort(keys, kind="stable")), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    some = np.isin(keys, (0, 4, 5))
    for found, expected in zip(bits(every[some]), whole, strict=True):
        np.testing.assert_array_equal(found, expected[[0, 4, 5]])


@in_order
def test_offsets_and_empty_groups():
    X, y, _, _ = ragged(3, sizes=(60,))
    offsets = [0, 0, 10, 10, 31, 60, 60]
    for k in (3, 40):
        wide = np.resize(X, (60, k))
        expected = gpuols.fit_groups(wide, y, offsets=offsets, add_intercept=True)
        found = gpuols.fit_groups(wide, y, offsets=offsets, add_intercept=True, device="cuda")
        assert disagreements(found, expected) == []
        for missing in ("nan", "drop"):
            there = gpuols.fit_groups(
                upload(wide), upload(y), offsets=offsets, add_intercept=True, missing=missing
            )
            assert disagreements(there, expected) == []
    none = gpuols.fit_groups(X[:0], y[:0], [], device="cuda")
    assert len(none) == 0


@in_order
def test_more_groups_than_blocks(pretended, monkeypatch):
    X, y, keys, _ = ragged(3, sizes=(5,) * 90 + (4100,) * 5)
    before = gpuols.fit_groups(X, y, keys, device="cuda", missing="drop")
    monkeypatch.setattr(launches, "_GRID", 2)
    found = gpuols.fit_groups(X, y, keys, device="cuda", missing="drop")
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name), getattr(before, name))


@in_order
def test_a_class_of_sizes_is_one_launch(pretended):
    X, y, keys, _ = ragged(3, sizes=(*range(5, 40), 300, 400, 900, 1000, 4100, 9000))
    X, y = upload(X), upload(y)
    del pretended.launches[:]
    gpuols.fit_groups(X, y, keys, solver="cholesky")
    names = [name for name, *_ in pretended.launches if name != "probe"]
    assert sorted(names) == ["fit_batch"] * 3 + ["gram", "solve"]


@in_order
@pytest.mark.parametrize(("k", "pairs"), [(3, 1), (40, 1), (70, 3)])
def test_a_chunk_is_a_block_or_one_for_each_pair_of_panels(pretended, k, pairs):
    X, y, keys, _ = ragged(k, sizes=(8193, 4097))
    del pretended.launches[:]
    gpuols.fit_groups(X, y, keys, device="cuda", solver="cholesky")
    gpuols.fit(X[None, :8193], y[None, :8193], device="cuda", solver="cholesky")
    grids = [grid for name, _, grid, *_ in pretended.launches if name in ("gram", "panel")]
    assert grids == [(5 * pairs,), (3 * pairs,)]


@in_order
def test_a_piece_is_gone_before_the_next_comes(pretended):
    X, y, keys, _ = ragged(3, sizes=(5000, 5000, 5000))
    expected = gpuols.fit_groups(X, y, keys)
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + int(1.3 * 5000 * 4 * 8)
    try:
        found = gpuols.fit_groups(X, y, keys, device="cuda")
    finally:
        pretended.memory = before
    assert disagreements(found, expected) == []


@pytest.mark.parametrize("change", ["order", "weights", "dtype", "drop"])
def test_no_memory_for_what_groups_need_is_an_error(pretended, change):
    X, y, keys, weights = ragged(3, sizes=(5000, 5000))
    keys = keys if change == "order" else np.sort(keys)
    options = {"missing": "drop"} if change == "drop" else {}
    if change == "weights":
        keys, options["weights"] = keys[::-1].copy(), upload(weights)
    given = upload(X.astype(np.float32) if change == "dtype" else X), upload(y)
    device.release()
    spare = 100_000 if change == "weights" else 30_000  # weights are looked through first
    before, pretended.memory = pretended.memory, pretended.taken(0) + spare
    try:
        with pytest.raises(DeviceError, match="10,000 rows whose order, weights or copies"):
            gpuols.fit_groups(*given, keys, **options)
    finally:
        pretended.memory = before


@in_order
def test_rows_from_the_host_come_in_pieces(monkeypatch):
    X, y, keys, weights = ragged(3, sizes=(50, 20, 4100, 3, 700, 80))
    options = {"weights": weights, "missing": "drop", "add_intercept": True}
    expected = gpuols.fit_groups(X, y, keys, device="cuda", **options)
    monkeypatch.setattr(lots, "_SHARE", 0.0)
    told = []
    found = gpuols.fit_groups(
        X, y, keys, device="cuda", progress=lambda *step: told.append(step), **options
    )
    assert told == [(i, 6) for i in range(1, 7)]
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@in_order
@pytest.mark.parametrize("there", [False, True], ids=["host", "device"])
def test_rejected_groups_are_solved_there_too_and_the_result_says_so(there):
    X, y, keys, _ = ragged(3, 2, (40, 50, 60))
    X[keys == 1, 2] = X[keys == 1, 0]
    given = (upload(X), upload(y)) if there else (X, y)
    for options in ({}, {"missing": "drop"}):
        result = gpuols.fit_groups(*given, keys, device="cuda", **options)
        assert result.engine == "cuda:0"
        status = device.download(result.status) if there else result.status
        assert status.tolist() == [[0, 0], [int(Status.RANK_DEFICIENT)] * 2, [0, 0]]
        precise = gpuols.fit_groups(*given, keys, device="cuda", solver="accurate", **options)
        assert precise.engine == "cuda:0"
        expected = gpuols.fit_groups(X, y, keys, solver="accurate", **options)
        assert disagreements(precise, expected) == []


@in_order
@pytest.mark.parametrize("formula", ["y ~ x0 + x1", "y + x0 ~ x1", "y ~ I(2 * x0)"])
def test_frames_are_fitted_there(formula):
    X, y, keys, weights = ragged(2, sizes=(40, 50, 4100))
    y[3] = np.nan
    frame = pd.DataFrame({"x0": X[:, 0], "x1": X[:, 1], "y": y, "g": keys, "w": weights})
    found, expected = (
        gpuols.fit_frame(frame, formula, by="g", weights="w", device=name)
        for name in ("cuda", "cpu:numpy")
    )
    assert found.engine == "cuda:0"
    assert disagreements(found, expected) == []


def test_more_rows_in_no_order_than_can_be_numbered_are_refused(monkeypatch):
    X, y, keys, _ = ragged(3, sizes=(40, 50))
    monkeypatch.setattr(pieces, "_MOST_ROWS", 89)
    with pytest.raises(DeviceError, match=r"groups: got 90 rows in no order.*sort them"):
        gpuols.fit_groups(upload(X), upload(y), keys)
    gpuols.fit_groups(upload(X), upload(y), np.sort(keys))


def test_keys_may_be_on_the_device():
    X, y, keys, _ = ragged(3, sizes=(40, 50, 60))
    found = gpuols.fit_groups(upload(X), upload(y), upload(keys))
    assert isinstance(found.keys, np.ndarray)
    assert disagreements(found, gpuols.fit_groups(X, y, keys)) == []


def test_a_group_too_large_for_the_device_is_an_error(pretended):
    X, y, keys, _ = ragged(3, sizes=(5000, 4500))
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 2**16
    try:
        with pytest.raises(DeviceError, match=r"5,000 rows .* cuda:0"):
            gpuols.fit_groups(X, y, keys, device="cuda")
    finally:
        pretended.memory = before


@in_order
@pytest.mark.parametrize("solver", ["auto", "accurate"])
def test_no_responses_that_are_apart(solver):
    X, Y = np.ones((4, 2)), np.ones((4, 0))
    found, expected = (
        gpuols.fit_groups(X, Y, [0, 0, 1, 1], missing="drop", solver=solver, device=name)
        for name in ("cuda", "cpu:numpy")
    )
    assert found.params.shape == expected.params.shape == (2, 2, 0)

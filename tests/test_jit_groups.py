"""Groups by compiled code: the answers of the NumPy engine, the bits of `fit` on a group's rows."""

import time
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from agreement import disagreements

import gpuols
from gpuols import Status
from gpuols.keys import Grouping, group_by_keys

pytestmark = pytest.mark.skipif(find_spec("numba") is None, reason="needs Numba")

if find_spec("numba") is not None:
    from gpuols.engines import labels, stretches
    from gpuols.engines.jit import hashing

NUMBERS = ("params", "bse", "ssr", "error_bound", "df_resid", "nobs", "status", "rank")
SIZES = [7, 1, 30, 7, 300, 2, 5, 3, 7, 64, 4, 5000, 12, 2049, 8]


def table(sizes=SIZES, k=3, seed=0):
    """Rows of groups in no order, and their keys; weights, some of them zero."""
    rng = np.random.default_rng(seed)
    keys = rng.permutation(np.repeat(rng.permutation(len(sizes)) * 2**40 - 2**41, sizes))
    weights = rng.uniform(0.5, 2.0, len(keys)) * (rng.random(len(keys)) > 0.1)
    return rng.normal(3.0, 1.0, (len(keys), k)), rng.normal(size=len(keys)), keys, weights


def fit(X, y, keys, **options):
    return gpuols.fit_groups(X, y, keys, device="cpu:numba", **options)


def assert_same_bits(found, expected):
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def check(X, y, keys, weights=None, ridge=0.0, **options):
    """Groups as the NumPy engine answers them, and each as `fit` answers its rows alone."""
    options = {"add_intercept": True, **options}
    found = fit(X, y, keys, weights=weights, ridge=ridge, **options)
    given = {"weights": weights, "ridge": ridge, **options}
    expected = gpuols.fit_groups(X, y, keys, device="cpu:numpy", **given)
    assert disagreements(found, expected) == []
    np.testing.assert_array_equal(found.keys, expected.keys)
    for g, key in enumerate(found.keys):
        rows = keys == key
        own = None if weights is None else weights[rows][None]
        penalty = ridge if np.ndim(ridge) == 0 else ridge[g]
        given = {"weights": own, "ridge": penalty, "device": "cpu:numba", **options}
        assert_same_bits(found[g], gpuols.fit(X[rows][None], y[rows][None], **given)[0])
    return found


@pytest.fixture
def ranges_of_few_rows(monkeypatch):
    """Several ranges of labels, buckets, tasks, copies and rounds where there are few rows."""
    monkeypatch.setattr(labels, "_LEAST", 500)
    monkeypatch.setattr(stretches, "_SETTLED", 60)
    monkeypatch.setattr(stretches, "_SHARES", 1)
    monkeypatch.setattr(stretches, "_READ", 4000)
    monkeypatch.setattr(stretches, "_DEALT", 300)
    monkeypatch.setattr(stretches, "BUDGET", 90_000)
    monkeypatch.setenv("GPUOLS_NUM_THREADS", "3")


@pytest.mark.usefixtures("ranges_of_few_rows")
def test_groups_of_many_sizes_in_no_order_and_in_order():
    X, y, keys, weights = table()
    options = {"weights": weights, "ridge": np.arange(len(SIZES)) % 3 * 1.5}
    whole = check(X, y, keys)
    check(X, y, keys, **options)
    sorts = np.argsort(keys, kind="stable")
    assert_same_bits(fit(X[sorts], y[sorts], keys[sorts], add_intercept=True), whole)
    counts = np.unique(keys, return_counts=True)[1]
    offsets = {"offsets": np.concatenate([[0, 0], np.cumsum(counts), [len(keys)]])}
    beside = fit(X[sorts], y[sorts], None, add_intercept=True, **offsets)
    assert_same_bits(beside[1:-1], whole)
    assert (beside.nobs[[0, -1]] == 0).all()


@pytest.mark.usefixtures("ranges_of_few_rows")
def test_missing_values_leave_each_response_by_itself():
    X, y, keys, weights = table()
    Y = np.stack([y, y + X[:, 0]], axis=1)
    rng = np.random.default_rng(1)
    X[rng.integers(0, len(y), 40), 1] = np.nan
    Y[rng.integers(0, len(y), 40), 0] = np.nan
    weights[rng.integers(0, len(y), 40)] = np.nan
    found = check(X, Y, keys, weights, missing="drop")
    assert found.params.shape == (len(SIZES), 4, 2)
    assert (found.nobs[:, 0] != found.nobs[:, 1]).any()
    check(X, Y, keys)


@pytest.mark.usefixtures("ranges_of_few_rows")
def test_bits_do_not_depend_on_neighbours_chunks_or_threads(monkeypatch):
    X, y, keys, weights = table()
    whole = fit(X, y, keys, weights=weights)
    spoilt, flat = (int(np.flatnonzero(whole.nobs == n)[0]) for n in (whole.nobs.max(), 1))
    X[np.flatnonzero(keys == whole.keys[spoilt])[5:]] = np.inf
    X[keys == whole.keys[flat], 2] = 0.0
    fine = np.delete(np.arange(len(SIZES)), [spoilt, flat])
    monkeypatch.setenv("GPUOLS_NUM_THREADS", "1")
    for size in (None, 1, 4):
        beside = fit(X, y, keys, weights=weights, batch_size=size)
        assert_same_bits(beside[fine], whole[fine])
        assert beside.status[spoilt] == Status.NONFINITE
    some = np.isin(keys, whole.keys[fine[::3]])
    few = fit(X[some], y[some], keys[some], weights=weights[some])
    assert_same_bits(few, whole[fine[::3]])


def test_any_number_of_groups_by_themselves():
    X, y, keys, weights = table([6] * (2**15 + 9))
    options = {"weights": weights, "solver": "cholesky"}
    assert_same_bits(fit(X, y, keys, batch_size=1, **options), fit(X, y, keys, **options))


@pytest.mark.usefixtures("ranges_of_few_rows")
def test_rows_are_read_however_they_lie():
    X, y, keys, weights = table()
    X = X.astype(np.float32).astype(np.float64)
    wide, apart = np.concatenate([X, X], axis=1), np.repeat(y, 2)[::2]
    sorts = np.argsort(keys, kind="stable")
    expected = fit(X, y, keys, weights=weights)
    for own in (wide[:, :3], np.repeat(X, 2, axis=1)[:, ::2], X[::-1].copy()[::-1]):
        assert_same_bits(fit(own, apart, keys, weights=weights), expected)
        assert_same_bits(fit(own[sorts], y[sorts], keys[sorts], weights=weights[sorts]), expected)
    for own in (np.asfortranarray(X), X.astype(np.float32), X.astype(">f8")):
        assert_same_bits(fit(own, y, keys, weights=weights), expected)
        assert_same_bits(fit(own[sorts], y[sorts], keys[sorts], weights=weights[sorts]), expected)
    frame = {f"x{j}": X[:, j] for j in range(3)} | {"y": y, "key": keys, "w": weights}
    options = {"by": "key", "weights": "w", "add_intercept": False, "device": "cpu:numba"}
    found = gpuols.fit_frame(pd.DataFrame(frame), ("y", ["x0", "x1", "x2"]), **options)
    np.testing.assert_array_equal(found.params, expected.params)


def test_tables_of_any_width():
    for k, m in ((0, 2), (6, 2), (3, 0)):
        X, y, keys, _ = table([40, 9, 3], k)
        check(X, np.tile(y[:, None], m), keys)
    empty = fit(np.empty((0, 2)), np.empty(0), np.empty(0, np.int64))
    assert empty.params.shape == (0, 2)


def test_an_order_found_elsewhere_is_followed():
    X, y, keys, _ = table()
    found = group_by_keys(keys, len(keys))
    assert isinstance(found, Grouping)
    assert found.labels is None
    assert_same_bits(fit(X, y, found), fit(X, y, keys))


def test_progress_counts_all(monkeypatch):
    monkeypatch.setattr(stretches, "BUDGET", 50_000)
    X, y, keys, _ = table()
    told = []
    fit(X, y, keys, batch_size=4, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(SIZES), len(SIZES))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


KEYS = {
    "integers": lambda rng, n: rng.integers(-(2**62), 2**62, n // 9)[rng.integers(0, n // 9, n)],
    "all distinct": lambda rng, n: rng.permutation(n),
    "unsigned": lambda rng, n: rng.integers(0, 9, n).astype(np.uint64) + np.uint64(2**63 - 4),
    "bytes swapped": lambda rng, n: rng.integers(-9, 9, n).astype(">i2"),
    "apart": lambda rng, n: rng.integers(0, 50, 2 * n)[::2],
    "with nulls": lambda rng, n: np.where(rng.random(n) < 0.1, np.nan, rng.integers(-3, 3, n)),
    "strings": lambda rng, n: rng.integers(0, 30, n).astype("U9"),
    "objects": lambda rng, n: np.array(["b", None, "a"], object)[rng.integers(0, 3, n)],
    "in order": lambda rng, n: np.sort(rng.integers(0, 30, n)),
    "one": lambda rng, n: np.zeros(n, np.int64),
    "two": lambda rng, n: (rng.integers(0, 9, n), rng.integers(0, 3, n).astype("U2")),
}


def test_more_keys_than_a_small_table_holds():
    keys = np.random.default_rng(0).permutation(80_000) // 2 * 2**40
    found, expected = (group_by_keys(keys, len(keys), compiled=how) for how in (True, False))
    np.testing.assert_array_equal(found.keys, expected.keys)
    np.testing.assert_array_equal(found.order, expected.order)


def test_keys_made_to_collide_take_no_longer_than_others():
    def seconds(keys):
        start = time.thread_time()
        _, distinct, first, counts = labels._label(keys)
        taken = time.thread_time() - start
        np.testing.assert_array_equal(distinct, keys)
        np.testing.assert_array_equal(first, np.arange(len(keys)))
        assert (counts == 1).all()
        return taken

    # Numbers whose products with the multiplier are 0, 1, 2 ...: all in the first slot at first.
    words = np.arange(60_000, dtype=np.uint64) * np.uint64(pow(int(hashing._GOLDEN), -1, 2**64))
    made = (words ^ words >> np.uint64(32)).view(np.int64)
    others = np.random.default_rng(0).permutation(60_000) * 2**40
    seconds(others)  # compiles
    assert min(seconds(made) for _ in range(3)) < 40.0 * min(seconds(others) for _ in range(3))


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("rows", [0, 1, 7, 3000])
def test_keys_are_grouped_as_by_numpy(kind, rows, monkeypatch):
    monkeypatch.setenv("GPUOLS_NUM_THREADS", "3")
    monkeypatch.setattr(labels, "_LEAST", 700)
    keys = KEYS[kind](np.random.default_rng(0), max(rows, 9))
    keys = tuple(key[:rows] for key in keys) if kind == "two" else keys[:rows]
    found, expected = (group_by_keys(keys, rows, compiled=how) for how in (True, False))
    np.testing.assert_array_equal(found.counts, expected.counts)
    assert (found.order is None) == (expected.order is None)
    if found.order is not None:
        assert found.order.dtype == expected.order.dtype
        np.testing.assert_array_equal(found.order, expected.order)
    np.testing.assert_array_equal(found.first, expected.first)
    mine, theirs = (keys if kind == "two" else (keys,) for keys in (found.keys, expected.keys))
    for key, same in zip(mine, theirs, strict=True):
        assert key.dtype == same.dtype
        np.testing.assert_array_equal(key, same)

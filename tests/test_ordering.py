"""Keys on a device against the same keys in host memory."""

import foreign
import machines
import numpy as np
import pytest
from agreement import disagreements
from machines import in_order, upload

import gpuols
from gpuols import DeviceError, InputError, InputTypeError, Status
from gpuols.engines import device, ordering
from gpuols.engines.transfer import to_host
from gpuols.keys import group_by_keys, group_by_offsets
from gpuols.places import place_of

machine, pretended = machines.machine, machines.pretended
pytestmark = pytest.mark.usefixtures("machine")

NUMBERS = ("params", "bse", "ssr", "error_bound", "status", "nobs")


def shuffled(values, rows=200, seed=0):
    """Rows that hold every one of some values, in no order."""
    return np.random.default_rng(seed).permutation(np.resize(values, rows))


def check_alike(groups):
    """Compare groups of keys on the device with those of the same keys on the host."""
    several = isinstance(groups, tuple)
    columns = groups if several else (groups,)
    there = tuple(upload(column) for column in columns)
    expected = group_by_keys(groups, len(columns[0]))
    found = group_by_keys(there if several else there[0], len(columns[0]))
    np.testing.assert_array_equal(found.counts, expected.counts)
    assert isinstance(found.counts, np.ndarray)
    assert (found.order is None) == (expected.order is None)
    if expected.order is not None:
        assert place_of(found.order) == "cuda:0"
        np.testing.assert_array_equal(to_host(found.order), expected.order)
    both = zip(*(g.keys if several else (g.keys,) for g in (found, expected)), strict=True)
    for mine, theirs in both:
        assert isinstance(mine, np.ndarray)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
        assert not np.signbit(mine[mine == 0]).any()


@in_order
@pytest.mark.parametrize("dtype", [f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)])
def test_integers_to_their_limits(dtype):
    info = np.iinfo(dtype)
    check_alike(
        shuffled(np.array([info.min, info.min + 1, 0, 1, 77, info.max - 1, info.max], dtype))
    )


@in_order
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_to_their_limits_with_both_zeros_and_any_nan(dtype):
    info = np.finfo(dtype)
    least = info.smallest_subnormal
    values = [-np.inf, info.min, -1.5, -info.tiny, -least, -0.0, 0.0, least, info.tiny, 1, np.inf]
    nans = np.array([np.nan, -np.nan], dtype)
    bits = nans.view(f"i{nans.itemsize}")
    bits[0] += 1  # a NaN of another kind
    check_alike(shuffled(np.concatenate([np.array(values, dtype), nans])))
    check_alike(nans)


@in_order
def test_truths_and_strided_keys():
    check_alike(shuffled(np.array([True, False, False])))
    check_alike(shuffled(np.arange(7.0))[::-3])
    check_alike(shuffled(np.array([True, False, True]))[::2])


@in_order
def test_several_keys_count_from_the_first():
    rng = np.random.default_rng(1)
    for rows in (1, 40, 300):
        keys = (
            rng.integers(0, 3, rows),
            rng.choice([0.5, -0.0, np.nan], rows),
            rng.random(rows) < 0.5,
        )
        check_alike(keys)
        check_alike(keys[:1])
        check_alike(tuple(key[np.lexsort(keys[::-1])] for key in keys))


@in_order
@pytest.mark.parametrize("keys", [[], [3], [2, 2, 2], [1, 1, 2, 5], [1, 2, 1]], ids=str)
def test_few_rows_and_rows_in_order(keys):
    check_alike(np.array(keys, np.int32))
    check_alike((np.array(keys, np.int64), np.array(keys, np.float32)))


@in_order
def test_rows_beyond_an_int_are_numbered_by_longer_ones(monkeypatch):
    keys = upload(np.array([2, 1, 2, 1]))
    assert group_by_keys(keys, 4).order.dtype == np.int32
    monkeypatch.setattr(ordering, "_MOST_ROWS", 3)
    found = group_by_keys(keys, 4).order
    assert (found.dtype, to_host(found).tolist()) == (np.int64, [1, 3, 0, 2])


@in_order
def test_the_order_is_not_copied_to_the_host(pretended):
    rows, groups = 20_000, 30
    rng = np.random.default_rng(0)
    keys, X = upload(rng.integers(0, groups, rows)), upload(rng.normal(size=(rows, 2)))
    y = upload(rng.normal(size=rows))
    del pretended.downloads[:], pretended.uploads[:]
    for solver in ("auto", "accurate"):
        result = gpuols.fit_groups(X, y, keys, solver=solver)
        assert result.keys.tolist() == list(range(groups))
    assert sum(pretended.downloads) < rows
    assert sum(pretended.uploads) < rows


@in_order
@pytest.mark.parametrize("keys_there", [False, True], ids=["keys-host", "keys-device"])
@pytest.mark.parametrize("rows_there", [False, True], ids=["rows-host", "rows-device"])
def test_keys_and_rows_may_be_anywhere(keys_there, rows_there):
    rng = np.random.default_rng(3)
    sizes = (3, 5, 40, 300, 1)
    keys = rng.permutation(np.repeat([0.5, 2.0, np.nan, -1.0, 7.0], sizes))
    X, weights = rng.normal(size=(len(keys), 2)), rng.uniform(0.5, 2.0, len(keys))
    y = rng.normal(size=(len(keys), 2))
    X[keys == 2.0, 1] = X[keys == 2.0, 0]
    y[7, 0] = np.nan
    data = {"X": X, "y": y, "weights": weights}
    given = {name: upload(a) for name, a in data.items()} if rows_there else data
    groups = upload(keys) if keys_there else keys
    for options in ({}, {"missing": "drop"}, {"solver": "accurate"}):
        expected = gpuols.fit_groups(**given, groups=keys, device="cuda", **options)
        found = gpuols.fit_groups(**given, groups=groups, device="cuda", **options)
        np.testing.assert_array_equal(found.keys, [-1.0, 0.5, 2.0, 7.0, np.nan])
        for name in NUMBERS:
            np.testing.assert_array_equal(*(to_host(getattr(r, name)) for r in (found, expected)))
        assert (to_host(found.status)[2] == int(Status.RANK_DEFICIENT)).all()
        assert disagreements(found, gpuols.fit_groups(**data, groups=keys, **options)) == []
    host = gpuols.fit_groups(**data, groups=groups, device="cpu:numpy")
    assert disagreements(host, gpuols.fit_groups(**data, groups=keys, device="cpu:numpy")) == []


@in_order
def test_keys_of_which_some_are_on_the_device():
    a, b = shuffled(np.arange(3)), shuffled(np.arange(4.0), seed=1)
    found, expected = group_by_keys((upload(a), b), 200), group_by_keys((a, b), 200)
    np.testing.assert_array_equal(found.order, expected.order)
    for mine, theirs in zip(found.keys, expected.keys, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@in_order
def test_offsets_may_be_on_the_device():
    offsets = np.array([0, 3, 3, 10], np.int32)
    assert group_by_offsets(upload(offsets), 10).counts.tolist() == [3, 0, 7]
    with pytest.raises(InputError, match=r"offsets: got 0 first and 10 last.* 11 "):
        group_by_offsets(upload(offsets), 11)


@in_order
@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        (np.zeros((4, 1)), InputError, "groups: got 2 dimensions"),
        (np.zeros(3), InputError, "groups: got 3 keys.* 4, one a row"),
        (np.zeros(4, complex), InputTypeError, "groups: got dtype complex128"),
    ],
)
def test_keys_refused(keys, error, words):
    with pytest.raises(error, match=words):
        group_by_keys(upload(keys), 4)


def test_no_memory_for_the_order_is_an_error(pretended):
    keys = upload(shuffled(np.arange(9), 10_000))
    device.release()
    before, pretended.memory = pretended.memory, pretended.taken(0) + 100_000
    try:
        with pytest.raises(DeviceError, match=r"groups: got 10,000 keys, which the free memory"):
            group_by_keys(keys, 10_000)
    finally:
        pretended.memory = before


@pytest.mark.parametrize("kind", foreign.KINDS)
def test_keys_of_any_library_and_any_device(monkeypatch, kind):
    keys = shuffled(np.array([2, 5, 3]), 60)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    expected = gpuols.fit_groups(X, y, keys)
    with foreign.two_devices(monkeypatch):
        for number in (0, 1):
            with device.on(number):
                there = foreign.MAKERS[kind](device.upload(keys))
            rows = foreign.MAKERS[kind](device.upload(X)), foreign.MAKERS[kind](device.upload(y))
            found = gpuols.fit_groups(*rows, there)
            assert found.keys.tolist() == [2, 3, 5]
            assert disagreements(found, expected) == []

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpuols.errors import InputError, InputTypeError
from gpuols.keys import codes_of, group_by_keys, group_by_offsets
from gpuols.numerics import ranks as module

STRING = np.dtypes.StringDType()


def frozen(values, dtype=None):
    array = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def draw(values, n=300, seed=0):
    return frozen(values[np.random.default_rng(seed).integers(0, len(values), n)])


def codes_from(grouping, n_rows):
    """The code of each row, from counts and order alone."""
    codes = np.empty(n_rows, np.int64)
    order = np.arange(n_rows) if grouping.order is None else grouping.order
    codes[order] = np.repeat(np.arange(grouping.counts.size), grouping.counts)
    return codes


def check_grouping(groups, expected_codes, expected_keys=None):
    """Compare with the expected codes; the order must be their stable sort."""
    n_rows = len(expected_codes)
    grouping = group_by_keys(groups, n_rows)
    order = np.argsort(expected_codes, kind="stable")
    if (order == np.arange(n_rows)).all():
        assert grouping.order is None
    else:
        assert grouping.order.dtype.kind == "i"
        np.testing.assert_array_equal(grouping.order, order)
    assert grouping.counts.dtype == np.int64
    np.testing.assert_array_equal(grouping.counts, np.bincount(expected_codes))
    if expected_keys is not None:
        assert grouping.keys.dtype == expected_keys.dtype
        np.testing.assert_array_equal(grouping.keys, expected_keys)
    np.testing.assert_array_equal(codes_of(grouping.keys, groups), expected_codes)
    return grouping


def check_against_unique(array):
    keys, codes = np.unique(array, return_inverse=True)
    return check_grouping(array, codes, keys)


INTEGERS = [f"{order}{kind}{size}" for order in "<>" for kind in "iu" for size in (1, 2, 4, 8)]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_to_their_limits(dtype):
    info = np.iinfo(dtype)
    values = np.array([info.min, info.min + 1, 0, 1, 2, 77, info.max - 1, info.max], dtype)
    array = draw(values).astype(dtype)
    keys, codes = np.unique(array, return_inverse=True)
    grouping = check_grouping(array, codes)
    np.testing.assert_array_equal(grouping.keys, keys)


@pytest.mark.parametrize(
    "values",
    [
        np.array([False, True]),
        np.array([-np.inf, -1e300, -2.5, -5e-324, 0.0, 5e-324, 1.0, np.inf]),
        np.array([-np.inf, -2.5, 0.0, 1.0, 1.1, np.inf], np.float32),
        np.array([-np.inf, -2.5, 0.0, 1.0, np.inf], np.float16),
        1 + np.finfo(np.longdouble).eps * np.arange(5, dtype=np.longdouble),
        np.array(["1969-12-31", "1970-01-01", "2024-02-29"], "M8[D]"),
        np.array([-(2**62), -1, 0, 1, 2**62], "M8[ns]"),
        np.array([-(2**62), -1, 0, 1, 2**62], "m8[us]"),
        np.array(["", "a", "aa", "ab", "b", "Z"]),
        np.array(["ab", "é", "éa", "zürich", "zürich-west-longer-than-a-word"]),
        np.array(["a", "日本", "日", "日本語です長い", "z"]),
        np.array(["a", "😀", "😀b", "日", "\uffff"]),
        np.array([b"", b"a", b"ab", b"abcdefgh", b"abcdefghi", b"\xff", b"\x7f"]),
        np.array(["x", "longer than sixteen bytes", "", "é"], STRING),
        np.array(["b", "a", "c"], object),
        np.array([3, 1.5, True, Decimal("2.5")], object),
        np.array([dt.date(2020, 1, 2), dt.date(1999, 1, 1)], object),
    ],
    ids=lambda values: f"{values.dtype}-{values.size}",
)
def test_other_dtypes_as_numpy_sorts_them(values):
    check_against_unique(draw(values))


def test_big_endian_floats_and_strings():
    for values in (np.array([2.5, -1.0, 0.0], ">f8"), np.array(["ā", "a", "日"], ">U3")):
        array = frozen(values[[0, 1, 2, 1, 0]], values.dtype)
        assert array.dtype.byteorder == ">"
        keys, codes = np.unique(array, return_inverse=True)
        np.testing.assert_array_equal(check_grouping(array, codes).keys, keys)


def test_strided_columns():
    table = frozen(np.random.default_rng(1).integers(-5, 5, (100, 3)))
    check_against_unique(table[:, 1])
    check_against_unique(table[::-2, 2].astype(str)[::3])


def test_zero_has_no_sign():
    grouping = check_grouping(frozen([0.0, -1.0, -0.0]), [1, 0, 1])
    assert not np.signbit(grouping.keys[1])
    grouping = check_grouping(frozen([-0.0, 1.0]), [0, 1])
    assert not np.signbit(grouping.keys[0])


def test_every_nan_is_one_key_and_the_last():
    payloads = frozen([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001], np.uint64)
    array = np.concatenate([payloads.view(np.float64), [np.inf, -np.inf]])
    grouping = check_grouping(array, [2, 2, 2, 1, 0])
    np.testing.assert_array_equal(grouping.keys, [-np.inf, np.inf, np.nan])
    signalling = frozen([0x7F800001, 0, 0xFF800001], np.uint32).view(np.float32)
    assert check_grouping(signalling, [1, 0, 1]).keys.dtype == np.float32


@pytest.mark.parametrize("dtype", ["M8[ns]", "M8[D]", "m8[s]"])
def test_nat_is_the_last_key(dtype):
    array = frozen(["NaT", 5, "NaT", -5], dtype)
    check_grouping(array, [2, 1, 2, 0], np.array([-5, 5, "NaT"], dtype))
    extreme = frozen([-(2**63) + 1, "NaT", 2**63 - 1], "m8[ns]")
    check_grouping(extreme, [0, 2, 1])


def test_nulls_among_objects_are_one_key():
    values = [None, "b", float("nan"), pd.NA, "a", pd.NaT, np.float64("nan"), np.datetime64("NaT")]
    grouping = check_grouping(frozen(values, object), [2, 1, 2, 2, 0, 2, 2, 2])
    assert grouping.keys.tolist() == ["a", "b", None]
    assert group_by_keys([np.nan, None], 2).keys.tolist() == [None]
    assert frozen(values, object)[2] is not None


def test_stringdtype_with_nulls():
    dtype = np.dtypes.StringDType(na_object=np.nan)
    grouping = check_grouping(frozen(["b", np.nan, "a", np.nan], dtype), [1, 2, 0, 2])
    assert grouping.keys.dtype == dtype
    assert grouping.keys[:2].tolist() == ["a", "b"]
    assert np.isnan(grouping.keys[2])


COLUMNS = [
    (pd.Series(["b", None, "a", "b"]), ["a", "b", None]),
    (pd.Series(["b", None, "a", "b"], dtype="string"), ["a", "b", None]),
    (pd.Series(["b", None, "a", "b"], dtype="string[pyarrow]"), ["a", "b", None]),
    (pd.Series(["b", None, "a", "b"], dtype=object), ["a", "b", None]),
    (pd.Categorical(["b", None, "a", "b"], categories=["b", "a"]), ["a", "b", None]),
    (pd.Series(["b", None, "a", "b"], dtype="category"), ["a", "b", None]),
    (pd.Categorical([2, None, 1, 2]), [1, 2, np.nan]),
    (pd.array([2, None, 1, 2], dtype="Int64"), [1, 2, np.nan]),
    (pd.Series([2**60 + 1, None, 2**60, 2**60 + 1], dtype="Int64"), [2**60, 2**60 + 1, None]),
    (pd.Series([True, None, False, True], dtype="boolean"), [False, True, None]),
    (pd.Index([2.5, np.nan, 1.5, 2.5]), [1.5, 2.5, np.nan]),
    (pl.Series(["b", None, "a", "b"]), ["a", "b", None]),
    (pl.Series(["b", None, "a", "b"], dtype=pl.Categorical), ["a", "b", None]),
    (pl.Series([2, None, 1, 2]), [1, 2, np.nan]),
    (pl.Series([2**60 + 1, None, 2**60, 2**60 + 1]), [2**60, 2**60 + 1, None]),
    (pl.Series([2.0**60, None, 1.5, 2.0**60]), [1.5, 2.0**60, np.nan]),
    (pl.Series([True, None, False, True]), [False, True, None]),
    (pa.array(["b", None, "a", "b"]), ["a", "b", None]),
    (pa.array(["b", None, "a", "b"]).dictionary_encode(), ["a", "b", None]),
    (pa.chunked_array([["b", None], ["a", "b"]]), ["a", "b", None]),
    (pa.chunked_array([["b", None], ["a", "b"]]).dictionary_encode(), ["a", "b", None]),
    (pa.array([2, None, 1, 2]), [1, 2, np.nan]),
    (pa.array([2**60 + 1, None, 2**60, 2**60 + 1]), [2**60, 2**60 + 1, None]),
    (pa.chunked_array([[2**60 + 1, None], [2**60, 2**60 + 1]]), [2**60, 2**60 + 1, None]),
    (["b", None, "a", "b"], ["a", "b", None]),
    (["b", float("nan"), "a", "b"], ["a", "b", None]),
    ([2, None, 1, 2], [1, 2, None]),
    ([2, float("nan"), 1, 2], [1, 2, np.nan]),
    ([2**60 + 1, float("nan"), 2**60, 2**60 + 1], [2**60, 2**60 + 1, None]),
]


@pytest.mark.parametrize(("column", "keys"), COLUMNS)
def test_columns_of_other_libraries_and_lists(column, keys):
    grouping = check_grouping(column, [1, 2, 0, 1])
    assert grouping.keys[:2].tolist() == keys[:2]
    last = grouping.keys[2]
    assert last is None if keys[2] is None else np.isnan(last)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.to_datetime(["2021-01-01", None, "2020-01-01"])),
        pd.Series(pd.to_datetime(["2021-01-01", None, "2020-01-01"], utc=True)),
        pl.Series([dt.date(2021, 1, 1), None, dt.date(2020, 1, 1)]),
        pa.array([dt.datetime(2021, 1, 1), None, dt.datetime(2020, 1, 1)]),
        [dt.date(2021, 1, 1), None, dt.date(2020, 1, 1)],
    ],
    ids=lambda column: type(column).__name__,
)
def test_dates_with_nulls(column):
    grouping = check_grouping(column, [1, 2, 0])
    assert [str(key)[:10] for key in grouping.keys[:2]] == ["2020-01-01", "2021-01-01"]


class OnlyToNumpy:
    def to_numpy(self):
        return np.array([7, 3, 7])


class OnlyArray:
    def __array__(self, dtype=None, copy=None):
        return np.array([7, 3, 7])


@pytest.mark.parametrize("column", [OnlyToNumpy(), OnlyArray()])
def test_whatever_converts_itself(column):
    check_grouping(column, [1, 0, 1], np.array([3, 7]))


def test_several_keys_sort_lexicographically():
    first = frozen(["b", "a", "b", "a", "b"])
    second = frozen([1.5, np.nan, -1.5, 2.0, 1.5])
    grouping = check_grouping((first, second), [3, 1, 2, 0, 3])
    assert grouping.keys[0].tolist() == ["a", "a", "b", "b"]
    np.testing.assert_array_equal(grouping.keys[1], [2.0, np.nan, -1.5, 1.5])


def test_nulls_of_several_object_keys_are_shown_as_none():
    first = frozen([np.nan, "a", pd.NA, None], object)
    second = frozen(["x", pd.NA, "w", "x"], object)
    grouping = check_grouping((first, second), [2, 0, 1, 2])
    assert grouping.keys[0].tolist() == ["a", None, None]
    assert grouping.keys[1].tolist() == [None, "w", "x"]


def test_objects_may_be_tuples():
    column = np.empty(3, object)
    column[:] = [None, (2, "b"), (1, "a")]
    assert check_grouping(column, [2, 1, 0]).keys.tolist() == [(1, "a"), (2, "b"), None]


def test_two_full_range_words_with_a_constant_one():
    full = frozen([0, 2**64 - 1, 5, 0], np.uint64)
    constant = frozen([7, 7, 7, 7])
    for groups in ((full, constant), (constant, full)):
        check_grouping(groups, [0, 2, 1, 0])


def test_a_tuple_of_one_key_gives_a_tuple():
    grouping = check_grouping((frozen([5, 3, 5]),), [1, 0, 1])
    assert isinstance(grouping.keys, tuple)
    assert grouping.keys[0].tolist() == [3, 5]


@pytest.mark.parametrize("n_wide", [1, 2, 3, 4])
def test_several_wide_keys_that_fit_no_integer(n_wide):
    rng = np.random.default_rng(n_wide)
    wide = rng.integers(-(2**63), 2**63, 40)
    columns = [draw(wide, 2000, seed) for seed in range(n_wide)]
    columns.insert(n_wide // 2, frozen(rng.integers(0, 9, 2000)))
    table = np.stack(columns, axis=1)
    keys, codes = np.unique(table, axis=0, return_inverse=True)
    grouping = check_grouping(tuple(columns), codes)
    np.testing.assert_array_equal(np.stack(grouping.keys, axis=1), keys)


def test_rows_in_group_order_need_no_order():
    assert group_by_keys(frozen([1, 1, 2, 5]), 4).order is None
    assert group_by_keys((frozen(["a", "a", "b"]), frozen([1, 2, 0])), 3).order is None
    assert group_by_keys(frozen([1, 5, 2, 5]), 4).order.tolist() == [0, 2, 1, 3]


def test_more_groups_than_sixteen_bits_number():
    n_rows = 150_000
    array = frozen(np.random.default_rng(2).integers(0, 2**62, n_rows) // 2**45 * 3)
    assert np.unique(array).size > 65_536
    check_against_unique(array)


def colliding(multiplier, n, seed):
    """Keys whose products with the multiplier are small: they all hash to slot 0."""
    inverse = pow(multiplier, -1, 2**64)
    products = np.random.default_rng(seed).integers(1, 2**20, n, dtype=np.uint64)
    return products * np.uint64(inverse)


def count_rounds(monkeypatch):
    rounds, hash_round = [], module._hash

    def counted(values, *args):
        rounds.append(values.size)
        return hash_round(values, *args)

    monkeypatch.setattr(module, "_hash", counted)
    return rounds


@pytest.mark.parametrize("n_multipliers", [1, 2, 4])
def test_collisions_go_to_further_rounds(monkeypatch, n_multipliers):
    rounds = count_rounds(monkeypatch)
    multipliers = module._MULTIPLIERS[:n_multipliers]
    values = np.concatenate([colliding(m, 500, seed) for seed, m in enumerate(multipliers)])
    check_against_unique(draw(values, 40_000))
    assert len(rounds) >= 2
    assert rounds[1] > 40_000 // n_multipliers * 0.9


def test_collisions_in_every_round_end_in_a_sort(monkeypatch):
    multiplier = module._MULTIPLIERS[0]
    monkeypatch.setattr(module, "_MULTIPLIERS", (multiplier,) * 3)
    rounds = count_rounds(monkeypatch)
    check_against_unique(draw(colliding(multiplier, 500, 0), 40_000))
    assert len(rounds) % 3 == 0
    assert rounds[2] > 39_000


def test_nearly_distinct_keys_are_sorted(monkeypatch):
    rounds = count_rounds(monkeypatch)
    check_against_unique(frozen(np.random.default_rng(3).integers(-(2**63), 2**63, 50_000)))
    assert rounds == []


@pytest.mark.parametrize("period", [11, 1000])
def test_long_columns_fill_the_table_from_a_sample(period):
    rng = np.random.default_rng(4)
    values = rng.integers(-(2**63), 2**63, 11 * period)
    array = frozen(np.resize(values, (1 << 20) + 12_345))
    check_against_unique(array)


def test_a_late_rare_key_is_found():
    array = np.resize(np.array([2**60, -(2**60), 5]), (1 << 20) + 50)
    array[-2] = 7
    assert group_by_keys(frozen(array), array.size).counts[2] == 1


NUMBERS = st.floats(width=32) | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0.0, -0.0])
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), min_size=1))
@example([2**63 - 1, -(2**63)])
def test_any_integers(values):
    check_against_unique(frozen(values, np.int64))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats() | st.sampled_from([0.0, -0.0, np.nan]), min_size=1))
def test_any_floats(values):
    check_against_unique(frozen(values, np.float64))


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, min_size=1))
def test_any_strings_however_stored(values):
    codes = check_against_unique(frozen(values, str)).counts
    for dtype in (object, STRING):
        np.testing.assert_array_equal(check_against_unique(frozen(values, dtype)).counts, codes)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 2), TEXT, st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_any_tuples_sort_as_python_sorts_them(rows):
    distinct = sorted(set(rows))
    codes = [distinct.index(row) for row in rows]
    columns = tuple(frozen(column) for column in zip(*rows, strict=True))
    grouping = check_grouping(columns, np.array(codes))
    assert list(zip(*(key.tolist() for key in grouping.keys), strict=True)) == distinct


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS | st.none() | st.just(pd.NA), min_size=1))
def test_any_mixture_of_numbers_and_nulls(values):
    def is_null(value):
        return value is None or value is pd.NA or value != value

    distinct = sorted({value for value in values if not is_null(value)})
    codes = [len(distinct) if is_null(value) else distinct.index(value) for value in values]
    grouping = check_grouping(values, np.array(codes))
    assert grouping.keys[: len(distinct)].tolist() == distinct


def test_no_rows():
    for groups in ([], frozen([], "U3"), frozen([], object), ([], frozen([], "M8[D]"))):
        grouping = group_by_keys(groups, 0)
        assert grouping.counts.tolist() == []
        assert grouping.counts.dtype == np.int64
        assert grouping.order is None
        assert np.shape(grouping.keys)[-1] == 0
        assert codes_of(grouping.keys, groups).tolist() == []
    assert codes_of(group_by_keys([], 0).keys, [1, 2]).tolist() == [-1, -1]
    assert codes_of(frozen(["a"]), []).dtype == np.int64


@pytest.mark.parametrize(
    ("known", "rows", "codes"),
    [
        ([2, 4], [4, 3, 2, 4], [1, -1, 0, 1]),
        ([2, 4], [4.0, 2.5, 2.0, np.nan], [1, -1, 0, -1]),
        ([2.0, 4.5], [4, 2], [-1, 0]),
        ([2**53 + 1, 2**60 + 1], [float(2**53), 2.0**60], [-1, -1]),
        (frozen([2**63, 2**64 - 1], np.uint64), frozen([-1, -(2**63)], np.int64), [-1, -1]),
        (frozen([-1, 5], np.int64), frozen([2**64 - 1, 5], np.uint64), [-1, 1]),
        (frozen([0, 1], np.int8), frozen([1, 256, 0]), [1, -1, 0]),
        ([False, True], [1, 0, 2], [1, 0, -1]),
        ([1, 2], ["1", "2"], [-1, -1]),
        (["1", "2"], [1, 2], [-1, -1]),
        (["abc", "b"], ["abcdefg", "abc", "b", ""], [-1, 0, 1, -1]),
        (["abcdefghi"], ["abc", "abcdefghi"], [-1, 0]),
        (["a", "b"], frozen(["b", None, "a"], object), [1, -1, 0]),
        (frozen(["a", None], object), frozen(["b", "a"]), [-1, 0]),
        (frozen(["a", None], object), pl.Series(["b", None, "a"]), [-1, 1, 0]),
        (frozen(["a", None], object), [np.nan, np.nan], [1, 1]),
        (["a"], frozen(["a", "b"], STRING), [0, -1]),
        ([1.0, np.nan], [None, 1.0], [1, 0]),
        (frozen(["2020", "NaT"], "M8[D]"), frozen(["2021", "NaT", "2020"], "M8[ns]"), [-1, 1, 0]),
        (frozen(["2020"], "M8[ns]"), frozen(["2020", "2021"], "M8[s]"), [0, -1]),
        (frozen([5], "m8[s]"), frozen([5000, 5], "m8[ms]"), [0, -1]),
        (frozen([5], "m8[s]"), [5], [-1]),
        (frozen([5], "M8[ns]"), [5], [-1]),
        (frozen([5], "M8[s]"), frozen([5], "m8[s]"), [-1]),
        ([-1.0, 0.0], [-0.0], [1]),
    ],
)
def test_codes_of_matches_by_value(known, rows, codes):
    keys = group_by_keys(known, len(known)).keys
    found = codes_of(keys, rows)
    assert found.dtype == np.int64
    assert found.tolist() == codes


def test_codes_of_several_keys():
    keys = group_by_keys((["b", "a", "b"], [1, 1, None]), 3).keys
    found = codes_of(keys, (["b", "b", "a", "a", "long"], [1.0, np.nan, 1, 2, 1]))
    assert found.tolist() == [1, 2, 0, -1, -1]


@pytest.mark.parametrize(
    ("offsets", "n_rows", "counts"),
    [
        ([0, 2, 2, 5], 5, [2, 0, 3]),
        (frozen([0, 1, 3], np.uint8), 3, [1, 2]),
        (pa.array([0, 4]), 4, [4]),
        ([0], 0, []),
        ([0, 0, 0], 0, [0, 0]),
    ],
)
def test_offsets(offsets, n_rows, counts):
    grouping = group_by_offsets(offsets, n_rows)
    assert grouping.counts.tolist() == counts
    assert grouping.counts.dtype == np.int64
    assert grouping.keys is None
    assert grouping.order is None


@pytest.mark.parametrize(
    ("offsets", "error", "words"),
    [
        ([0.0, 5.0], InputTypeError, "float64"),
        ([False, True], InputTypeError, "bool"),
        ([1, 5], InputError, "1 first and 5 last"),
        ([0, 4], InputError, r"expected 0 first and 5 \(the rows\) last"),
        ([], InputError, "empty"),
        ([0, 3, 2, 5], InputError, "2 after 3 at position 2"),
        (frozen([0, 2**64 - 1, 5], np.uint64), InputError, "at position 1"),
        ([[0, 5]], InputError, "2 dimensions"),
    ],
)
def test_offsets_refused(offsets, error, words):
    with pytest.raises(error, match=words) as caught:
        group_by_offsets(offsets, 5)
    assert caught.value.argument == "offsets"


@pytest.mark.parametrize(
    ("groups", "error", "argument", "words"),
    [
        ([1, 2], InputError, "groups", "got 2 keys, expected 3, one a row"),
        (([1, 2, 3], [1, 2, 3, 4]), InputError, "groups[1]", "got 4 keys, expected 3"),
        ([[1], [2], [3]], InputError, "groups", "2 dimensions"),
        ("abc", InputError, "groups", "0 dimensions"),
        ((1, 2, 3), InputError, "groups[0]", "0 dimensions"),
        (pd.DataFrame({"a": [1, 2, 3]}), InputError, "groups", "2 dimensions"),
        ((), InputError, "groups", "empty tuple"),
        ([1j, 2, 3], InputTypeError, "groups", "complex128"),
        (np.zeros(3, "i4,f4"), InputTypeError, "groups", "fields"),
        (np.ma.array([1, 2, 3], mask=[0, 1, 0]), InputTypeError, "groups", "masked"),
        ([[1], [2, 3], []], InputTypeError, "groups", "list"),
        ([1, "a", 2.5], InputTypeError, "groups", "'<' not supported"),
        (frozen([1, "a", None], object), InputTypeError, "groups", "convert the keys to one type"),
        (frozen([{1}, {2}, {3}], object), InputTypeError, "groups", "unhashable"),
    ],
)
def test_keys_refused(groups, error, argument, words):
    with pytest.raises(error, match=words) as caught:
        group_by_keys(groups, 3)
    assert caught.value.argument == argument


def test_codes_of_refuses_other_keys():
    keys = group_by_keys(([1, 2], ["a", "b"]), 2).keys
    with pytest.raises(InputError, match=r"got 1 key\(s\), expected 2, as in the fit"):
        codes_of(keys, [1, 2])
    with pytest.raises(InputError, match=r"groups\[1\]: got 1 keys, expected 2"):
        codes_of(keys, ([1, 2], ["a"]))

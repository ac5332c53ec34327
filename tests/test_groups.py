"""Groups of a long table are the regressions of their rows, to the bit."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gpuols
from gpuols import InputError, InputTypeError, Status

STATISTICS = (
    *("params", "bse", "tvalues", "pvalues", "log10_pvalues", "normalized_cov"),
    *("ssr", "scale", "centered_tss", "uncentered_tss", "rsquared", "rsquared_adj"),
    *("fvalue", "f_pvalue", "llf", "aic", "bic", "nobs", "df_model", "df_resid"),
    *("rank", "status", "error_bound"),
)


def frozen(values, dtype=None):
    array = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def normal(*shape, seed=0):
    return frozen(np.random.default_rng(seed).normal(size=shape))


def shuffled(sizes, seed=0):
    """A key a row, unsorted, for groups of the given sizes; their keys are 10, 20, ..."""
    keys = np.repeat(10 * np.arange(1, len(sizes) + 1), sizes)
    return frozen(np.random.default_rng(seed).permutation(keys))


def assert_same_bits(got, want):
    for name in STATISTICS:
        a, b = np.asarray(getattr(got, name)), np.asarray(getattr(want, name))
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        assert a.tobytes() == b.tobytes(), name


def one_by_one(X, y, keys, weights=None, ridge=0.0, **options):
    """Fit each group alone, with gpuols.fit and the NumPy engine."""
    options = {"device": "cpu:numpy", **options}
    for g, key in enumerate(np.unique(keys)):
        rows = keys == key
        w = None if weights is None else weights[rows]
        penalty = ridge if np.ndim(ridge) == 0 else ridge[g]
        if y.ndim == 1:
            yield gpuols.fit(X[rows], y[rows], weights=w, ridge=penalty, **options)
        else:
            w = None if w is None else w[None]
            yield gpuols.fit(X[rows][None], y[rows][None], weights=w, ridge=penalty, **options)[0]


def check(X, y, keys, **options):
    got = gpuols.fit_groups(X, y, keys, device="cpu:numpy", **options)
    np.testing.assert_array_equal(got.keys, np.unique(keys))
    assert len(got) == len(got.keys)
    for g, want in enumerate(one_by_one(X, y, keys, **options)):
        assert_same_bits(got[g], want)
    return got


SIZES = {
    "mixed": [7, 1, 30, 7, 300, 2, 5, 3, 7, 64, 4],
    "long": [5000, 3, 4096, 4097, 5000, 9000],
    "alike": [12] * 40,
    "lone rows": [1] * 6,
    "one": [9],
}


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("responses", [(), (1,), (3,), (130,)])
@pytest.mark.parametrize("sizes", SIZES)
def test_groups_are_fits_of_their_rows_to_the_bit(sizes, responses, weighted, intercept):
    keys = shuffled(SIZES[sizes])
    N = len(keys)
    if N > 10_000 and responses == (130,):
        responses = (20,)
    X, y = normal(N, 3), normal(N, *responses, seed=1)
    weights = frozen(np.abs(normal(N, seed=2)) * (normal(N, seed=3) > -1)) if weighted else None
    check(X, y, keys, weights=weights, add_intercept=intercept)


@pytest.mark.parametrize("k", [0, 1, 2, 16, 17, 40])
def test_any_number_of_columns_is_the_same_to_the_bit(k):
    keys = shuffled([50, 20, 50, 41, 1, 60])
    check(normal(len(keys), k), normal(len(keys), seed=1), keys, add_intercept=True)


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_neighbours_and_chunks_never_reach_the_bits(batch_size):
    keys = shuffled([20] * 30 + [33] * 7)
    X, y = normal(len(keys), 3), normal(len(keys), seed=1)
    want = gpuols.fit_groups(X, y, keys, add_intercept=True)
    got = gpuols.fit_groups(X, y, keys, add_intercept=True, batch_size=batch_size)
    assert_same_bits(got, want)
    some = frozen(np.isin(keys, want.keys[::3]))
    assert_same_bits(gpuols.fit_groups(X[some], y[some], keys[some], add_intercept=True), want[::3])


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("lowest", [0.0, 0.5])
def test_a_ridge_for_each_group(lowest, intercept):
    keys = shuffled([12] * 9 + [30] * 4)
    ridge = frozen(np.r_[lowest, np.arange(1.0, 12.0), lowest])
    X, y = normal(len(keys), 3), normal(len(keys), 2, seed=1)
    check(X, y, keys, ridge=ridge, add_intercept=intercept)


def test_one_ridge_for_all_groups():
    keys = shuffled([12] * 9 + [30] * 4)
    check(normal(len(keys), 3), normal(len(keys), seed=1), keys, ridge=2.0)


@pytest.mark.parametrize("dtype", ["f4", "i8", "bool"])
def test_rows_of_other_dtypes(dtype):
    keys = shuffled([7, 30, 300, 64, 7])
    X, y = (frozen(a > 0.3 if dtype == "bool" else 9 * a, dtype) for a in normal(2, len(keys), 1))
    check(X, y[:, 0], keys, add_intercept=True)


@pytest.mark.parametrize("place", ["X", "y", "weights"])
def test_a_missing_value_flags_its_group_alone(place):
    keys = shuffled([20] * 5)
    rows = {"X": normal(100, 2), "y": normal(100, seed=1), "weights": np.ones(100)}
    rows[place] = rows[place].copy()
    rows[place][np.flatnonzero(keys == 30)[4]] = np.nan
    heavy = rows["weights"]
    got = gpuols.fit_groups(rows["X"], rows["y"], keys, weights=heavy, device="cpu:numpy")
    assert got.status.tolist() == [0, 0, Status.NONFINITE, 0, 0]
    want = list(one_by_one(rows["X"], rows["y"], keys, weights=rows["weights"]))
    for g in (0, 1, 3, 4):
        assert_same_bits(got[g], want[g])


def test_groups_with_no_more_rows_than_coefficients_say_so():
    keys = shuffled([1, 2, 3, 4])
    got = gpuols.fit_groups(normal(10, 1), normal(10, seed=1), keys, add_intercept=True)
    assert got.status.tolist() == [Status.TOO_FEW_ROWS, Status.TOO_FEW_ROWS, 0, 0]
    assert got.nobs.tolist() == [1, 2, 3, 4]
    assert np.isnan(got.params[0]).tolist() == [False, True]
    assert np.isfinite(got.params[1]).all()
    assert np.isnan(got.bse[1]).all()


def test_a_group_of_zero_weight_has_too_few_rows():
    keys = shuffled([20, 20])
    got = gpuols.fit_groups(normal(40, 2), normal(40, seed=1), keys, weights=keys == 10)
    assert got.status.tolist() == [0, Status.TOO_FEW_ROWS]
    assert got.nobs.tolist() == [20, 0]


KEYS = {
    "integers": [3, -1, 3, 7],
    "unsigned": frozen([2**64 - 1, 0, 2**64 - 1, 5], np.uint64),
    "bytes": frozen([b"b", b"a", b"b", b"cc"]),
    "booleans": frozen([True, False, True, True]),
    "floats": frozen([0.5, -0.0, 0.5, np.inf]),
    "half floats": frozen([0.5, -1, 0.5, 2], np.float16),
    "big-endian": frozen([3, -1, 3, 7], ">i4"),
    "strings": ["pear", "apple", "pear", "plum"],
    "variable strings": frozen(["pear", "apple", "pear", "plum"], np.dtypes.StringDType()),
    "dates": frozen(["2021-01-01", "2020-05-05", "2021-01-01", "2022-02-02"], "M8[D]"),
    "durations": frozen([3, 1, 3, 9], "m8[s]"),
    "objects": frozen(["b", "a", "b", "c"], object),
    "python dates": frozen([dt.date(2021, 1, i) for i in (2, 1, 2, 3)], object),
    "pandas strings": pd.Series(["b", "a", "b", "c"]),
    "pandas categories": pd.Series(["b", "a", "b", "c"], dtype="category"),
    "polars strings": pl.Series(["b", "a", "b", "c"]),
    "pyarrow strings": pa.chunked_array([["b", "a"], ["b", "c"]]),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys_of_every_dtype(case):
    keys = KEYS[case]
    X, y = normal(4, 1), normal(4, seed=1)
    got = gpuols.fit_groups(X, y, keys)
    spelt = np.asarray(keys)
    want = sorted(set(spelt.tolist()))
    assert got.keys.tolist() == want
    codes = frozen([want.index(key) for key in spelt.tolist()])
    assert_same_bits(got, gpuols.fit_groups(X, y, codes))
    fitted = got.predict(X, groups=keys)
    np.testing.assert_array_equal(fitted, X[:, 0] * got.params[codes, 0])


NULLS = {
    "floats": ([2.0, np.nan, 1.0, 2.0, np.nan], [1.0, 2.0]),
    "objects": (frozen(["b", None, "a", "b", None], object), ["a", "b"]),
    "mixed nulls": (frozen(["b", None, "a", "b", np.nan], object), ["a", "b"]),
    "dates": (frozen(["2021", "NaT", "2020", "2021", "NaT"], "M8[Y]"), None),
    "pandas Int64": (pd.Series([2, None, 1, 2, None], dtype="Int64"), [1, 2]),
    "polars": (pl.Series(["b", None, "a", "b", None]), ["a", "b"]),
}


@pytest.mark.parametrize("case", NULLS)
def test_rows_without_a_key_are_the_last_group(case):
    keys, spelt = NULLS[case]
    X, y = normal(5, 1), normal(5, seed=1)
    got = gpuols.fit_groups(X, y, keys)
    assert pd.isna(got.keys).tolist() == [False, False, True]
    if spelt is not None:
        assert got.keys[:2].tolist() == spelt
    codes = np.array([1, 2, 0, 1, 2])
    assert_same_bits(got, gpuols.fit_groups(X, y, codes))
    np.testing.assert_array_equal(got.predict(X, groups=keys), X[:, 0] * got.params[codes, 0])


def test_a_tuple_of_keys():
    states, years = ["NY", "CA", "NY", "NY", "CA"], [2021, 2020, 2020, 2021, 2020]
    X, y = normal(5, 1), normal(5, seed=1)
    got = gpuols.fit_groups(X, y, (states, years))
    assert isinstance(got.keys, tuple)
    assert [key.tolist() for key in got.keys] == [["CA", "NY", "NY"], [2020, 2020, 2021]]
    codes = np.array([2, 0, 1, 2, 0])
    assert_same_bits(got, gpuols.fit_groups(X, y, codes))
    np.testing.assert_array_equal(
        got.predict(X, groups=(states, years)), X[:, 0] * got.params[codes, 0]
    )


def test_a_tuple_of_one_key_gives_a_tuple_of_one():
    got = gpuols.fit_groups(normal(4, 1), normal(4), (["b", "a", "b", "a"],))
    assert isinstance(got.keys, tuple)
    assert [key.tolist() for key in got.keys] == [["a", "b"]]


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("responses", [(), (2,)])
def test_offsets_are_groups_of_sorted_rows(responses, intercept):
    sizes = [7, 1, 30, 7, 300, 2, 5000, 64]
    N, offsets = sum(sizes), frozen(np.r_[0, np.cumsum(sizes)])
    X, y, w = normal(N, 3), normal(N, *responses, seed=1), np.abs(normal(N, seed=2))
    got = gpuols.fit_groups(X, y, offsets=offsets, weights=w, add_intercept=intercept)
    keys = np.repeat(np.arange(len(sizes)), sizes)
    want = gpuols.fit_groups(X, y, keys, weights=w, add_intercept=intercept)
    assert got.keys is None
    assert_same_bits(got, want)


@pytest.mark.parametrize("dtype", ["i4", "u8", ">i8", "u1"])
def test_offsets_of_any_whole_dtype(dtype):
    X, y = normal(9, 1), normal(9, seed=1)
    want = gpuols.fit_groups(X, y, offsets=[0, 4, 9])
    assert_same_bits(gpuols.fit_groups(X, y, offsets=frozen([0, 4, 9], dtype)), want)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_empty_groups_have_too_few_rows(intercept, weighted):
    X, y = normal(20, 2), normal(20, seed=1)
    weights = np.ones(20) if weighted else None
    options = {"weights": weights, "add_intercept": intercept}
    got = gpuols.fit_groups(X, y, offsets=[0, 0, 10, 10, 10, 20, 20], **options)
    few = Status.TOO_FEW_ROWS
    assert got.status.tolist() == [few, 0, few, few, 0, few]
    assert got.nobs.tolist() == [0, 10, 0, 0, 10, 0]
    assert np.isnan(got.params[[0, 2, 3, 5]]).all()
    assert_same_bits(got[[1, 4]], gpuols.fit_groups(X, y, offsets=[0, 10, 20], **options))


@pytest.mark.parametrize("responses", [(), (2,)])
@pytest.mark.parametrize("by", [{"groups": []}, {"groups": ([], [])}, {"offsets": [0]}])
def test_a_table_without_rows_has_no_groups(by, responses):
    got = gpuols.fit_groups(normal(0, 2), normal(0, *responses), add_intercept=True, **by)
    assert len(got) == 0
    assert got.params.shape == (0, 3, *responses)
    assert got.status.shape == (0, *responses)
    assert got.check() is got
    assert "0 regressions" in repr(got)


def test_a_table_without_rows_may_have_empty_groups():
    got = gpuols.fit_groups(normal(0, 2), normal(0), offsets=[0, 0, 0])
    assert got.status.tolist() == [Status.TOO_FEW_ROWS] * 2


X, y = normal(6, 2), normal(6, seed=1)
FITTED = gpuols.fit_groups(X, y, ["a", "b"] * 3)
MISTAKES = {
    "both": (
        lambda: gpuols.fit_groups(X, y, [0] * 6, offsets=[0, 6]),
        InputError,
        "groups|groups and offsets|exactly one",
    ),
    "neither": (lambda: gpuols.fit_groups(X, y), InputError, "groups|neither|exactly one"),
    "too few keys": (
        lambda: gpuols.fit_groups(X, y, [0] * 5),
        InputError,
        "groups|5 keys|6, one a row",
    ),
    "too few keys in a tuple": (
        lambda: gpuols.fit_groups(X, y, ([0] * 6, [0] * 5)),
        InputError,
        "groups[1]|5 keys|6, one a row",
    ),
    "no keys": (lambda: gpuols.fit_groups(X, y, ()), InputError, "groups|empty tuple|at least one"),
    "keys in columns": (
        lambda: gpuols.fit_groups(X, y, np.zeros((6, 2))),
        InputError,
        "groups|2 dimensions|1 dimension|tuple",
    ),
    "one key": (
        lambda: gpuols.fit_groups(X, y, "abcdef"),
        InputError,
        "groups|0 dimensions|1 dimension",
    ),
    "complex keys": (
        lambda: gpuols.fit_groups(X, y, np.zeros(6, complex)),
        InputTypeError,
        "groups|complex128|order|convert",
    ),
    "keys without an order": (
        lambda: gpuols.fit_groups(X, y, np.array(["a", 1] * 3, object)),
        InputTypeError,
        "groups|ordered|convert",
    ),
    "masked keys": (
        lambda: gpuols.fit_groups(X, y, np.ma.array([0] * 6)),
        InputTypeError,
        "groups|masked|None or NaN",
    ),
    "offsets of another length": (
        lambda: gpuols.fit_groups(X, y, offsets=[0, 3, 5]),
        InputError,
        "offsets|5 last|6 (the rows)|number of rows",
    ),
    "offsets without the first": (
        lambda: gpuols.fit_groups(X, y, offsets=[3, 6]),
        InputError,
        "offsets|3 first|0 first",
    ),
    "offsets that step down": (
        lambda: gpuols.fit_groups(X, y, offsets=[0, 4, 3, 6]),
        InputError,
        "offsets|3 after 4|position 2|sort",
    ),
    "negative offsets": (
        lambda: gpuols.fit_groups(X, y, offsets=[0, -1, 6]),
        InputError,
        "offsets|-1 after 0|position 1",
    ),
    "no offsets": (lambda: gpuols.fit_groups(X, y, offsets=[]), InputError, "offsets|empty|6"),
    "offsets that are not whole": (
        lambda: gpuols.fit_groups(X, y, offsets=[0.0, 6.0]),
        InputTypeError,
        "offsets|float64|integers|astype(int)",
    ),
    "one offset": (
        lambda: gpuols.fit_groups(X, y, offsets=6),
        InputError,
        "offsets|0 dimensions|1 dimension",
    ),
    "masked offsets": (
        lambda: gpuols.fit_groups(X, y, offsets=np.ma.array([0, 3, 6], mask=[0, 1, 0])),
        InputTypeError,
        "offsets|masked|without a mask",
    ),
    "keys of new rows too few": (
        lambda: FITTED.predict(X, groups=["a"]),
        InputError,
        "groups|1 keys|6, one a row",
    ),
    "one key too many": (
        lambda: FITTED.predict(X, groups=(["a"] * 6, [1] * 6)),
        InputError,
        "groups|2 key(s)|1, as in the fit",
    ),
    "keys of a batch of new rows": (
        lambda: FITTED.predict(X[None], groups=["a"] * 6),
        InputError,
        "X|(1, 6, 2)|(N, k)",
    ),
    "keys where there were offsets": (
        lambda: gpuols.fit_groups(X, y, offsets=[0, 6]).predict(X, groups=[0] * 6),
        InputError,
        "groups|keys|none|leave",
    ),
    "residuals of other rows": (
        lambda: FITTED.resid(X, y[:5], groups=["a"] * 6),
        InputError,
        "y|(5,)|(6,)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_message_names_the_argument_what_came_what_was_expected_and_the_mend(mistake):
    call, kind, words = MISTAKES[mistake]
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    argument, *others = words.split("|")
    assert message.startswith(f"{argument}: got ")
    assert ", expected " in message
    assert "; " in message
    for word in others:
        assert word in message


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("responses", [(), (2,)])
def test_rows_are_predicted_by_their_own_group(responses, intercept):
    keys = shuffled([30, 20, 50])
    X, y = normal(100, 3), normal(100, *responses, seed=1)
    fit = gpuols.fit_groups(X, y, keys, add_intercept=intercept)
    fitted, rest = fit.predict(X, groups=keys), fit.resid(X, y, groups=keys)
    assert fitted.shape == y.shape
    np.testing.assert_array_equal(rest, y - fitted)
    for g, key in enumerate(fit.keys):
        own = keys == key
        np.testing.assert_allclose(fitted[own], fit[g].predict(X[own]), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose((rest[own] ** 2).sum(axis=0), fit.ssr[g], rtol=1e-10)


@pytest.mark.parametrize("responses", [(), (2,)])
def test_an_unseen_key_predicts_nan(responses):
    fit = gpuols.fit_groups(X, normal(6, *responses), ["a", "b"] * 3)
    new = ["b", "z", "a", None, "zz", "b"]
    seen = frozen([True, False, True, False, False, True])
    fitted, rest = fit.predict(X, groups=new), fit.resid(X, normal(6, *responses), groups=new)
    assert np.isfinite(fitted[seen]).all()
    assert np.isnan(fitted[~seen]).all()
    assert np.isnan(rest[~seen]).all()
    np.testing.assert_array_equal(fitted[[0, 5]], (X @ fit.params[1])[[0, 5]])


def test_every_key_is_unseen_where_there_were_no_groups():
    fit = gpuols.fit_groups(normal(0, 2), normal(0), np.array([], "<U1"))
    assert np.isnan(fit.predict(X, groups=["a"] * 6)).all()


def test_keys_match_by_value_across_dtypes():
    fit = gpuols.fit_groups(X, y, frozen([1, 2] * 3, "i2"))
    want = fit.predict(X, groups=[1, 2] * 3)
    np.testing.assert_array_equal(fit.predict(X, groups=[1.0, 2.0] * 3), want)
    assert np.isnan(fit.predict(X, groups=["1", "2"] * 3)).all()


def test_new_rows_may_be_none():
    assert FITTED.predict(normal(0, 2), groups=np.array([], "<U1")).shape == (0,)


def test_a_part_of_the_groups_predicts_its_own_keys_alone():
    part = FITTED[1:]
    assert part.keys.tolist() == ["b"]
    got, want = (fit.predict(X, groups=["a", "b"] * 3) for fit in (part, FITTED))
    assert np.isnan(got[::2]).all()
    np.testing.assert_array_equal(got[1::2], want[1::2])


def test_without_groups_every_regression_predicts_every_row():
    np.testing.assert_allclose(FITTED.predict(X), FITTED.params @ X.T, rtol=1e-13)


def test_one_group_alone_predicts_any_rows():
    np.testing.assert_allclose(FITTED[1].predict(X), X @ FITTED.params[1], rtol=1e-13)


def test_one_group_alone_knows_its_key():
    one = FITTED[1]
    assert one.keys == "b"
    got, want = (fit.predict(X, groups=["a", "b"] * 3) for fit in (one, FITTED))
    assert np.isnan(got[::2]).all()
    np.testing.assert_array_equal(got[1::2], want[1::2])


def test_predictions_do_not_depend_on_the_order_of_rows_in_memory():
    rng = np.random.default_rng(0)
    keys, X, y = np.arange(90) % 6, rng.normal(size=(90, 7)), rng.normal(size=90)
    wide = np.zeros((90, 14))
    wide[:, ::2] = X
    for result, groups in ((gpuols.fit_groups(X, y, keys), keys), (gpuols.fit(X, y), None)):
        expected = result.predict(X, groups=groups)
        for same in (np.asfortranarray(X), X[::-1].copy()[::-1], wide[:, ::2]):
            np.testing.assert_array_equal(result.predict(same, groups=groups), expected)

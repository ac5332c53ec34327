"""Whatever an array-like is and however it lies in memory, its numbers are fitted the same."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gpuols

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


def integers(*shape, high=100, seed=0):
    return frozen(np.random.default_rng(seed).integers(1, high, size=shape))


def assert_same_bits(got, want):
    for name in STATISTICS:
        a, b = np.asarray(getattr(got, name)), np.asarray(getattr(want, name))
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        assert a.tobytes() == b.tobytes(), name


def lock(array):
    array.flags.writeable = False
    return array


def every_second(a):
    wide = np.full([2 * size for size in a.shape], np.nan)
    wide[(slice(None, None, 2),) * a.ndim] = a
    return wide[(slice(None, None, 2),) * a.ndim]


def unaligned(a):
    found = np.ndarray(a.shape, a.dtype, bytearray(b"-" + a.tobytes()), offset=1)
    assert not found.flags.aligned
    return found


LAYOUTS = {
    "writeable": np.array,
    "fortran order": np.asfortranarray,
    "every second element": every_second,
    "negative strides": lambda a: np.flip(np.flip(a).copy()),
    "reversed axes": lambda a: a.T.copy().T,
    "last two axes swapped": lambda a: (
        a.swapaxes(-1, -2).copy().swapaxes(-1, -2) if a.ndim > 1 else a
    ),
    "cut from wider rows": lambda a: np.concatenate([a, a], axis=-1)[..., : a.shape[-1]],
    "unaligned": unaligned,
    "big-endian": lambda a: a.astype(">f8"),
    "longdouble": lambda a: a.astype(np.longdouble),
}

SHAPES = {
    "one regression": ((300, 3), (300,), (300,)),
    "one design": ((300, 3), (300, 150), (300,)),
    "a batch": ((4, 300, 3), (4, 300), (4, 300)),
    "a batch with responses": ((2, 2, 40, 3), (2, 2, 40, 2), (2, 2, 40)),
    "responses as rows": ((1, 50, 3), (130, 50), (1, 50)),
    "one wide run": ((3, 320, 150), (3, 320), (3, 320)),
}


@pytest.fixture(scope="module", params=SHAPES)
def problem(request):
    x, y, w = SHAPES[request.param]
    X, y, weights = normal(*x), normal(*y, seed=1), frozen(np.abs(normal(*w, seed=2)))
    return (X, y, weights), gpuols.fit(X, y, weights=weights, add_intercept=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_never_reaches_the_bits(problem, layout):
    (X, y, w), want = problem
    change = LAYOUTS[layout]
    X, y, w = (lock(change(a)) for a in (X, y, w))
    assert_same_bits(gpuols.fit(X, y, weights=w, add_intercept=True), want)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_of_the_rows_of_groups_never_reaches_the_bits(layout):
    X, y, w, keys = normal(200, 3), normal(200, 2, seed=1), integers(200), integers(200, high=9)
    want = gpuols.fit_groups(X, y, keys, weights=w.astype(float), add_intercept=True)
    X, y, w = (lock(LAYOUTS[layout](a.astype(float))) for a in (X, y, w))
    assert_same_bits(gpuols.fit_groups(X, y, keys, weights=w, add_intercept=True), want)


def test_broadcast_views_are_read_as_their_copies():
    X, y = normal(60, 2), normal(3, 60, seed=1)
    view = np.broadcast_to(X, (3, 60, 2))
    weights = np.broadcast_to(2.0, (3, 60))
    want = gpuols.fit(view.copy(), y, weights=weights.copy())
    assert_same_bits(gpuols.fit(view, y, weights=weights), want)


REALS = ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
REALS += [">i2", ">u4", ">i8", ">f2", ">f4"]


@pytest.mark.parametrize("shape", ["one regression", "one design", "a batch"])
@pytest.mark.parametrize("dtype", REALS)
def test_dtypes_give_the_bits_of_their_float64_copy(dtype, shape):
    high = 2 if dtype == "bool" else 100
    x, y, w = SHAPES[shape]
    X = frozen(integers(*x, high=high + 1) - 1, dtype)
    y = frozen(integers(*y, high=high + 1, seed=1) - 1, dtype)
    w = frozen(integers(*w, high=high, seed=2), dtype)
    want = gpuols.fit(X.astype(float), y.astype(float), weights=w.astype(float), add_intercept=True)
    assert_same_bits(gpuols.fit(X, y, weights=w, add_intercept=True), want)


@pytest.mark.parametrize("dtype", ["f2", "f4"])
def test_narrow_floats_are_widened_before_any_arithmetic(dtype):
    top = float(np.finfo(dtype).max)
    X, y = frozen([[top], [top / 2], [-top]], dtype), frozen([top, top / 2, top], dtype)
    for intercept in (False, True):
        got = gpuols.fit(X, y, add_intercept=intercept)
        assert_same_bits(got, gpuols.fit(X.astype(float), y.astype(float), add_intercept=intercept))
        assert got.status == gpuols.Status.OK


def test_integers_do_not_wrap():
    X, y = frozen([[-128], [127], [100]], "i1"), frozen([127, -128, 90], "i1")
    want = gpuols.fit(X.astype(float), y.astype(float), add_intercept=True)
    assert_same_bits(gpuols.fit(X, y, add_intercept=True), want)


def test_memory_maps_are_read(tmp_path):
    X, y = normal(2, 30, 3), normal(2, 30, seed=1)
    mapped = []
    for name, array in (("X", X), ("y", y)):
        array.tofile(tmp_path / name)
        mapped.append(np.memmap(tmp_path / name, float, "r", shape=array.shape))
    assert_same_bits(gpuols.fit(*mapped), gpuols.fit(X, y))


def test_nested_lists_and_tuples_are_read():
    X, y = normal(9, 2), normal(9, seed=1)
    got = gpuols.fit(X.tolist(), tuple(y.tolist()), weights=[1] * 9)
    assert_same_bits(got, gpuols.fit(X, y, weights=np.ones(9)))


def test_a_matrix_is_read_as_an_array():
    X, y = normal(9, 2), normal(9, 1, seed=1)
    matrices = [lock(a.view(np.matrix)) for a in (X.copy(), y.copy())]
    got = gpuols.fit(*matrices)
    assert type(got.params) is np.ndarray
    assert_same_bits(got, gpuols.fit(X, y))


class Convertible:
    """Something NumPy can convert, and nothing else."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array


class Labelled:
    """A named array of any dimension, as a data cube has."""

    name = "flux"

    def __init__(self, array):
        self._array = array

    def to_numpy(self):
        return self._array


def test_anything_with_array_is_read():
    X, y, w = normal(9, 2), normal(9, seed=1), integers(9)
    got = gpuols.fit(
        Convertible(X), Convertible(y), weights=Convertible(w), ridge=Convertible(w[:1].reshape(()))
    )
    assert_same_bits(got, gpuols.fit(X, y, weights=w, ridge=w[0]))


def test_the_name_of_a_table_of_numbers_is_not_the_name_of_a_column():
    X, y = normal(9, 2), normal(9, 3, seed=1)
    got = gpuols.fit(Labelled(X), Labelled(y))
    assert got.terms == ("x0", "x1")
    assert got.responses == ("y0", "y1", "y2")


class Elsewhere:
    """Claims to lie on a CUDA device."""

    __cuda_array_interface__ = {"shape": (4,), "typestr": "<f8", "data": (0, True), "version": 3}  # noqa: RUF012


@pytest.mark.parametrize("argument", ["X", "y", "weights", "ridge"])
def test_an_array_on_a_cuda_device_is_a_device_error(argument):
    given = {"X": normal(4, 1), "y": normal(4), argument: Elsewhere()}
    with pytest.raises(gpuols.DeviceError, match=rf"^{argument}: .*cuda:0 \(.*\.get\(\)"):
        gpuols.fit(given.pop("X"), given.pop("y"), **given)


REFUSED = {
    "object": (np.array([1.0, None, 2.0, 3.0], object), ["object", "astype(float)"]),
    "a list with None": ([1.0, None, 2.0, 3.0], ["object", "NaN"]),
    "complex": (np.ones(4, complex), ["complex128", "real and the imaginary"]),
    "dates": (np.zeros(4, "M8[s]"), ["datetime64", "numbers"]),
    "durations": (np.zeros(4, "m8[s]"), ["timedelta64", "numbers"]),
    "strings": (np.array(["1", "2", "3", "4"]), ["<U1", "astype(float)"]),
    "bytes": (np.array([b"1", b"2", b"3", b"4"]), ["S1", "astype(float)"]),
    "variable strings": (np.array(["1"] * 4, np.dtypes.StringDType()), ["String", "astype(float)"]),
    "records": (np.zeros(4, [("a", float)]), ["'a'", "columns"]),
    "ragged lists": ([[1.0], [2.0, 3.0], [4.0], [5.0]], ["list", "equally long"]),
    "None": (None, ["object", "real numbers"]),
    "a dict": ({"a": 1.0}, ["object", "real numbers"]),
    "a masked array": (np.ma.masked_less([1.0, 2.0, 3.0, 4.0], 2), ["masked", "filled", "weight"]),
    "an unmasked masked array": (np.ma.ones(4), ["masked", "filled", "weight"]),
}


@pytest.mark.parametrize("argument", ["X", "y", "weights", "ridge"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_holds_no_real_numbers_is_refused(case, argument):
    value, words = REFUSED[case]
    if value is None and argument == "weights":
        value = [None] * 4
    given = {"X": normal(4, 1), "y": normal(4), argument: value}
    with pytest.raises(gpuols.InputTypeError) as caught:
        gpuols.fit(given.pop("X"), given.pop("y"), **given)
    message = str(caught.value)
    assert message.startswith(f"{argument}: got ")
    for word in words:
        assert word in message


@pytest.mark.parametrize("call", [gpuols.fit, gpuols.moments])
@pytest.mark.parametrize(
    ("X", "y", "argument"),
    [(np.float64(1), np.ones(3), "X"), (1.0, 2.0, "X"), (np.ones((3, 1)), 2.0, "y")],
)
def test_a_lone_number_is_no_table(call, X, y, argument):
    with pytest.raises(gpuols.InputError, match=rf"^{argument}: got shape \(\)"):
        call(X, y)


FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow table": pa.table,
    "pyarrow record batch": pa.record_batch,
}
COLUMNS = {
    "pandas": lambda values: pd.Series(values, name="size"),
    "polars": lambda values: pl.Series("size", values),
    "pandas index": lambda values: pd.Index(values, name="size"),
}
frames = pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)


@frames
def test_a_frame_gives_its_numbers_and_names(make):
    X, Y, w = normal(12, 2), normal(12, 2, seed=1), integers(12)
    got = gpuols.fit(
        make({"a": X[:, 0], "b c": X[:, 1]}),
        make({"left": Y[:, 0], "right": Y[:, 1]}),
        weights=w,
        add_intercept=True,
    )
    assert got.terms == ("Intercept", "a", "b c")
    assert got.responses == ("left", "right")
    assert type(got.params) is np.ndarray
    assert_same_bits(got, gpuols.fit(X, Y, weights=w, add_intercept=True))


@frames
def test_columns_of_different_types_are_read(make):
    flags, counts, sizes = integers(12, high=3) > 1, integers(12, seed=1), normal(12, seed=2)
    got = gpuols.fit(make({"flag": flags, "count": counts, "size": sizes}), sizes**2)
    want = gpuols.fit(np.stack([flags, counts, sizes], axis=1), sizes**2)
    assert got.terms == ("flag", "count", "size")
    assert_same_bits(got, want)


@pytest.mark.parametrize("make", COLUMNS.values(), ids=COLUMNS)
def test_a_named_column_names_the_response(make):
    X, y = normal(12, 2), normal(12, seed=1)
    got = gpuols.fit(X, make(y))
    assert got.responses == ("size",)
    assert_same_bits(got, gpuols.fit(X, y))


UNNAMED = {
    "pandas": pd.Series,
    "polars": pl.Series,
    "pyarrow array": pa.array,
    "pyarrow chunks": lambda values: pa.chunked_array([values]),
}


@pytest.mark.parametrize("make", UNNAMED.values(), ids=UNNAMED)
def test_an_unnamed_column_leaves_the_response_its_plain_name(make):
    assert gpuols.fit(normal(12, 2), make(normal(12))).responses == ("y",)


NULL_NUMBERS = {
    "pandas Int64": pd.Series([1, 2, None, 4, 5], dtype="Int64"),
    "pandas Float32": pd.Series([1, 2, None, 4, 5], dtype="Float32"),
    "pandas arrow": pd.Series([1, 2, None, 4, 5], dtype="int64[pyarrow]"),
    "polars integers": pl.Series([1, 2, None, 4, 5]),
    "polars floats": pl.Series([1.0, 2.0, None, 4.0, 5.0]),
    "pyarrow array": pa.array([1, 2, None, 4, 5]),
    "pyarrow chunks": pa.chunked_array([[1, 2], [None, 4, 5]]),
}


@pytest.mark.parametrize("column", NULL_NUMBERS.values(), ids=NULL_NUMBERS)
def test_nulls_among_numbers_are_missing(column):
    X, keys = normal(5, 1), ["a", "a", "b", "a", "a"]
    got = gpuols.fit_groups(X, column, keys)
    want = gpuols.fit_groups(X, np.array([1, 2, np.nan, 4, 5]), keys)
    assert_same_bits(got, want)
    assert got.status.tolist() == [gpuols.Status.OK, gpuols.Status.NONFINITE]


NULL_BOOLEANS = {
    "pandas": pd.Series([True, False, None, True], dtype="boolean"),
    "polars": pl.Series([True, False, None, True]),
    "pyarrow array": pa.array([True, False, None, True]),
    "pyarrow chunks": pa.chunked_array([[True, False, None, True]]),
}


@pytest.mark.parametrize("column", NULL_BOOLEANS.values(), ids=NULL_BOOLEANS)
def test_nulls_among_booleans_are_missing(column):
    with pytest.raises(gpuols.InputError, match=r"y: got 1 missing .* first at \(2,\)"):
        gpuols.fit(normal(4, 1), column, missing="raise")


@frames
def test_nulls_in_a_frame_are_missing(make):
    frame = make({"a": [1, None, 3], "b": [1.0, 2.0, 4.0]})
    with pytest.raises(gpuols.InputError, match=r"X: got 1 missing .* first at \(1, 0\)"):
        gpuols.fit(frame, normal(3), missing="raise")


def test_nullable_pandas_columns_in_a_frame_are_read():
    columns = {"a": pd.array([1, None, 3], dtype="Int64"), "b": [1.0, 2.0, 4.0]}
    with pytest.raises(gpuols.InputError, match=r"X: got 1 missing .* first at \(1, 0\)"):
        gpuols.fit(pd.DataFrame(columns), normal(3), missing="raise")


def test_pyarrow_booleans_are_read():
    flags, X = integers(12, high=3) > 1, normal(12, 1)
    assert_same_bits(gpuols.fit(X, pa.array(flags)), gpuols.fit(X, flags))


TEXTS = {"words": ["x", "y", "z"], "digits": ["1", "2", "4"]}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@frames
def test_a_column_of_text_is_named(make, text):
    with pytest.raises(gpuols.InputTypeError, match=r"^X\['colour'\]: .*dtype.*astype\(float\)"):
        gpuols.fit(make({"a": [1.0, 2.0, 3.0], "colour": text}), normal(3))


@pytest.mark.parametrize("dtype", [object, "str", "string"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_pandas_text_is_never_read_as_numbers(text, dtype):
    with pytest.raises(gpuols.InputTypeError, match=r"^y: .*astype\(float\)"):
        gpuols.fit(normal(3, 1), pd.Series(text, dtype=dtype))


def test_pandas_objects_that_are_numbers_are_read():
    X, y = normal(3, 1), [1, 2.5, True]
    assert_same_bits(gpuols.fit(X, pd.Series(y, dtype=object)), gpuols.fit(X, y))


@pytest.mark.parametrize(
    ("column", "word"),
    [
        (pd.date_range("2020", periods=3), "datetime64"),
        (pd.to_timedelta([1, 2, 3], "s"), "timedelta64"),
        (np.array([1j, 2, 3]), "complex"),
        (pd.Series([1j, 2, 3], dtype=object), "object"),
        (pd.Series([(1,), (2,), (3,)]), "object"),
    ],
)
def test_columns_of_other_things_are_named(column, word):
    with pytest.raises(gpuols.InputTypeError, match=rf"^X\['odd'\]: .*{word}"):
        gpuols.fit(pd.DataFrame({"a": [1.0, 2.0, 3.0], "odd": column}), normal(3))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(np.ones((3, 2)), columns=["a", "a"]),
        pa.Table.from_arrays([[1.0, 2.0, 3.0]] * 2, names=["a", "a"]),
        pd.DataFrame(np.ones((3, 2)), columns=[1, "1"]),
    ],
)
def test_a_repeated_name_is_refused(frame):
    with pytest.raises(gpuols.InputError, match=r"^X: .*each name once.*rename"):
        gpuols.fit(frame, normal(3))


def test_a_lazy_frame_must_be_collected():
    frame = pl.LazyFrame({"a": [1.0, 2.0, 3.0]})
    with pytest.raises(gpuols.InputTypeError, match=r"^X: .*lazy.*\.collect\(\)"):
        gpuols.fit(frame, normal(3))


def test_names_given_win_over_those_of_a_frame():
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0]})
    assert gpuols.fit(frame, normal(3), names=["b"]).terms == ("b",)


def test_column_labels_that_are_no_strings_are_spelt():
    frame = pd.DataFrame(normal(5, 3), columns=[0, ("a", 1), pd.Timestamp("2020-01-01")])
    assert gpuols.fit(frame, normal(5)).terms == ("0", "('a', 1)", "2020-01-01 00:00:00")


@pytest.mark.parametrize("intercept", [False, True])
def test_a_frame_without_columns_has_no_regressors(intercept):
    got = gpuols.fit(pd.DataFrame(index=range(4)), normal(4), add_intercept=intercept)
    assert got.terms == ("Intercept",) * intercept
    assert got.params.shape == (intercept,)


def test_a_frame_of_batched_responses_names_one_response():
    got = gpuols.fit(normal(3, 12, 2), pd.DataFrame(normal(3, 12, seed=1)))
    assert got.params.shape == (3, 2)
    assert got.responses == ("y",)


@pytest.mark.parametrize("axes", [(), (4,), (2, 3)])
@pytest.mark.parametrize("responses", [(), (2,)])
def test_results_have_the_documented_shapes_and_dtypes(axes, responses):
    k, p, m = 2, 3, responses
    got = gpuols.fit(normal(*axes, 9, k), normal(*axes, 9, *m, seed=1), add_intercept=True)
    shapes = dict.fromkeys(STATISTICS, axes + m)
    shapes |= dict.fromkeys(
        ["params", "bse", "tvalues", "pvalues", "log10_pvalues"], (*axes, p, *m)
    )
    shapes["normalized_cov"] = (*axes, p, p)
    for name, shape in shapes.items():
        value = getattr(got, name)
        assert value.shape == shape, name
        assert value.dtype == {"status": np.int8, "rank": np.int64}.get(name, np.float64), name
        assert isinstance(value, np.ndarray if shape else np.generic), name
    assert got.conf_int().shape == (*axes, p, *m, 2)
    assert got.cov_params().shape == (*axes, *m, p, p)

"""Regressions of data frames: by formula or by names, by group, and frames of results."""

import datetime
import pickle
import sys
from decimal import Decimal

import formulaic
import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import gpuols
from gpuols import Result, Status

N = 240
DICTIONARY = pa.dictionary(pa.int32(), pa.string())


def made():
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "shop": rng.choice(["a", "b", "c"], N),
            "year": rng.integers(2019, 2022, N),
            "x": rng.normal(size=N),
            "z": rng.normal(size=N).astype(np.float32),
            "count": rng.integers(1, 9, N),
            "color": rng.choice(["red", "green", "blue"], N),
            "flag": rng.random(N) < 0.5,
            "w": rng.random(N) + 0.5,
        }
    )
    frame["y"] = 1.0 + 2.0 * frame.x - frame.z + rng.normal(size=N)
    frame["y2"] = frame.y**2
    return frame


DATA = made()
COLUMNS = {name: DATA[name].to_numpy() for name in DATA}
SHAPES = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "pyarrow": lambda frame: pl.from_pandas(frame).to_arrow(),
}
every = pytest.mark.parametrize("make", SHAPES.values(), ids=SHAPES)


def columns(*names):
    return np.column_stack([COLUMNS[name] for name in names]).astype(float)


def same(found, expected):
    """Equal to the bit, names apart."""
    for name in ("params", "bse", "ssr", "error_bound", "nobs", "status", "rank"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert found.engine == expected.engine


# What is fitted


@every
def test_groups_are_those_of_fit_groups(make):
    found = gpuols.fit_frame(make(DATA), "y ~ x + z + count", by="shop")
    expected = gpuols.fit_groups(
        columns("x", "z", "count"), DATA.y, DATA["shop"], add_intercept=True, missing="drop"
    )
    same(found, expected)
    assert found.terms == ("Intercept", "x", "z", "count")
    assert found.responses == ("y",)
    assert found.keys.tolist() == ["a", "b", "c"]
    assert found.by == ("shop",)
    assert found.rows_dropped == 0


@every
def test_several_keys_and_responses_and_weights(make):
    found = gpuols.fit_frame(
        make(DATA), "y + y2 ~ x", by=["shop", "year"], weights="w", ridge=0.5, singular="nan"
    )
    keys = DATA["shop"], DATA["year"]
    expected = gpuols.fit_groups(
        columns("x"),
        columns("y", "y2"),
        keys,
        weights=DATA.w,
        ridge=0.5,
        add_intercept=True,
        missing="drop",
        singular="nan",
    )
    same(found, expected)
    assert found.responses == ("y", "y2")
    assert [key.tolist() for key in found.keys] == [key.tolist() for key in expected.keys]


@every
@pytest.mark.parametrize("formula", ["y ~ x + flag", ("y", ["x", "flag"]), (["y"], ("x", "flag"))])
def test_without_keys_it_is_one_regression(make, formula):
    found = gpuols.fit_frame(make(DATA), formula)
    same(found, gpuols.fit(columns("x", "flag"), DATA.y, add_intercept=True, missing="drop"))
    assert found.params.shape == (3,)
    assert found.keys is None


@pytest.mark.parametrize(
    ("formula", "terms"),
    [
        ("y ~ x - 1", ("x",)),
        ("y ~ 0 + x", ("x",)),
        ("y ~ x + 0", ("x",)),
        ("y ~ 1 + x", ("Intercept", "x")),
        ("y ~ 1", ("Intercept",)),
        ("y~x", ("Intercept", "x")),
        ("y ~ np.exp(x) - 1", ("np.exp(x)",)),
        ("y ~ np.exp(x)", ("Intercept", "np.exp(x)")),
        ("y ~ x*z", ("Intercept", "x", "z", "x:z")),
        ("y ~ x + color", ("Intercept", "x", "color[T.green]", "color[T.red]")),
        ("y ~ color - 1", ("color[blue]", "color[green]", "color[red]")),
        ("y ~ C(count, levels=[1, 2])", ("Intercept", "C(count, levels=[1, 2])[T.2]")),
        ("y ~ `x` + {z**2}", ("Intercept", "x", "z ** 2")),
        ("y ~ bs(x, df=4)", ("Intercept", *(f"bs(x, df=4)[{i}]" for i in range(1, 5)))),
    ],
)
def test_formulas_name_their_terms(formula, terms):
    data = DATA[DATA["count"] < 3] if "levels" in formula else DATA
    assert gpuols.fit_frame(data, formula).terms == terms


@pytest.mark.parametrize("implied", [True, False])
@pytest.mark.parametrize("how", ["y ~ x", "y ~ np.exp(x)", ("y", "x")])
def test_an_intercept_is_there_unless_told_otherwise(implied, how):
    assert len(gpuols.fit_frame(DATA, how, add_intercept=implied).terms) == 1 + implied


@pytest.mark.parametrize("said", ["+ 1", "- 1"])
@pytest.mark.parametrize("term", ["x", "np.exp(x)"])
def test_a_formula_has_the_last_word_on_the_intercept(said, term):
    for implied in (True, False):
        found = gpuols.fit_frame(DATA, f"y ~ {term} {said}", add_intercept=implied)
        assert found.terms[:-1] == (("Intercept",) if said == "+ 1" else ())


def test_the_wildcard_is_what_is_not_named_elsewhere():
    few = DATA[["y", "x", "z", "shop", "w"]]
    found = gpuols.fit_frame(few, "y ~ .", by="shop", weights="w")
    assert found.terms == ("Intercept", "x", "z")


@every
def test_categories_and_transforms_are_those_of_the_whole_frame(make):
    found = gpuols.fit_frame(make(DATA), "np.log(y2) ~ C(color) + center(x)", by="shop")
    x = np.column_stack(
        [COLUMNS["color"] == "green", COLUMNS["color"] == "red", DATA.x - DATA.x.mean()]
    ).astype(float)
    expected = gpuols.fit_groups(x, np.log(DATA.y2), DATA["shop"], add_intercept=True)
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-9)
    assert found.terms == ("Intercept", "C(color)[T.green]", "C(color)[T.red]", "center(x)")


@every
def test_a_function_is_one_though_a_column_has_its_name(make):
    data = DATA.rename(columns={"z": "log", "count": "C"})
    found = gpuols.fit_frame(make(data), "y2 ~ log(w) + C(color)", by="shop")
    expected = gpuols.fit_frame(make(DATA), "y2 ~ log(w) + C(color)", by="shop")
    same(found, expected)


SMALL = pd.DataFrame(
    {
        "a": np.random.default_rng(0).integers(50, 127, 50),
        "b": np.random.default_rng(1).integers(50, 127, 50),
        "y": np.random.default_rng(2).normal(size=50),
    }
)


@every
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize(
    "formula", ["y ~ a:b", "y ~ I(a**5)", "y ~ {a + b} + I(-a)", "y ~ a*b - 1"]
)
def test_products_of_small_numbers_do_not_overflow(make, dtype, formula):
    narrow = SMALL.astype({"a": dtype, "b": dtype})
    found = gpuols.fit_frame(make(narrow), formula)
    expected = gpuols.fit_frame(SMALL.astype(float), formula)
    same(found, expected)


def test_levels_of_small_numbers_keep_their_names():
    data = DATA.assign(few=(DATA["count"] % 3).astype(np.int8))
    found = gpuols.fit_frame(data, "y ~ C(few) + x")
    assert found.terms == ("Intercept", "C(few)[T.1]", "C(few)[T.2]", "x")


TIMES = pd.to_timedelta(np.arange(240), "D")


@pytest.mark.parametrize(
    ("changed", "formula", "words"),
    [
        ({"x": DATA.x + 1j}, "y ~ x + I(z)", "column 'x' of values of type"),
        ({"x": DATA.x + 1j}, "y ~ x", "column 'x' of values of type"),
        ({"x": DATA.x + 1j}, "y ~ {x * 2}", "a term of complex numbers"),
        ({"x": DATA["count"].astype(object)}, "y ~ x", "column 'x' of values of type Object"),
        ({"x": TIMES}, "y ~ x", "column 'x' of times"),
        ({"x": TIMES}, "x ~ y", "column 'x' of times"),
        ({"x": [[1, 2]] * N}, "y ~ x", "column 'x' of values of type"),
        (
            {"x": DATA.x.where(DATA.x < 2, np.inf)},
            "y ~ scale(x)",
            "'scale.x.'.*missing in every row",
        ),
        ({"1": DATA.x}, "y ~ `1`", "`1`, which is a number"),
        ({"np": DATA.x, "C": DATA.x}, "y ~ np.log(w) + np", "rename 'np', which hides a function"),
        ({}, "y ~ C(x, x)", "a term that can't be evaluated"),
        ({}, "C() ~ x", "formula: "),
        ({}, "x.values[:3] ~ x", "formula: "),
        ({}, "y ~ np.log(x) ~ {x^{x+z}", "formula: "),
    ],
)
def test_what_is_no_number_is_refused(changed, formula, words):
    with pytest.raises((gpuols.InputError, gpuols.InputTypeError), match=words):
        gpuols.fit_frame(DATA.assign(**changed), formula)


@pytest.mark.parametrize("term", ["C(k)", "k", "I(k)", "{k}", "Q('k')", "k.astype('category')"])
def test_a_category_of_too_many_levels_is_refused_however_it_is_written(term):
    data = pd.DataFrame({"k": [f"k{i}" for i in range(1500)], "y": np.arange(1500.0)})
    with pytest.raises(gpuols.InputError, match="1,500 levels"):
        gpuols.fit_frame(data, f"y ~ {term}")


@pytest.mark.parametrize("term", ["C(k > 700)", "C(k // 500)", "C(np.round(k / 1000))"])
def test_levels_are_those_of_what_is_written(term):
    data = pd.DataFrame({"k": np.arange(1500), "y": np.arange(1500.0)})
    assert len(gpuols.fit_frame(data, f"y ~ {term}").terms) <= 3


def test_rows_that_are_left_out_have_no_levels():
    data = pd.DataFrame({"k": [f"k{i}" for i in range(1000)] * 2 + [None], "y": np.arange(2001.0)})
    data.loc[2000, "k"] = None
    assert len(gpuols.fit_frame(data, "y ~ k").terms) == 1000


@pytest.mark.parametrize("name", ["shop", "w"])
def test_a_column_without_a_value_is_named(name):
    data = DATA.assign(**{name: None if name == "shop" else np.nan})
    with pytest.raises(gpuols.InputError, match=f"column '{name}', of which every value"):
        gpuols.fit_frame(data, "y ~ x", by="shop", weights="w")


@pytest.mark.parametrize("keys", [[[1], [2]], [{"a": 1}, {"a": 2}]])
def test_keys_without_an_order_are_refused(keys):
    data = pl.DataFrame({"g": keys * 9, "x": range(18), "y": range(18)})
    with pytest.raises(gpuols.InputTypeError, match="by: got column 'g' of type"):
        gpuols.fit_frame(data, "y ~ x", by="g")


@pytest.mark.parametrize(
    "data",
    [
        pl.DataFrame({"y": [1.0, 2.0, 3.0], "x": pl.Series([1, 2, 3], dtype=pl.Int128)}),
        pl.DataFrame({"y": [1.0, 2.0, 3.0], "x": pl.Series([object(), 1, 2], dtype=pl.Object)}),
        pa.table({"y": [1.0, 2.0, 3.0], "x": pa.array([b"a", b"b", b"c"])}),
    ],
    ids=["wide integers", "objects", "bytes"],
)
@pytest.mark.parametrize("formula", ["y ~ x", "y ~ np.log(x)", ("y", "x")])
def test_columns_that_can_not_be_read_are_named(data, formula):
    with pytest.raises((gpuols.InputError, gpuols.InputTypeError), match="x"):
        gpuols.fit_frame(data, formula)


def test_numbers_of_another_byte_order_are_read():
    data = DATA.assign(x=DATA.x.to_numpy().astype(">f8"))
    for formula in ("y ~ x", "y ~ I(2 * x)"):
        same(gpuols.fit_frame(data, formula), gpuols.fit_frame(DATA, formula))


ODD = DATA.rename(columns={"z": "x:z", "w": "np.log(x)", "count": "1", "shop": "a shop"}).assign(
    z=DATA.x**2, flag2=DATA["count"] > 4
)


@every
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x*color + flag",
        "y ~ color:flag + C(flag)",
        "y ~ C(color, contr.sum) + {x + 1} + I(x**2) - 1",
        "y ~ poly(x, 2) + scale(z) + bs(z, df=4)",
        "y ~ np.log(z) + x*z",
        "y ~ `x:z` + `np.log(x)` + `a shop`",
        "y ~ np.log(`np.log(x)`) + C(`a shop`)",
        "y ~ x + x",
        "y ~ 0 + flag2 + {~flag2}",
        "log(z) ~ C(year):x",
    ],
)
def test_formulas_mean_what_they_mean_to_formulaic(make, formula):
    data = ODD.copy()
    data.loc[[3, 8], "x"] = None
    data.loc[[5], "color"] = None
    data.loc[[7], "y"] = None
    found = gpuols.fit_frame(make(data), formula)
    complete = data.dropna(subset=["x", "y"]) if "poly" in formula else data
    matrices = formulaic.model_matrix(formula, complete)
    x, y = (np.asarray(side, float) for side in (matrices.rhs, matrices.lhs))
    expected = gpuols.fit(x, y[:, 0], add_intercept=False)
    names = matrices.rhs.model_spec.column_names
    assert sorted(found.terms) == sorted(names)
    order = [names.index(term) for term in found.terms]
    usual = np.isfinite(expected.params[order])
    np.testing.assert_allclose(found.params[usual], expected.params[order][usual], rtol=1e-7)
    np.testing.assert_allclose(found.ssr, expected.ssr, rtol=1e-9)


@pytest.mark.parametrize(
    "dtype", ["string", "category", pd.ArrowDtype(pa.string()), pd.ArrowDtype(DICTIONARY)], ids=str
)
@pytest.mark.parametrize("formula", ["y ~ color", "y ~ x:color", "y ~ C(color)"])
def test_words_of_any_type_are_categories(dtype, formula):
    data = DATA.assign(color=DATA["color"].astype(dtype))
    found, expected = gpuols.fit_frame(data, formula), gpuols.fit_frame(DATA, formula)
    assert found.terms == expected.terms
    np.testing.assert_array_equal(found.params, expected.params)


def test_rows_that_are_not_fitted_give_no_levels():
    data = made()
    data.loc[3, ["color", "y"]] = "violet", None
    data.loc[4, ["color", "w"]] = "pink", None
    data.loc[5, ["color", "shop"]] = "brown", None
    found = gpuols.fit_frame(data, "y ~ color", by="shop", weights="w")
    assert found.terms == ("Intercept", "color[T.green]", "color[T.red]")
    assert (found.status == Status.OK).all()
    data.loc[9, "y"] = None
    assert gpuols.fit_frame(data, "center(y) ~ x").status == Status.OK


@pytest.mark.parametrize("formula", ["poly(x, 2) ~ z", "poly(x, 2) + y ~ z", "C(color) + y ~ z"])
def test_a_response_is_one_column(formula):
    with pytest.raises(gpuols.InputError if "poly" in formula else gpuols.InputTypeError):
        gpuols.fit_frame(DATA, formula)


@pytest.mark.parametrize(
    "formula", ["y ~ 1x", "y ~ x.", "y ~ if", "y ~ lambda", ("y", None), (0, [1])]
)
def test_what_is_no_formula_is_told(formula):
    with pytest.raises((gpuols.InputError, gpuols.InputTypeError), match="formula: "):
        gpuols.fit_frame(DATA, formula)


def test_a_column_named_like_the_intercept_is_told():
    data = DATA.rename(columns={"x": "Intercept"})
    with pytest.raises(gpuols.InputError, match='rename the column, or write "- 1"'):
        gpuols.fit_frame(data, "y ~ Intercept + z")
    assert gpuols.fit_frame(data, "y ~ Intercept + z - 1").terms == ("Intercept", "z")


@pytest.mark.parametrize(
    "formula", ["y ~ C(`a b`)", "y ~ C(data=k)", "y ~ k:C(m)", "y ~ C(k, contr.sum)", "y ~ k"]
)
def test_huge_categories_are_refused_however_they_are_written(formula):
    many = np.arange(2400)
    data = pd.DataFrame({"y": many, "k": (many % 1200).astype(str), "a b": many, "m": many % 40})
    with pytest.raises(gpuols.InputError, match=r"levels.*by="):
        gpuols.fit_frame(data, formula)


def test_columns_without_names_are_told():
    with pytest.raises(gpuols.InputTypeError, match=r"column named 0.*rename\(columns=str\)"):
        gpuols.fit_frame(pd.DataFrame(np.ones((3, 2))), "y ~ x")


@every
def test_a_level_that_a_group_lacks_is_a_dropped_column(make):
    data = DATA[(DATA["shop"] != "b") | (DATA["color"] != "red")].reset_index(drop=True)
    found = gpuols.fit_frame(make(data), "y ~ C(color)", by="shop")
    assert np.isnan(found.params).tolist() == [[False] * 3, [False, False, True], [False] * 3]
    assert found.status.tolist() == [Status.OK, Status.RANK_DEFICIENT, Status.OK]


def test_levels_have_the_order_of_their_category_and_those_of_nobody_are_left_out():
    order = ["red", "yellow", "blue", "green"]
    frames = [
        DATA.assign(color=pd.Categorical(DATA["color"], categories=order)),
        pl.from_pandas(DATA).with_columns(pl.col("color").cast(pl.Enum(order))),
    ]
    for frame in frames:
        found = gpuols.fit_frame(frame, "y ~ color")
        assert found.terms == ("Intercept", "color[T.blue]", "color[T.green]")


def test_numbers_of_any_width_are_read():
    narrow = DATA.astype({"count": "int8", "x": "float32"})
    found = gpuols.fit_frame(narrow, "y ~ x + z + count")
    expected = gpuols.fit(narrow[["x", "z", "count"]].to_numpy(float), DATA.y, add_intercept=True)
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-12)
    decimals = pl.from_pandas(DATA).with_columns(pl.col("count").cast(pl.Decimal(10, 2)))
    same(gpuols.fit_frame(decimals, "y ~ count"), gpuols.fit_frame(DATA, "y ~ count"))


def test_only_named_columns_of_a_lazy_frame_are_computed():
    def fail(_):
        raise AssertionError("nobody asked for it")

    lazy = (
        pl.from_pandas(DATA)
        .lazy()
        .with_columns(pl.col("w").map_batches(fail, return_dtype=pl.Float64))
    )
    found = gpuols.fit_frame(lazy, "y ~ x", by="shop")
    assert len(found) == 3


def test_the_frame_is_left_as_it_was():
    data, before = made(), made()
    data.loc[3, "color"] = before.loc[3, "color"] = None
    gpuols.fit_frame(data, "y ~ C(color) + np.exp(x)", by="shop", weights="w")
    pd.testing.assert_frame_equal(data, before)


def test_progress_and_batches_are_passed_on():
    seen = []
    gpuols.fit_frame(
        DATA, "y ~ x", by="shop", batch_size=1, progress=lambda *done: seen.append(done)
    )
    assert seen[-1] == (3, 3)


# Missing values

HOLES = {"x": (3, 4), "color": (4, 5), "shop": (6,), "y": (7,), "w": (8,)}


def with_holes():
    data = made()
    for name, rows in HOLES.items():
        data.loc[list(rows), name] = None
    return data


@every
@pytest.mark.parametrize("formula", ["y ~ x + C(color)", "y ~ x + z"])
def test_rows_with_missing_values_are_dropped_and_counted(make, formula):
    data = with_holes()
    lost = {"x", "shop", "y", "w"} | ({"color"} if "color" in formula else set())
    gone = sorted({row for name in lost for row in HOLES[name]})
    found = gpuols.fit_frame(make(data), formula, by="shop", weights="w")
    expected = gpuols.fit_frame(make(data.drop(index=gone)), formula, by="shop", weights="w")
    assert found.rows_dropped == len(gone)
    assert f"{len(gone)} rows dropped" in repr(found)
    assert found.keys.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(found.nobs, expected.nobs)
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-9)
    assert (found.status == Status.OK).all()
    assert expected.rows_dropped == 0
    assert "dropped" not in repr(expected)


def test_transforms_are_those_of_complete_rows():
    data = with_holes()
    found = gpuols.fit_frame(data, "y ~ center(x)")
    assert found.status == Status.OK
    expected = gpuols.fit_frame(data.dropna(subset=["x"]), "y ~ center(x)")
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-9)


def test_what_a_transform_loses_is_dropped_too():
    found = gpuols.fit_frame(DATA, "y ~ np.log(x)")
    assert found.nobs == (DATA.x > 0).sum() == N - found.rows_dropped


@every
def test_each_response_keeps_its_own_rows(make):
    data = made()
    data.loc[:9, "y2"] = None
    found = gpuols.fit_frame(make(data), "y + y2 ~ x")
    assert found.nobs.tolist() == [N, N - 10]
    assert found.rows_dropped == 0
    data.loc[:4, "y"] = None
    assert gpuols.fit_frame(make(data), "y + y2 ~ x").rows_dropped == 5


@every
def test_missing_values_may_be_flagged_instead(make):
    data = with_holes()
    found = gpuols.fit_frame(make(data), "y ~ x + C(color)", by="shop", missing="nan")
    bad = {data["shop"][row] for name in ("x", "color", "y") for row in HOLES[name]}
    expected = [Status.NONFINITE if key in bad else Status.OK for key in "abc"]
    assert found.status[:3].tolist() == expected
    assert found.keys[3] is None
    assert found.rows_dropped == 0


@every
@pytest.mark.parametrize("name", HOLES)
def test_missing_values_may_be_refused(make, name):
    data = made()
    data.loc[[5, 9], name] = None
    with pytest.raises(gpuols.InputError, match=f"missing values in column '{name}': 2, .* row 5"):
        gpuols.fit_frame(make(data), "y ~ x + C(color)", by="shop", weights="w", missing="raise")


def test_several_keys_leave_out_rows_that_lack_one():
    data = with_holes()
    data["year"] = data["year"].astype("Int64")
    data.loc[11, "year"] = None
    found = gpuols.fit_frame(data, "y ~ z", by=["shop", "year"])
    assert len(found) == 9
    assert found.rows_dropped == len({*HOLES["shop"], *HOLES["y"], 11})


def test_a_frame_of_no_rows_has_no_groups():
    found = gpuols.fit_frame(DATA[:0], "y ~ x", by="shop")
    assert len(found) == 0
    assert len(found.to_frame()) == 0


# Frames of results


@every
def test_a_frame_comes_out_as_it_came_in(make):
    came = make(DATA)
    found = gpuols.fit_frame(came, "y ~ x", by="shop").to_frame()
    eager = came.collect() if isinstance(came, pl.LazyFrame) else came
    assert type(found) is type(eager)


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_a_row_is_a_coefficient(backend):
    result = gpuols.fit_frame(DATA, "y + y2 ~ x", by=["shop", "year"])
    frame = pl.DataFrame(result.to_frame(backend))
    assert frame.columns == [
        *("shop", "year", "response", "term"),
        *("coef", "std_err", "t", "p_value", "nobs", "rsquared", "status"),
    ]
    assert len(frame) == 9 * 2 * 2
    for i in (0, 5, 8):
        for j, response in enumerate(("y", "y2")):
            for c, term in enumerate(("Intercept", "x")):
                row = frame.row(i * 4 + j * 2 + c, named=True)
                assert (row["shop"], row["year"]) == (result.keys[0][i], result.keys[1][i])
                assert (row["response"], row["term"]) == (response, term)
                assert row["coef"] == result.params[i, c, j]
                assert row["std_err"] == result.bse[i, c, j]
                assert row["t"] == result.tvalues[i, c, j]
                assert row["p_value"] == result.pvalues[i, c, j]
                assert row["nobs"] == result.nobs[i, j]
                assert row["rsquared"] == result.rsquared[i, j]
                assert row["status"] == Status(result.status[i, j]).name


def fitted(*lead, m=None, **options):
    rng = np.random.default_rng(0)
    tail = () if m is None else (m,)
    return gpuols.fit(rng.normal(size=(*lead, 9, 2)), rng.normal(size=(*lead, 9, *tail)), **options)


@pytest.mark.parametrize(
    ("result", "names", "rows"),
    [
        (fitted(), [], 2),
        (fitted(m=3), [], 6),
        (fitted(4), ["regression"], 8),
        (fitted(2, 3, m=2), ["regression0", "regression1"], 24),
        (fitted(0), ["regression"], 0),
        (fitted(4)[1], [], 2),
        (fitted(4)[[3, 1]], ["regression"], 4),
        (fitted(4, m=2, missing="drop"), ["regression"], 16),
    ],
)
def test_arrays_have_frames_too(result, names, rows):
    found = result.to_frame()
    assert type(found) is pd.DataFrame
    assert list(found.columns[: len(names) + 2]) == [*names, "response", "term"]
    assert len(found) == rows
    params = result.params[..., None] if result.single else result.params
    assert found["coef"].tolist() == np.moveaxis(params, -2, -1).reshape(-1).tolist()


def test_rows_follow_the_order_of_regressions_responses_and_coefficients():
    result = fitted(2, 3, m=2, names=["a", "b"])
    found = result.to_frame()
    row = found.iloc[4 * (3 * 1 + 2) + 2 * 1 + 0]
    assert (row["regression0"], row["regression1"], row["response"], row["term"]) == (
        *(1, 2),
        *("y1", "a"),
    )
    assert row["coef"] == result.params[1, 2, 0, 1]


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (["b", "a", "b", None] * 9, ["group"]),
        ((["b", "a"] * 18, np.arange(36) % 3), ["group0", "group1"]),
        (np.arange(36).astype("M8[ns]"), ["group"]),
    ],
)
@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_keys_are_columns(groups, names, backend):
    result = gpuols.fit_groups(np.arange(36.0)[:, None], np.arange(36.0) ** 2, groups)
    found = pl.DataFrame(result.to_frame(backend))
    assert found.columns[: len(names)] == names
    keys = result.keys if isinstance(result.keys, tuple) else (result.keys,)
    for name, key in zip(names, keys, strict=True):
        assert found[name].to_list() == pl.Series(key).to_list()


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize(
    "keys",
    [
        pd.Series([True, None, False] * 12, dtype="boolean"),
        pd.Series([1, None, 2**60 + 1] * 12, dtype="Int64"),
        [Decimal("1.5"), None, Decimal("0.5")] * 12,
        [datetime.time(1), datetime.time(2), None] * 12,
        [None, None, None] * 12,
    ],
    ids=["flags", "integers", "decimals", "times", "nothing"],
)
def test_keys_that_are_objects_keep_their_values(backend, keys, tmp_path):
    result = gpuols.fit_groups(np.arange(36.0)[:, None], np.arange(36.0) ** 2, keys)
    found = pl.DataFrame(result.to_frame(backend))
    expected = [None if key is None or key != key else key for key in result.keys.tolist()]
    assert found["group"].to_list() == expected
    found.write_parquet(tmp_path / "keys.parquet")


@every
def test_a_key_named_like_a_column_of_ours_keeps_its_values(make):
    data = DATA.rename(columns={"shop": "t", "year": "term"})
    found = gpuols.fit_frame(make(data), "y ~ x", by=["t", "term"]).to_frame("polars")
    assert found.columns[:4] == ["t_key", "term_key", "response", "term"]
    assert found["t_key"].unique().sort().to_list() == ["a", "b", "c"]
    assert found["t"].dtype == pl.Float64


def typed(library):
    """A frame of one column a type, 20 rows of two values each."""
    time = datetime.datetime(2024, 3, 31, 0, 30, tzinfo=datetime.UTC)
    frame = pl.DataFrame(
        {
            "category": pl.Series(["b", "a"] * 10, dtype=pl.Categorical),
            "zone": pl.Series([time, time + datetime.timedelta(hours=1)] * 10),
            "day": [datetime.date(2024, 1, 2), datetime.date(2024, 1, 1)] * 10,
            "wait": [datetime.timedelta(hours=2), datetime.timedelta(hours=1)] * 10,
            "small": pl.Series([1, 2] * 10, dtype=pl.Int8),
            "flag": [True, False] * 10,
            "x": np.arange(20.0) ** 2,
            "y": np.sin(np.arange(20.0)),
        }
    ).with_columns(pl.col("zone").dt.convert_time_zone("Europe/Berlin"))
    ordered = pl.Series(["b", "a"] * 10, dtype=pl.Enum(["b", "a"]))
    if library == "pandas":
        return frame.to_pandas().assign(
            ordered=pd.Categorical(ordered.to_list(), ["b", "a"], ordered=True)
        )
    if library == "pyarrow":
        return frame.with_columns(price=pl.Series([2, 1] * 10).cast(pl.Decimal(9, 2))).to_arrow()
    return frame.with_columns(ordered=ordered)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_keys_come_out_of_the_type_they_went_in(library):
    data = narwhals.from_native(typed(library))
    for name in set(data.columns) - {"x", "y"}:
        result = gpuols.fit_frame(data.to_native(), "y ~ x", by=name)
        for some in (result, pickle.loads(pickle.dumps(result)), result[0:1], result[0]):
            found = narwhals.from_native(some.to_frame())
            assert found[name].dtype == data[name].dtype
            assert set(found[name].to_list()) <= set(data[name].to_list())
        keys = set(narwhals.from_native(result.to_frame())[name].to_list())
        assert keys == set(data[name].to_list())


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_missing_key_is_missing_in_the_frame(library):
    data = narwhals.from_native(typed(library))
    gaps = narwhals.new_series("gap", [True, False] * 10, backend=library)
    for name in set(data.columns) - {"x", "y"}:
        lacking = data.with_columns(narwhals.when(gaps).then(name).alias(name))
        result = gpuols.fit_frame(lacking.to_native(), "y ~ x", by=name, missing="nan")
        found = narwhals.from_native(result.to_frame())[name].is_null().to_list()
        assert found == [False, False, True, True]


NATIVE = [
    pd.Series([2**53, 2**53 + 1, None] * 8, dtype="Int64"),
    pd.Series([1, 2, None] * 8, dtype="Int16"),
    pd.Series([1.5, 2.5, None] * 8, dtype="Float32"),
    pd.Series(["a", "b", None] * 8, dtype="string"),
    pd.Series([True, False, None] * 8, dtype="boolean"),
    pd.Series([True, False, None] * 8, dtype=pd.ArrowDtype(pa.bool_())),
    pd.Series(pd.Categorical(["b", "a", None] * 8, ["c", "b", "a"])),
    pl.Series([1, 2, None] * 8, dtype=pl.UInt16),
    pl.Series(["a", "a\0", None] * 8),
    pl.Series(["a", "b", None] * 8, dtype=pl.Enum(["b", "a"])),
    pl.Series([1, 2, None] * 8).cast(pl.Datetime("ns", "Asia/Tokyo")),
    pa.chunked_array([["a", "b", None] * 4] * 2, pa.large_string()),
    pa.chunked_array([[b"a", b"b", None] * 8], pa.large_binary()),
    pa.chunked_array([[0, 86_400_000, None] * 8], pa.date64()),
    pa.chunked_array([[1, 2, None] * 8], pa.time32("s")),
    pa.chunked_array([[1, 2, None] * 8], pa.timestamp("s", "Europe/Oslo")),
    pa.chunked_array([pa.array(["a", "b", None] * 8).dictionary_encode()]),
]


def native_frame(column):
    columns = {"g": column, "x": np.arange(24.0) ** 2, "y": np.sin(np.arange(24.0))}
    if isinstance(column, pa.ChunkedArray):
        return pa.table(columns)
    return (pl if isinstance(column, pl.Series) else pd).DataFrame(columns)


@pytest.mark.parametrize("missing", ["drop", "nan"])
@pytest.mark.parametrize(
    "column",
    NATIVE,
    ids=lambda column: str(
        getattr(column, "dtype", column.type if isinstance(column, pa.ChunkedArray) else "")
    ),
)
def test_keys_are_those_of_the_frame_whatever_their_type(column, missing):
    frame = native_frame(column)
    result = gpuols.fit_frame(frame, "y ~ x", by="g", missing=missing)
    found = result.to_frame()
    if isinstance(frame, pa.Table):
        assert found["g"].type == column.type
        assert set(found["g"].to_pylist()) <= set(column.to_pylist())
        count, nulls = len(set(found["g"].to_pylist())), found["g"].null_count
    else:
        assert found["g"].dtype == column.dtype
        native = narwhals.from_native(found, eager_only=True)["g"]
        count, nulls = native.n_unique(), int(native.is_null().sum())
    assert (count, nulls) == ((2, 0) if missing == "drop" else (3, 2))


def test_keys_of_which_pyarrow_can_take_no_rows_are_plain():
    frame = native_frame(pa.chunked_array([["b", "a"] * 12], pa.string_view()))
    found = gpuols.fit_frame(frame, "y ~ x", by="g").to_frame()
    assert found["g"].to_pylist() == ["a", "a", "b", "b"]


def test_time_zones_reach_other_libraries():
    zone = (
        pl.Series([0, 3_600] * 12).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Tokyo")
    )
    result = gpuols.fit_frame(native_frame(zone), "y ~ x", by="g")
    expected = sorted(set(zone.to_list()))
    for backend in ("pandas", "pyarrow"):
        found = narwhals.from_native(result.to_frame(backend), eager_only=True)["g"]
        assert found.dtype.time_zone == "Asia/Tokyo"
        assert found.to_list()[::2] == expected


@pytest.mark.parametrize(
    ("keys", "columns"),
    [
        (["term", "term_key"], ["term_key_key", "term_key"]),
        (["coef", "coef_key"], ["coef_key_key", "coef_key"]),
        (["t_key", "t"], ["t_key", "t_key_key"]),
    ],
)
@every
def test_keys_named_like_columns_of_ours_stay_apart(make, keys, columns):
    data = DATA.rename(columns=dict(zip(["shop", "year"], keys, strict=True)))
    result = gpuols.fit_frame(make(data), "y ~ x", by=keys)
    found = pl.DataFrame(result.to_frame())
    assert found.columns[:3] == [*columns, "response"]
    assert found[columns[0]].to_list()[::2] == result.keys[0].tolist()
    assert found[columns[1]].to_list()[::2] == result.keys[1].tolist()


@pytest.mark.parametrize("dtype", ["Int64", "boolean"])
def test_a_missing_key_of_a_nullable_type_is_missing_in_the_frame(dtype):
    data = pd.DataFrame({"g": pd.array([1, None] * 10, dtype), "x": range(20), "y": range(20)})
    found = gpuols.fit_frame(data, "y ~ x", by="g", missing="nan").to_frame()
    assert found["g"].isna().tolist() == [False, False, True, True]
    assert found["g"][0] == 1


def test_one_of_many_is_a_frame_with_its_key():
    result = gpuols.fit_frame(DATA, "y ~ x", by=["shop", "year"])
    found = result[4].to_frame()
    assert found[["shop", "year"]].values.tolist() == [["b", 2020]] * 2
    assert found["coef"].tolist() == result.params[4].tolist()


def test_a_library_that_is_not_known_is_refused():
    with pytest.raises(gpuols.InputError, match="'excel', expected one of pandas, polars, pyarrow"):
        fitted().to_frame("excel")


# Kept


def test_what_a_result_knows_of_its_frame_is_kept(tmp_path):
    data = with_holes()
    result = gpuols.fit_frame(pl.from_pandas(data), "y ~ x", by="shop")
    result.save(tmp_path / "kept.npz")
    for kept in (
        pickle.loads(pickle.dumps(result)),
        Result.load(tmp_path / "kept.npz"),
        result[1:],
    ):
        assert (kept.by, kept.frame, kept.rows_dropped) == (
            ("shop",),
            "polars",
            result.rows_dropped,
        )
        assert type(kept.to_frame()) is pl.DataFrame


# Libraries that are not there


@pytest.mark.parametrize(
    ("library", "formula"),
    [("narwhals", "y ~ x"), ("formulaic", "y ~ np.log(x)"), ("formulaic", "y ~ C(color)")],
)
def test_a_library_that_is_not_there_is_named(monkeypatch, library, formula):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf'{library}.*pip install "gpuols\[frame\]"'):
        gpuols.fit_frame(DATA, formula)


def test_names_alone_need_no_formulaic(monkeypatch):
    monkeypatch.setitem(sys.modules, "formulaic", None)
    for formula in ("y ~ x + z", "y + y2 ~ x - 1", ("y", "x")):
        gpuols.fit_frame(DATA, formula, by="shop")

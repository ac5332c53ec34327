"""A result is shown, indexed, checked and kept; its numbers stay the same throughout."""

import datetime as dt
import gc
import io
import pickle
import warnings
import weakref
from fractions import Fraction

import numpy as np
import pytest

import gpuols
from gpuols import FitError, InputError, InputTypeError, Result, Status, inference

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


def fit(*lead, m=(), n=12, **options):
    return gpuols.fit(normal(*lead, n, 2), normal(*lead, n, *m, seed=1), **options)


def fit_keys(keys, m=(), **options):
    """Four rows for each key."""
    keys = [np.repeat(key, 4) for key in keys] if isinstance(keys, tuple) else np.repeat(keys, 4)
    keys = tuple(keys) if isinstance(keys, list) else keys
    n = len(keys[0] if isinstance(keys, tuple) else keys)
    return gpuols.fit_groups(normal(n, 2), normal(n, *m, seed=1), keys, **options)


def assert_equal_arrays(a, b, name=""):
    a, b = np.asarray(a), np.asarray(b)
    assert (a.shape, a.dtype) == (b.shape, b.dtype), name
    assert a.tobytes() == b.tobytes(), name


def assert_same(got, want):
    for name in STATISTICS:
        assert_equal_arrays(getattr(got, name), getattr(want, name), name)
    assert (got.terms, got.responses, got.engine, got.single) == (
        *(want.terms, want.responses, want.engine, want.single),
    )


def troubled():
    """OK, RANK_DEFICIENT, TOO_FEW_ROWS, NONFINITE, OK, NONFINITE."""
    X, y = normal(6, 12, 2).copy(), normal(6, 12, seed=1)
    X[1, :, 1] = X[1, :, 0]
    weights = np.ones((6, 12))
    weights[2, 2:] = 0
    X[3, 0, 0] = np.nan
    X[5, 1, 1] = np.inf
    return gpuols.fit(X, y, weights=weights)


CODES = [0, Status.RANK_DEFICIENT, Status.TOO_FEW_ROWS, Status.NONFINITE, 0, Status.NONFINITE]


# Text


def test_repr_counts_statuses():
    result = troubled()
    assert result.status.tolist() == CODES
    text = repr(result)
    assert text.startswith("Result(6 regressions: ")
    for part in ("2 OK", "1 RANK_DEFICIENT", "1 TOO_FEW_ROWS", "2 NONFINITE", "p=2", "'cpu:num"):
        assert part in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (lambda: fit(), "1 regression: 1 OK"),
        (lambda: fit(0), "0 regressions: none"),
        (lambda: fit(3, 5), "15 regressions: 15 OK"),
        (lambda: fit(m=(7,)), "7 regressions: 7 OK"),
        (lambda: fit(2, m=(7,)), "14 regressions: 14 OK"),
        (lambda: fit(1500), "1,500 regressions: 1,500 OK"),
    ],
)
def test_repr_counts_regressions(result, text):
    assert f"({text};" in repr(result())


def test_the_summary_of_one_regression_is_its_table():
    X, y = normal(40, 2), normal(40, seed=1)
    result = gpuols.fit(X, y, add_intercept=True, names=["price", "a rather long name"])
    lines = result.summary().splitlines()
    assert lines[0] == "Least squares of y"
    text = "\n".join(lines)
    for word in ("status", "OK", "observations", "40", "R-squared", "AIC", "error bound", "engine"):
        assert word in text
    assert "\n\n\n" not in text
    rule = next(i for i, line in enumerate(lines) if set(line) == {"-"})
    head, rows = lines[rule - 1], lines[rule + 1 :]
    assert [row.rsplit(maxsplit=6)[0] for row in rows] == list(result.terms)
    assert len({len(line) for line in (head, lines[rule], *rows)}) == 1
    columns = [
        *(result.params, result.bse, result.tvalues, result.pvalues),
        *np.moveaxis(result.conf_int(), -1, 0),
    ]
    for row, numbers in zip(rows, zip(*columns, strict=True), strict=True):
        shown = [float(word) for word in row.rsplit(maxsplit=6)[1:]]
        np.testing.assert_allclose(shown, numbers, rtol=1e-5)
    assert not any(line != line.rstrip() for line in lines)


def test_the_summary_of_one_troubled_regression_says_why():
    text = troubled()[3].summary()
    assert "NONFINITE" in text
    assert Status.NONFINITE.cause in text
    assert Status.NONFINITE.remedy in text
    assert text.count("nan") >= 12


def test_the_summary_of_many_shows_quantiles_of_each_number():
    result = fit(50, n=30, add_intercept=True)
    lines = result.summary().splitlines()
    assert "50 regressions: 50 OK" in lines[0]
    head = next(line for line in lines if "median" in line)
    assert head.split() == ["min", "25%", "median", "75%", "max"]
    rows = {line.rsplit(maxsplit=5)[0]: line for line in lines[lines.index(head) + 2 :] if line}
    for place, term in enumerate(result.terms):
        row = rows[term]
        assert len(row) == len(head)
        want = np.quantile(result.params[:, place], [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose([float(v) for v in row.split()[1:]], want, rtol=1e-5)
    assert {"observations", "R-squared", "error bound"} <= set(rows)


def test_the_summary_of_many_explains_each_trouble_once():
    text = troubled().summary()
    for status in (Status.RANK_DEFICIENT, Status.TOO_FEW_ROWS, Status.NONFINITE):
        assert text.count(status.cause) == 1
        assert status.remedy in text
    assert Status.UNTRUSTED.cause not in text


@pytest.mark.parametrize(
    "result",
    [
        *(lambda: fit(0), lambda: fit(3, 0), lambda: fit(m=(0,)), lambda: fit(2, n=0)),
        *(lambda: fit(n=0), lambda: troubled()[[3, 5]], lambda: fit(2, m=(3,)), lambda: fit(1)),
        lambda: gpuols.fit(normal(5, 0), normal(5)),
        lambda: gpuols.fit(normal(3, 5, 0), normal(3, 5)),
        lambda: gpuols.fit(normal(5, 0), normal(5), add_intercept=True),
        lambda: fit_keys(["a", "b"]),
    ],
)
def test_a_summary_can_always_be_made(result):
    result = result()
    lines = result.summary().splitlines()
    rule = next(i for i, line in enumerate(lines) if set(line) == {"-"})
    for term in result.terms:
        assert any(line.startswith(term) for line in lines[rule:])
    assert max(len(line) for line in lines[rule - 1 : rule + 1 + len(result.terms)]) == len(
        lines[rule]
    )


# Indexing

BATCH = [0, -1, 5, slice(1, 4), slice(None, None, -2), slice(2, 2), [4, 0, 0], [], np.int64(2)]
BATCH += [frozen([1, 0, 1, 0, 0, 1], bool), frozen([[0, 1], [5, 5]]), ..., (3,)]
GRID = [0, -1, (1, 2), (-2, -1), slice(1), (slice(None), 1), (slice(None), slice(0, 2)), ...]
GRID += [([0, 1], [2, 2]), frozen([[1, 0, 1], [0, 1, 1]], bool), [True, False]]
GRID += [(0, [2, 0]), (slice(None), [True, False, True])]


def check_index(result, where):
    part = result[where]
    for name in STATISTICS:
        assert_equal_arrays(getattr(part, name), getattr(result, name)[where], name)
    assert_equal_arrays(part.conf_int(), result.conf_int()[where])
    assert_equal_arrays(part.cov_params(), result.cov_params()[where])
    assert (part.terms, part.responses) == (result.terms, result.responses)
    return part


@pytest.mark.parametrize("m", [(), (3,)])
@pytest.mark.parametrize("where", BATCH, ids=repr)
def test_a_batch_is_indexed_as_its_arrays_are(where, m):
    check_index(fit(6, m=m, add_intercept=True), where)


@pytest.mark.parametrize("m", [(), (3,)])
@pytest.mark.parametrize("where", GRID, ids=repr)
def test_a_batch_of_two_axes_is_indexed_as_its_arrays_are(where, m):
    check_index(fit(2, 3, m=m), where)


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize(
    "where", [0, -1, slice(1, 3), [2, 0], frozen([1, 0, 1], bool), [], slice(None, None, -1)]
)
def test_the_responses_of_one_design_are_indexed(where, touched):
    result = fit(m=(3,), add_intercept=True)
    if touched:
        _ = result.bse, result.pvalues
    part = result[where]
    for name in STATISTICS:
        array = getattr(result, name)
        want = array if name == "normalized_cov" else array[..., where]
        assert_equal_arrays(getattr(part, name), want, name)
    assert part.responses == tuple(np.array(result.responses)[np.atleast_1d(np.arange(3)[where])])
    assert_equal_arrays(part.conf_int(), result.conf_int()[:, where])
    assert_equal_arrays(part.cov_params(), result.cov_params()[where])


@pytest.mark.parametrize(
    ("result", "where"),
    [
        *((lambda: fit(6), i) for i in (6, -7, 99, [0, 6], (0, 0), np.ones(5, bool), "params")),
        *((lambda: fit(2, 3), i) for i in (2, (0, 3), (-3, 0), (0, 0, 0))),
        *((lambda: fit(m=(3,)), i) for i in (3, -4, (0, 0), np.ones(4, bool))),
        (lambda: fit(0), 0),
    ],
)
def test_places_that_are_not_there_are_index_errors(result, where):
    with pytest.raises(IndexError):
        result()[where]


def test_a_single_regression_is_neither_indexed_nor_measured():
    result = fit()
    with pytest.raises(TypeError, match="single regression"):
        result[0]
    with pytest.raises(TypeError, match="single regression"):
        len(result)
    with pytest.raises(TypeError, match="single regression"):
        result[:]
    with pytest.raises(TypeError, match="single regression"):
        fit(4)[1][0]


@pytest.mark.parametrize(
    ("result", "length"),
    [
        *((lambda: fit(6), 6), (lambda: fit(2, 3), 2), (lambda: fit(6, m=(3,)), 6)),
        *((lambda: fit(m=(3,)), 3), (lambda: fit(0), 0), (lambda: fit(m=(0,)), 0)),
    ],
)
def test_the_length_is_that_of_what_is_indexed(result, length):
    result = result()
    assert len(result) == length
    assert len(list(result)) == length
    for got, place in zip(result, range(length), strict=True):
        assert_same(got, result[place])


def test_a_part_of_a_part_is_a_part():
    result = fit(2, 3, m=(4,), add_intercept=True)
    assert_same(result[1][2], result[1, 2])
    assert_same(result[::-1][0], result[1])
    one = result[1, 2][3]
    for name in STATISTICS:
        want = getattr(result, name)[1, 2]
        want = want if name == "normalized_cov" else want[..., 3]
        assert_equal_arrays(getattr(one, name), want, name)


def test_a_part_predicts_as_the_whole_does():
    result = fit(6, add_intercept=True)
    X = normal(6, 5, 2, seed=3)
    assert_equal_arrays(result[2:4].predict(X[2:4]), result.predict(X)[2:4])


@pytest.mark.parametrize("where", [1, -1, slice(1, 3), [2, 0], frozen([1, 0, 1], bool), []])
def test_keys_follow(where):
    keys = frozen(["a", "b", "cc"])
    got = fit_keys(keys)[where].keys
    np.testing.assert_array_equal(got, keys[where])
    names, years = keys, frozen([2020, 2019, 2021])
    got = fit_keys((names, years))[where].keys
    assert isinstance(got, tuple)
    for part, whole in zip(got, (names, years), strict=True):
        np.testing.assert_array_equal(part, whole[where])


# Numbers


def test_a_single_regression_has_numpy_scalars():
    result = fit()
    for name in STATISTICS:
        value = getattr(result, name)
        if name in STATISTICS[:6]:
            assert type(value) is np.ndarray, name
        else:
            assert isinstance(value, np.generic), name
    assert type(result.ssr) is np.float64
    assert type(result.status) is np.int8


@pytest.mark.parametrize("lead", [(), (3,)])
@pytest.mark.parametrize("m", [(), (2,)])
def test_a_statistic_is_computed_once(lead, m):
    result = fit(*lead, m=m)
    assert not set(STATISTICS) & set(vars(result))
    for name in STATISTICS:
        assert getattr(result, name) is getattr(result, name), name
        assert name in vars(result)


def test_a_result_can_not_be_assigned_to():
    result = fit(3)
    for name in ("engine", "tol", "keys", "params", "ssr"):
        with pytest.raises(AttributeError):
            setattr(result, name, 1)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("shapes", [((12, 2), (12,)), ((12, 2), (12, 3)), ((4, 12, 2), (4, 12))])
def test_results_and_inputs_share_no_memory(shapes, intercept):
    X, y = (np.random.default_rng(0).normal(size=shape) for shape in shapes)
    weights, ridge, before = np.ones(12), np.array(0.5), (X.copy(), y.copy())
    result = gpuols.fit(X, y, weights=weights, ridge=ridge, add_intercept=intercept)
    for name in STATISTICS:
        for given in (X, y, weights, ridge):
            assert not np.shares_memory(np.asarray(getattr(result, name)), given), name
    want = {name: np.array(getattr(result, name)) for name in STATISTICS}
    again = gpuols.fit(X, y, weights=weights, ridge=ridge, add_intercept=intercept)
    for given, then in zip((X, y), before, strict=True):
        np.testing.assert_array_equal(given, then)
        given[...] = np.nan
    ridge[...] = 9.0
    weights[...] = 0.0
    for name in STATISTICS:
        assert_equal_arrays(getattr(again, name), want[name], name)


def test_a_vector_of_penalties_may_change_after_the_fit():
    ridge = np.array([0.5, 1.0, 2.0])
    result, want = fit(3, ridge=ridge), fit(3, ridge=ridge.copy())
    ridge[:] = 100.0
    assert_same(result, want)


HARSH = {
    "infinite": lambda X, y: (X, np.where(np.arange(12) == 3, np.inf, y)),
    "infinite of both signs": lambda X, y: (X, y / np.where(np.arange(12) > 9, 0.0, 1.0)),
    "infinite X": lambda X, y: (X / (np.arange(24).reshape(12, 2) % 23), y),
    "nan": lambda X, y: (X, np.where(np.arange(12) == 3, np.nan, y)),
    "huge": lambda X, y: (X, 1e200 * y),
    "huge offset": lambda X, y: (X, 1e200 + y),
    "enormous": lambda X, y: (X, 1e308 * np.sign(y)),
    "huge X": lambda X, y: (1e200 * X, y),
    "tiny": lambda X, y: (X, 1e-200 * y),
    "subnormal": lambda X, y: (5e-324 * np.sign(X), 5e-324 * np.sign(y)),
    "zero": lambda X, y: (X, 0.0 * y),
    "exact": lambda X, y: (X, X[:, 0]),
    "no design": lambda X, y: (0.0 * X, y),
    "constant": lambda X, y: (X, np.ones(12)),
    "as many rows as coefficients": lambda X, y: (X[:2], y[:2]),
    "one row": lambda X, y: (X[:1], y[:1]),
    "no rows": lambda X, y: (X[:0], y[:0]),
}


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("case", HARSH)
def test_numerical_trouble_never_raises_or_warns(case, intercept):
    with np.errstate(all="ignore"):
        X, y = HARSH[case](normal(12, 2), normal(12, seed=1))
    warned = []
    with warnings.catch_warnings(record=True, action="always") as caught:
        for ridge in (0.0, 1.0):
            result = gpuols.fit(X, y, add_intercept=intercept, ridge=ridge)
            for name in STATISTICS:
                _ = getattr(result, name)
                warned += [(name, str(caught.pop().message)) for _ in range(len(caught))]
            _ = result.conf_int(), result.cov_params(), result.summary(), repr(result)
            _ = result.t_test([1.0] * len(result.terms)), result.f_test(np.eye(len(result.terms)))
            warned += [("a method", str(caught.pop().message)) for _ in range(len(caught))]
            with np.errstate(all="ignore"):
                _ = result.predict(X), result.resid(X, y)
    assert warned == []


@pytest.mark.parametrize("m", [(), (3,)])
def test_intervals_widen_with_confidence(m):
    result = fit(4, m=m, n=30)
    for alpha in (1e-6, 0.05, 0.5, 0.999):
        low, high = np.moveaxis(result.conf_int(alpha), -1, 0)
        np.testing.assert_allclose((low + high) / 2, result.params, rtol=1e-9, atol=1e-12)
        assert (high > low).all()
    inner, outer = result.conf_int(0.1), result.conf_int(0.01)
    assert (outer[..., 0] < inner[..., 0]).all()
    assert (inner[..., 1] < outer[..., 1]).all()
    assert_equal_arrays(result.conf_int(), result.conf_int(alpha=0.05))


@pytest.mark.parametrize("alpha", [1e-300, 1e-18, 1e-12, 0.3])
def test_intervals_are_right_however_sure(alpha):
    result = fit(4, n=30)
    reach = -inference.t_quantile(alpha / 2, result.df_resid)[:, None] * result.bse
    assert np.isfinite(reach).all()
    want = np.stack([result.params - reach, result.params + reach], axis=-1)
    np.testing.assert_allclose(result.conf_int(alpha), want, rtol=1e-9)


@pytest.mark.parametrize("alpha", [0, 1, 0.0, 1.0, -0.1, 1.5, 95, np.nan, np.inf, True])
def test_an_alpha_that_is_no_probability_is_refused(alpha):
    with pytest.raises(InputError, match=r"^alpha: got .*between 0 and 1.*0\.05"):
        fit().conf_int(alpha)


@pytest.mark.parametrize("alpha", ["0.05", None, [0.05, 0.1], np.array([0.05, 0.1]), 0.05j])
def test_an_alpha_that_is_no_number_is_refused(alpha):
    with pytest.raises((InputError, InputTypeError), match=r"^alpha: got .*expected .*0\.05"):
        fit().conf_int(alpha)


# Checking


@pytest.mark.parametrize(
    "result",
    [fit, lambda: fit(3), lambda: fit(m=(2,)), lambda: fit(0), lambda: fit_keys(["a", "b"])],
)
def test_check_gives_the_result_back(result):
    result = result()
    assert result.check() is result


def test_check_says_how_many_which_and_what_to_do():
    with pytest.raises(FitError) as caught:
        troubled().check()
    lines = str(caught.value).splitlines()
    assert lines[0] == "4 of 6 regressions are not OK, the first: 1, 2, 3, 5"
    for line, number, status in zip(
        lines[1:],
        (1, 1, 2),
        (Status.RANK_DEFICIENT, Status.TOO_FEW_ROWS, Status.NONFINITE),
        strict=True,
    ):
        assert line == f"{number} {status.name}: {status.cause}; {status.remedy}"


def test_check_shows_only_the_first_few():
    y = np.full((2000, 12), np.nan)
    with pytest.raises(FitError) as caught:
        gpuols.fit(normal(12, 2)[None], y).check()
    first = str(caught.value).splitlines()[0]
    assert first.startswith("2,000 of 2,000 regressions")
    assert first.endswith(": 0, 1, 2, 3, 4")


@pytest.mark.parametrize(
    ("lead", "m", "place", "shown"),
    [
        ((2, 3), (), (1, 2), "(1, 2)"),
        ((3,), (2,), (2, 1), "(2, 1)"),
        ((2, 3), (2,), (0, 1, 1), "(0, 1, 1)"),
        ((), (4,), (3,), "3"),
    ],
)
def test_check_names_places_along_every_axis(lead, m, place, shown):
    y = normal(*lead, 12, *m).copy()
    response = (place[-1],) if m else ()
    y[(*place[: len(lead)], 4, *response)] = np.nan
    with pytest.raises(FitError) as caught:
        gpuols.fit(normal(*lead, 12, 2, seed=1), y).check()
    first = str(caught.value).splitlines()[0]
    assert first.startswith("1 of ")
    assert first.endswith(f"the first: {shown}")


def test_check_of_one_regression_says_so():
    with pytest.raises(FitError, match="1 of 1 regression") as caught:
        troubled()[3].check()
    assert Status.NONFINITE.remedy in str(caught.value)
    assert "()" not in str(caught.value)


def bad_groups(keys, m=()):
    """Fit two groups whose second is NONFINITE in its last response."""
    y = normal(8, *m, seed=1).copy()
    y[(-1, *(i - 1 for i in m))] = np.nan
    return gpuols.fit_groups(normal(8, 2), y, keys)


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (np.repeat(["east", "west"], 4), "west"),
        (np.repeat([2020, 2021], 4), "2021"),
        (np.repeat(np.array(["2020-01", "2021-02"], "M8[M]"), 4), "2021-02"),
        ((np.repeat(["a", "a"], 4), np.repeat([1, 2], 4)), "('a', 2)"),
    ],
)
def test_check_names_groups_by_their_keys(keys, shown):
    with pytest.raises(FitError) as caught:
        bad_groups(keys).check()
    first = str(caught.value).splitlines()[0]
    assert first.startswith("1 of 2 ")
    assert shown in first.partition("the first: ")[2]


def test_check_names_the_response_of_a_group():
    with pytest.raises(FitError, match=r"1 of 4 .*the first: .*west.*1"):
        bad_groups(np.repeat(["east", "west"], 4), m=(2,)).check()


@pytest.mark.parametrize("m", [(), (2,)])
def test_check_of_one_group_names_its_key(m):
    with pytest.raises(FitError, match=r"the first: .*west"):
        bad_groups(np.repeat(["east", "west"], 4), m)[1].check()


# Keeping

RESULTS = {
    "one": fit,
    "one with a ridge": lambda: fit(ridge=2.0, add_intercept=True),
    "one design": lambda: fit(m=(5,), add_intercept=True),
    "a batch": lambda: fit(4, ridge=frozen([0.0, 1.0, 2.0, 3.0])),
    "a grid": lambda: fit(2, 3, m=(2,)),
    "weights": lambda: fit(2, weights=np.arange(12.0)),
    "an empty batch": lambda: fit(0),
    "no responses": lambda: fit(m=(0,)),
    "no columns": lambda: gpuols.fit(normal(5, 0), normal(5)),
    "trouble": troubled,
    "names": lambda: fit(names=["é", 'a "quoted" one\n']),
    "responses as rows": lambda: gpuols.fit(normal(1, 12, 2), normal(150, 12)),
    "a part": lambda: fit(6)[::-2],
    "one of many": lambda: fit(6)[2],
    "one response": lambda: fit(m=(5,))[2],
    "joined moments": lambda: joined(()),
    "a batch of joined moments": lambda: joined((3,)),
    "a part of joined moments": lambda: joined((3,))[1:],
    "one response of joined moments": lambda: joined((), m=(2,))[1],
    "a strict tolerance": lambda: fit(tol=1e-16),
    "a float32 tolerance": lambda: fit(tol=np.float32(1e-8)),
    "a fraction as tolerance": lambda: fit(tol=Fraction(1, 10**8)),
    "a whole tolerance": lambda: fit(tol=1),
}


def joined(lead, m=()):
    parts = [
        gpuols.moments(
            normal(*lead, 12, 2, seed=i),
            1e6 + normal(*lead, 12, *m, seed=9 + i),
            add_intercept=True,
        )
        for i in range(3)
    ]
    total = parts[0] + parts[1] + parts[2]
    assert total.low is not None
    return gpuols.fit_moments(total)


def assert_restored(got, want):
    assert_same(got, want)
    assert got.tol == want.tol
    assert repr(got) == repr(want)
    assert got.summary() == want.summary()
    assert_equal_arrays(got.conf_int(0.1), want.conf_int(0.1))
    X = normal(5, 2, seed=4)[:, : len(want.terms) - int("Intercept" in want.terms)]
    assert_equal_arrays(got.predict(X), want.predict(X))


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("case", RESULTS)
def test_saved_results_are_read_back(case, touched, tmp_path):
    want = RESULTS[case]()
    if touched:
        want.summary()
    path = tmp_path / "result.npz"
    want.save(str(path) if touched else path)
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]
    assert_restored(Result.load(path), want)


def test_the_low_parts_of_joined_moments_are_kept(tmp_path):
    want = joined((3,))
    want.save(tmp_path / "result.npz")
    low = Result.load(tmp_path / "result.npz")._moments.low
    assert any(part.any() for part in vars(want._moments.low).values())
    for name, part in vars(want._moments.low).items():
        assert_equal_arrays(getattr(low, name), part, name)


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("case", ["one", "one design", "a grid", "trouble", "joined moments"])
def test_pickled_results_are_read_back(case, protocol, touched):
    want = RESULTS[case]()
    if touched:
        want.summary()
    assert_restored(pickle.loads(pickle.dumps(want, protocol)), want)


def test_a_saved_part_is_no_larger_than_the_part(tmp_path):
    result = fit(3000)
    result[:3].save(tmp_path / "part.npz")
    assert (tmp_path / "part.npz").stat().st_size < 20_000


KEYS = {
    "integers": frozen([1, 5, 9]),
    "bytes": frozen([b"a", b"b", b"cc"]),
    "booleans": frozen([False, True]),
    "unsigned": frozen([0, 7, 2**64 - 1], np.uint64),
    "big-endian": frozen([1, 5, 9], ">i4"),
    "floats": frozen([-np.inf, 0.5, np.nan]),
    "half floats": frozen([0.5, 1.5, 2.5], "f2"),
    "strings": frozen(["a", "é", "長い"]),
    "variable strings": frozen(["a", "b", "長い"], np.dtypes.StringDType()),
    "dates": frozen(["2020-01-01", "2021-02-02", "NaT"], "M8[D]"),
    "instants": frozen(["2020-01-01T01:02:03.000000004", "NaT"], "M8[ns]"),
    "durations": frozen([1, 2, 3], "m8[ms]"),
    "objects": frozen(["a", "b", None], object),
    "object numbers": frozen([1, 2.5, 10**30, None], object),
    "no keys": frozen([], "<U3"),
}


def assert_same_keys(got, want):
    assert type(got) is type(want)
    for a, b in zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]:
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert [(type(key), str(key)) for key in a.tolist()] == [
            (type(key), str(key)) for key in b.tolist()
        ]


@pytest.mark.parametrize("case", KEYS)
def test_keys_of_every_dtype_are_kept(case, tmp_path):
    want = fit_keys(KEYS[case])
    want.save(tmp_path / "result.npz")
    got = Result.load(tmp_path / "result.npz")
    assert_same_keys(got.keys, want.keys)
    assert_same(got, want)
    again = pickle.loads(pickle.dumps(want)).keys
    assert_same_keys(again, pickle.loads(pickle.dumps(want.keys)))
    if len(want):
        rows = normal(len(want), 2)
        assert_equal_arrays(got.predict(rows, want.keys), want.predict(rows, want.keys))


@pytest.mark.parametrize("first", ["strings", "objects", "dates"])
def test_tuples_of_keys_are_kept(first, tmp_path):
    want = fit_keys((KEYS[first], frozen(range(len(KEYS[first])))))
    assert isinstance(want.keys, tuple)
    want.save(tmp_path / "result.npz")
    assert_same_keys(Result.load(tmp_path / "result.npz").keys, want.keys)


def test_a_tuple_of_one_key_stays_one(tmp_path):
    want = fit_keys((frozen(["a", "b"]),))
    want.save(tmp_path / "result.npz")
    assert_same_keys(Result.load(tmp_path / "result.npz").keys, want.keys)


@pytest.mark.parametrize("m", [(), (2,)])
@pytest.mark.parametrize("keys", ["integers", "strings", "dates", "objects"])
def test_one_group_is_kept_with_its_key(keys, m, tmp_path):
    want = fit_keys(KEYS[keys], m)[1]
    want.save(tmp_path / "result.npz")
    got = Result.load(tmp_path / "result.npz")
    assert_same(got, want)
    assert np.ndim(got.keys) == np.ndim(want.keys) == 0
    assert got.keys == want.keys
    assert type(got.keys) is type(want.keys)


def test_one_group_is_kept_with_its_tuple_of_keys(tmp_path):
    want = fit_keys((KEYS["strings"], KEYS["integers"]))[1]
    want.save(tmp_path / "result.npz")
    assert Result.load(tmp_path / "result.npz").keys == want.keys == ("é", 5)


def test_keys_that_a_file_can_not_hold_are_refused(tmp_path):
    days = frozen([dt.date(2020, 1, 1), dt.date(2020, 1, 2)], object)
    with pytest.raises(InputTypeError, match=r"^keys: got .*expected strings, numbers"):
        fit_keys(days).save(tmp_path / "result.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_overwritten(tmp_path):
    path = tmp_path / "result.npz"
    fit(3).save(path)
    fit(4).save(path)
    assert len(Result.load(path)) == 4
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()])
def test_a_save_that_fails_leaves_the_old_file_and_no_litter(error, tmp_path, monkeypatch):
    path = tmp_path / "result.npz"
    fit(3).save(path)
    before = path.read_bytes()

    def savez(file, **_):
        file.write(b"half a file")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", savez)
        with pytest.raises(type(error)):
            fit(4).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]


def test_saving_where_there_is_no_folder_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        fit().save(tmp_path / "nowhere" / "result.npz")
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_a_file_is_taken_as_it_is(tmp_path):
    fit().save(tmp_path / "no suffix")
    assert [file.name for file in tmp_path.iterdir()] == ["no suffix"]
    assert_same(Result.load(tmp_path / "no suffix"), fit())


FOREIGN = {
    "text": lambda path: path.write_text("not a result"),
    "empty": lambda path: path.write_bytes(b""),
    "an array": lambda path: path.write_bytes(array_bytes()),
    "other arrays": lambda path: np.savez(path, params=np.ones(3)),
    "other words": lambda path: np.savez(path, words=np.ones(3)),
    "a list of words": lambda path: np.savez(path, words=np.array('["format", 1]')),
    "a pickled array": lambda path: np.savez(path, words=np.array([None, 1], object)),
    "half a result": lambda path: (fit().save(path), path.write_bytes(path.read_bytes()[:900])),
    "a later format": lambda path: np.savez(path, words=np.array('{"format": 1000}')),
    "a pickle": lambda path: path.write_bytes(pickle.dumps(fit())),
}


def array_bytes():
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


@pytest.mark.parametrize("case", FOREIGN)
def test_a_file_that_save_did_not_write_is_refused(case, tmp_path):
    path = tmp_path / "foreign.npz"
    FOREIGN[case](path)
    with pytest.raises(InputError, match=r"^path: got .*foreign\.npz.*Result\.save"):
        Result.load(path)
    gc.collect()  # a file left open is a warning, and so an error


@pytest.mark.parametrize(
    "make",
    [
        fit,
        lambda: fit(5, add_intercept=True),
        lambda: fit(5, m=(3,)),
        lambda: fit(5, m=(3,), missing="drop"),
        lambda: fit(m=(3,)),
        lambda: fit_keys(["a", "b"]),
        lambda: fit(5, solver="accurate"),
        lambda: fit(5, singular="min_norm", ridge=1.0),
        troubled,
    ],
)
def test_what_a_result_holds_is_free_when_nobody_has_it(make):
    gc.collect()
    gc.disable()  # what is in a cycle would wait for a collection, which does not know how large
    try:
        result = make()
        for name in (*STATISTICS, "responses"):
            getattr(result, name)
        R = np.eye(len(result.terms))
        for each in (result.cov_params, result.conf_int, result.summary, result.__repr__):
            each()
        for each in (result.t_test, result.f_test):
            each(R)
        held = weakref.ref(result), weakref.ref(result._moments), weakref.ref(result._solution)
        del result, each
        assert [here() for here in held] == [None] * 3
    finally:
        gc.enable()


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Result.load(tmp_path / "nothing.npz")

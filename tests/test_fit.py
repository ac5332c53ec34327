"""`gpuols.fit` against exact answers and statsmodels: statuses, numbers, statistics, shapes."""

import math
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import judging
import numpy as np
import pytest
import statsmodels.api as sm
from case import Case, Regression, changed, gauss, regressions, scaled, with_zeros
from problems import CASES

import gpuols
from gpuols import Status

BY_NAME = {case.name: case for case in CASES}
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


@cache
def fitted(case: Case) -> gpuols.Result:
    X, y, weights = case.data()
    return gpuols.fit(X, y, weights=weights, **case.options)


class Answer(NamedTuple):
    """What a fit says of the m regressions at one place of the batch."""

    status: np.ndarray
    params: np.ndarray
    bse: np.ndarray
    ssr: np.ndarray
    error_bound: np.ndarray


def take(result: gpuols.Result, regression: Regression, name: str) -> np.ndarray:
    array = np.asarray(getattr(result, name))
    full = array[..., None] if result.single else array
    return full[regression.place][..., regression.responses]


def answer(result: gpuols.Result, regression: Regression) -> Answer:
    return Answer(*(take(result, regression, name) for name in Answer._fields))


# Statuses.


def test_names_of_cases_are_unique():
    assert len(BY_NAME) == len(CASES)


@every_case
def test_status(case):
    status = np.asarray(fitted(case).status)
    count = sum(each.y.shape[1] for each in regressions(case.data(), case.options))
    assert status.size == count
    for place in np.ndindex(status.shape):
        assert Status(status[place]) in case.allowed(place), place


# Numbers.


SOLVERS = ("auto", "accurate", "cholesky")


@every_case
def test_every_solver_answers_as_exact_arithmetic_does(case):
    asked = list(regressions(case.data(), case.options))
    for solver in SOLVERS:
        X, y, weights = case.data()
        options = {**case.options, "solver": solver}
        said = judging.numbers(gpuols.fit(X, y, weights=weights, **options))
        for each in asked:
            mine = judging.said_of(said, each)
            assert not judging.judge(each, mine, options).complaints, solver


@every_case
def test_ok_is_finite_and_within_tolerance_and_the_unknown_is_nan(case):
    result = fitted(case)
    for regression in regressions(case.data(), case.options):
        found = answer(result, regression)
        fine = found.status == Status.OK
        broken = found.status == Status.NONFINITE
        few = found.status == Status.TOO_FEW_ROWS
        for numbers in (found.params, found.bse):
            assert np.isfinite(numbers[:, fine]).all()
        for numbers in (found.params, found.bse, found.ssr[None]):
            assert np.isnan(numbers[:, broken]).all()
        assert np.isnan(found.bse[:, few]).all()
        assert (found.error_bound[fine] <= result.tol).all()
        assert (found.error_bound[fine] >= 0.0).all()
        assert np.isinf(found.error_bound[broken | few]).all()


EXACTLY_ENOUGH = [name for name in BY_NAME if "n=p" in name and "n=p+1" not in name]


@pytest.mark.parametrize("name", [name for name in EXACTLY_ENOUGH if "ridge" not in name])
def test_as_many_rows_as_coefficients_give_params_but_no_errors(name):
    case = BY_NAME[name]
    for regression in regressions(case.data(), case.options):
        found = answer(fitted(case), regression)
        exact = judging.solve(regression).params
        np.testing.assert_allclose(found.params, exact, rtol=1e-8, atol=1e-9)
        np.testing.assert_array_equal(found.ssr, 0.0)
        assert np.isnan(found.bse).all()


# Neighbours.


@pytest.mark.parametrize("add_intercept", [False, True])
@pytest.mark.parametrize("k", [4, 20])
def test_a_penalty_leaves_unpenalised_neighbours_alone(k, add_intercept):
    X, y, _ = gauss(50, k, (3,))(np.random.default_rng(5))
    options = {"add_intercept": add_intercept, "batch_size": 3}
    mixed = gpuols.fit(frozen(X), frozen(y), ridge=[0.0, 2.0, 0.0], **options)
    plain = gpuols.fit(frozen(X), frozen(y), **options)
    for name in ("params", "bse", "error_bound", "status", "df_resid"):
        for i in (0, 2):
            np.testing.assert_array_equal(getattr(mixed, name)[i], getattr(plain, name)[i])


@pytest.mark.parametrize("name", ["NaN in X, row 7", "duplicated column", "zero column, intercept"])
def test_trouble_leaves_neighbours_alone(name):
    case = BY_NAME[name]
    X, y, _ = case.data()
    alone = gpuols.fit(X[::2], y[::2], **case.options)
    for statistic in ("params", "bse", "error_bound", "status"):
        together = getattr(fitted(case), statistic)[::2]
        np.testing.assert_array_equal(together, getattr(alone, statistic))


# Statistics.

SAME_NAME = {
    "params bse tvalues pvalues": "p m",
    "ssr scale centered_tss uncentered_tss rsquared rsquared_adj fvalue f_pvalue llf aic bic": "m",
    "nobs df_model df_resid": "m",
}


class Statistic(NamedTuple):
    """How gpuols and statsmodels (of one response) say the same."""

    mine: Any
    theirs: Any
    tail: str = "m"  # the shape after L

    def of_response(self, array: np.ndarray, i: int) -> np.ndarray:
        """What belongs to one response, where there are several."""
        if "m" not in self.tail.split():
            return array
        return array.take(i, axis=self.tail.split().index("m") - len(self.tail.split()))


def contrasts(p: int) -> np.ndarray:
    return np.array([np.linspace(1.0, -2.0, p), np.arange(p) == p - 1], dtype=np.float64)


def t_test(result: gpuols.Result) -> gpuols.Contrast:
    return result.t_test(contrasts(len(result.terms)))


def f_test(result: gpuols.Result) -> gpuols.Contrast:
    return result.f_test(contrasts(len(result.terms)))


def their_t_test(model: Any) -> Any:
    return model.t_test(contrasts(model.params.size))


def their_f_test(model: Any) -> Any:
    return model.f_test(contrasts(model.params.size))


STATISTICS = {
    name: Statistic(attrgetter(name), attrgetter(name), tail)
    for names, tail in SAME_NAME.items()
    for name in names.split()
} | {
    "conf_int": Statistic(lambda r: r.conf_int(), lambda s: s.conf_int(), "p m 2"),
    "conf_int 99%": Statistic(
        lambda r: r.conf_int(alpha=0.01), lambda s: s.conf_int(0.01), "p m 2"
    ),
    "cov_params": Statistic(lambda r: r.cov_params(), lambda s: s.cov_params(), "m p p"),
    "normalized_cov": Statistic(
        lambda r: r.normalized_cov, lambda s: s.normalized_cov_params, "p p"
    ),
    "t_test effect": Statistic(lambda r: t_test(r).effect, lambda s: their_t_test(s).effect, "r m"),
    "t_test sd": Statistic(lambda r: t_test(r).sd, lambda s: their_t_test(s).sd.ravel(), "r m"),
    "t_test statistic": Statistic(
        lambda r: t_test(r).statistic, lambda s: their_t_test(s).tvalue.ravel(), "r m"
    ),
    "t_test pvalue": Statistic(lambda r: t_test(r).pvalue, lambda s: their_t_test(s).pvalue, "r m"),
    "t_test df": Statistic(lambda r: t_test(r).df_denom, lambda s: their_t_test(s).df_denom),
    "f_test statistic": Statistic(lambda r: f_test(r).statistic, lambda s: their_f_test(s).fvalue),
    "f_test pvalue": Statistic(lambda r: f_test(r).pvalue, lambda s: their_f_test(s).pvalue),
}

every_statistic = pytest.mark.parametrize("name", STATISTICS)
with_and_without_intercept = pytest.mark.parametrize(
    "add_intercept", [False, True], ids=["no intercept", "intercept"]
)
with_and_without_weights = pytest.mark.parametrize(
    "weighted", [False, True], ids=["no weights", "weights"]
)
one_and_several_responses = pytest.mark.parametrize("m", [None, 3], ids=["y (n,)", "Y (n, m)"])


def close(got: Any, want: Any) -> None:
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-10)


def design_of(X: np.ndarray, add_intercept: bool) -> np.ndarray:
    return np.column_stack([np.ones(len(X)), X]) if add_intercept else X


def reference(X: Any, y: Any, weights: Any, add_intercept: bool) -> Any:
    """Fit of one response by statsmodels, which counts rows of zero weight unless left out."""
    design = design_of(X, add_intercept)
    if weights is None:
        return sm.OLS(y, design, hasconst=add_intercept).fit(method="qr")
    there = weights > 0
    model = sm.WLS(y[there], design[there], weights[there], hasconst=add_intercept)
    return model.fit(method="qr")


@cache
def data_and_fits(add_intercept: bool, weighted: bool, m: int | None) -> Any:
    rng = np.random.default_rng(11)
    X, y, weights = gauss(60, 3, (), m, with_zeros if weighted else None)(rng)
    X, y, weights = frozen(X), frozen(y), frozen(weights) if weighted else None
    result = gpuols.fit(X, y, weights=weights, add_intercept=add_intercept)
    responses = [y] if m is None else list(y.T)
    return X, y, result, [reference(X, each, weights, add_intercept) for each in responses]


@every_statistic
@with_and_without_intercept
@with_and_without_weights
@one_and_several_responses
def test_statistics_agree_with_statsmodels(name, add_intercept, weighted, m):
    statistic = STATISTICS[name]
    _, _, result, references = data_and_fits(add_intercept, weighted, m)
    got = np.asarray(statistic.mine(result))
    for i, each in enumerate(references):
        close(got if m is None else statistic.of_response(got, i), statistic.theirs(each))


@with_and_without_intercept
@with_and_without_weights
@one_and_several_responses
def test_fitted_values_and_residuals_agree_with_statsmodels(add_intercept, weighted, m):
    X, y, result, references = data_and_fits(add_intercept, weighted, m)
    fitted_values = [each.predict(design_of(X, add_intercept)) for each in references]
    want = fitted_values[0] if m is None else np.stack(fitted_values, axis=-1)
    close(result.predict(X), want)
    np.testing.assert_allclose(result.resid(X, y), y - want, rtol=1e-10, atol=1e-13)


SIZES = {"b": 19, "a": 30, "d": 24, "c": 19}


@cache
def grouped_data_and_fits(add_intercept: bool, weighted: bool, m: int | None) -> Any:
    rng = np.random.default_rng(12)
    keys = rng.permutation(np.repeat(list(SIZES), list(SIZES.values())))
    X, y, weights = gauss(len(keys), 3, (), m, with_zeros if weighted else None)(rng)
    X, y, weights = frozen(X), frozen(y), frozen(weights) if weighted else None
    result = gpuols.fit_groups(X, y, keys, weights=weights, add_intercept=add_intercept)
    references = []
    for key in sorted(SIZES):
        mine = keys == key
        responses = [y[mine]] if m is None else list(y[mine].T)
        w = weights[mine] if weighted else None
        references.append([reference(X[mine], each, w, add_intercept) for each in responses])
    return X, y, keys, result, references


@every_statistic
@with_and_without_intercept
@with_and_without_weights
@one_and_several_responses
def test_statistics_of_groups_agree_with_statsmodels(name, add_intercept, weighted, m):
    statistic = STATISTICS[name]
    *_, result, references = grouped_data_and_fits(add_intercept, weighted, m)
    got = np.asarray(statistic.mine(result))
    for group, responses in zip(got, references, strict=True):
        for i, each in enumerate(responses):
            close(group if m is None else statistic.of_response(group, i), statistic.theirs(each))


@with_and_without_intercept
@with_and_without_weights
@one_and_several_responses
def test_fitted_values_of_groups_agree_with_statsmodels(add_intercept, weighted, m):
    X, y, keys, result, references = grouped_data_and_fits(add_intercept, weighted, m)
    np.testing.assert_array_equal(result.keys, sorted(SIZES))
    want = np.empty_like(y)
    for key, responses in zip(result.keys, references, strict=True):
        values = [each.predict(design_of(X[keys == key], add_intercept)) for each in responses]
        want[keys == key] = values[0] if m is None else np.stack(values, axis=-1)
    close(result.predict(X, groups=keys), want)
    got = result.resid(X, y, groups=keys)
    np.testing.assert_allclose(got, y - want, rtol=1e-10, atol=1e-13)


def test_groups_by_offsets_are_the_groups_by_keys():
    rng = np.random.default_rng(13)
    X, y, weights = map(frozen, gauss(50, 3, (), 2, with_zeros)(rng))
    offsets = [0, 20, 20, 27, 50]
    options = {"weights": weights, "add_intercept": True}
    by_offsets = gpuols.fit_groups(X, y, offsets=offsets, **options)
    by_keys = gpuols.fit_groups(X, y, np.repeat([0, 2, 3], [20, 7, 23]), **options)
    assert (by_offsets.status[1] == Status.TOO_FEW_ROWS).all()
    for name in ("params", "bse", "llf"):
        got = getattr(by_offsets, name)[[0, 2, 3]]
        np.testing.assert_allclose(got, getattr(by_keys, name), rtol=1e-12)


@pytest.mark.parametrize("factors", [(1.0, 1.0, 1.0), (2.0**27, 1.0, 2.0**-27)])
def test_joint_test_does_not_depend_on_units(factors):
    X, y, _ = changed(gauss(60, 3, ()), scaled(*factors))(np.random.default_rng(14))
    plain = gpuols.fit(frozen(X / factors), frozen(y), add_intercept=True)
    result = gpuols.fit(frozen(X), frozen(y), add_intercept=True)
    R = np.eye(4)[1:]
    close(result.f_test(R).statistic, plain.f_test(R).statistic)
    close(result.f_test(R).statistic, result.fvalue)


def test_many_rows_without_columns():
    y = np.random.default_rng(0).normal(size=(5000, 2))
    for solver in ("auto", "accurate"):
        found = gpuols.fit(np.zeros((5000, 0)), y, add_intercept=True, solver=solver)
        np.testing.assert_allclose(found.params, [y.mean(axis=0)], rtol=1e-12)


def test_predictions_at_rows_shared_by_a_batch():
    X, y, _ = gauss(30, 3, (4,))(np.random.default_rng(15))
    result = gpuols.fit(frozen(X), frozen(y), add_intercept=True)
    new = frozen(X[0, :5])
    want = result.params[:, :1] + result.params[:, 1:] @ new.T
    close(result.predict(new), want)


# Shapes.

SHAPES = SAME_NAME | {
    "log10_pvalues": "p m",
    "rank status error_bound": "m",
    "normalized_cov": "p p",
}
TAILS = {name: tail for names, tail in SHAPES.items() for name in names.split()}


@pytest.mark.parametrize("m", [None, 0, 1, 5])
@pytest.mark.parametrize("lead", [(), (2, 3), (0,), (1,)])
@with_and_without_intercept
def test_shapes(lead, m, add_intercept):
    X, y, _ = gauss(30, 3, lead, m)(np.random.default_rng(16))
    result = gpuols.fit(frozen(X), frozen(y), add_intercept=add_intercept)
    sizes = {"p": (3 + add_intercept,), "m": () if m is None else (m,), "r": (2,), "2": (2,)}

    def shape(tail: str) -> tuple[int, ...]:
        return lead + sum((sizes[letter] for letter in tail.split()), ())

    for name, tail in TAILS.items():
        array = np.asarray(getattr(result, name))
        assert array.shape == shape(tail), name
        assert array.dtype == {"status": np.int8, "rank": np.int64}.get(name, np.float64), name
    for name, statistic in STATISTICS.items():
        assert np.shape(statistic.mine(result)) == shape(statistic.tail), name
    rows = (*lead, 30, *sizes["m"])
    assert np.shape(result.predict(X)) == rows
    assert np.shape(result.resid(X, y)) == rows


@every_case
def test_every_statistic_can_be_read(case):
    """Without a warning, whatever went wrong, and of the shape of the rest."""
    result = fitted(case)
    p, m = (len(result.terms),), () if result.single else (len(result.responses),)
    lead = np.shape(result.status)[: np.ndim(result.status) - len(m)]
    own_rows = {"normalized_cov": "m p p"} if result.apart else {}
    for name, tail in (TAILS | own_rows).items():
        want = lead + sum(({"p": p, "m": m}[letter] for letter in tail.split()), ())
        assert np.shape(getattr(result, name)) == want, name
    for statistic in STATISTICS.values():
        if p[0] > 1:
            assert np.shape(statistic.mine(result))[: len(lead)] == lead
    X, y, _ = case.data()
    assert np.shape(result.resid(X, y)) == np.shape(result.predict(X))


def test_contrasts_keep_their_digits_where_the_columns_are_far_from_zero():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((60, 3)) + 1e7
    result = gpuols.fit(x, rng.standard_normal(60), add_intercept=True).check()
    at_the_mean = np.r_[1.0, [math.fsum(column) / 60 for column in x.T]]
    test = result.t_test(at_the_mean)
    np.testing.assert_allclose(test.sd, np.sqrt(result.scale / 60), rtol=1e-9)
    together = result.f_test(at_the_mean)
    np.testing.assert_allclose(together.statistic, test.statistic[0] ** 2, rtol=1e-9)

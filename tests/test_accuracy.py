"""Digits: on NIST's regressions, on families of hard ones, and in what is called OK.

The answers are exact for the binary64 data that gpuols is given.
"""

import numpy as np
import oracle
import pytest

import gpuols
from benchmarks import ensembles, families, nist, stress
from benchmarks.digits import lre
from gpuols import Status

DATA = {data.name: data for data in nist.datasets()}
TOL = 1e-10

# That lines are reached is seen elsewhere; to count them would take a third of the time.
pytestmark = pytest.mark.uncovered

every_set = pytest.mark.parametrize("data", DATA.values(), ids=DATA)


def fit(data, solver):
    return gpuols.fit(data.X, data.y, add_intercept=data.add_intercept, solver=solver, tol=TOL)


def worst(value, exact, size):
    """Largest error in units of a size."""
    return np.max(oracle.relative_error(value, exact, size))


# What a digit is.


@pytest.mark.parametrize(
    ("value", "exact", "digits"),
    [
        (1.0, 1.0, 16.0),
        (1.001, 1.0, 3.0),
        (-2000.2, -2000.0, 4.0),
        (1.0 + 2.0**-52, 1.0, 15.653559774527022),
        (np.nextafter(0.1, 0.0), 0.1, 15.857679757182977),
        (5.0, 1.0, 0.0),
        (-1.0, 1.0, 0.0),
        (np.nan, 1.0, 0.0),
        (np.inf, 1.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, 0.0, 16.0),
        (1e-5, 0.0, 5.0),
        (1e-30, 0.0, 16.0),
        (1e-200, 2e-200, -np.log10(0.5)),
    ],
)
def test_digits_are_those_of_the_relative_error(value, exact, digits):
    assert lre(value, exact) == pytest.approx(digits, rel=1e-12, abs=1e-12)


def test_digits_are_counted_number_by_number():
    np.testing.assert_allclose(lre([1.01, 2.0, np.nan], [1.0, 2.0, 3.0]), [2.0, 16.0, 0.0])


# NIST's linear regressions.


def test_all_of_nists_sets_are_there():
    assert list(DATA) == [
        *("Norris", "Pontius", "NoInt1", "NoInt2", "Filip", "Longley"),
        *("Wampler1", "Wampler2", "Wampler3", "Wampler4", "Wampler5"),
    ]


@every_set
def test_nists_answers_are_those_of_the_oracle(data):
    exact = oracle.solve(data.X, data.y[:, None], add_intercept=data.add_intercept)
    np.testing.assert_array_equal(data.params, exact.params[:, 0])
    np.testing.assert_array_equal(data.bse, exact.bse[:, 0])
    tss = exact.centered_tss if data.add_intercept else exact.uncentered_tss
    assert data.ssr == exact.ssr[0]
    assert data.residual_sd == pytest.approx(np.sqrt(exact.ssr[0] / exact.df_resid), rel=1e-15)
    assert data.rsquared == pytest.approx(1.0 - exact.ssr[0] / tss[0], rel=1e-15)


@every_set
def test_accurate_digits_of_nists_sets(data):
    floor = 11.0 if data.name == "Filip" else 15.0
    result = fit(data, "accurate")
    assert result.status == Status.OK
    assert result.solved_precisely
    assert lre(result.params, data.params).min() >= floor
    assert lre(result.bse, data.bse).min() >= floor
    assert lre(result.ssr, data.ssr) >= floor
    assert result.rsquared == pytest.approx(data.rsquared, rel=0, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("Norris", 11.0),
        ("Pontius", 10.0),
        ("Longley", 10.5),
        *((f"Wampler{i}", 4.5) for i in range(1, 6)),
    ],
)
def test_digits_of_the_fast_recipe(name, floor):
    assert lre(fit(DATA[name], "cholesky").params, DATA[name].params).min() >= floor


def test_the_fast_recipe_flags_filip():
    assert fit(DATA["Filip"], "cholesky").status == Status.UNTRUSTED


@every_set
def test_numbers_called_ok_are_right_on_nists_sets(data):
    result = fit(data, "auto")
    assert result.status == Status.OK
    size = np.fmax(np.abs(data.params), data.bse)
    assert worst(result.params, data.params, size) <= TOL
    assert worst(result.bse, data.bse, data.bse) <= TOL


def test_auto_solves_filip_precisely_and_noint_fast():
    assert fit(DATA["Filip"], "auto").solved_precisely
    assert not fit(DATA["NoInt1"], "auto").solved_precisely


# Families of hard regressions.


@pytest.mark.parametrize("family", stress.FAMILIES)
@pytest.mark.parametrize("difficulty", [1e3, 1e6, 1e9])
def test_accurate_has_no_fewer_digits_than_qr(family, difficulty):
    batch = stress.FAMILIES[family](np.random.default_rng(7), difficulty, 40)
    result = batch.fit(solver="accurate")
    solved = np.isin(result.status, [Status.OK, Status.UNTRUSTED]).all(axis=1)
    assert solved.any()
    right = np.stack([exactly(single).params for single in batch.singles()])
    digits = [lre(b, right).min(axis=(1, 2))[solved] for b in (result.params, stress.by_qr(batch))]
    ours, theirs = (np.quantile(one, 0.05, method="lower") for one in digits)
    assert ours >= theirs


def exactly(single, digits=oracle.DIGITS):
    """Exact answers to X (n, k), y (n, m)."""
    return oracle.solve(
        single.X,
        single.y,
        single.weights,
        add_intercept=single.add_intercept,
        ridge=single.ridge,
        digits=digits,
    )


# What OK is worth.


@pytest.fixture(scope="module")
def draws():
    """Random regressions of every ensemble: its name, the batch, exact answers or None."""
    found = []
    for index in range(96):
        ensemble, _, batch = ensembles.draw(11, index, columns=6, sizes=(30, 60, 120), count=8)
        # Weights between 1e-100 and 1e100 use up two hundred digits.
        found.append((ensemble, batch, [exactly_or_none(single) for single in batch.singles()]))
    return found


def exactly_or_none(single):
    try:
        return exactly(single, 500)
    except oracle.SingularDesignError:
        return None


def judged(draws, **options):
    """Status and worst error of each regression that has an exact answer."""
    for index, (ensemble, batch, answers) in enumerate(draws):
        result = ensembles.fit(ensemble, batch, np.random.default_rng(index), **options)
        arrays = (np.asarray(a) for a in (result.status, result.params, result.bse, result.ssr))
        status, params, bse, ssr = (a[None] if batch.X.ndim == 2 else a for a in arrays)
        for place, exact in enumerate(answers):
            if exact is None:
                continue
            yield from zip(
                status[place], errors(params[place], bse[place], ssr[place], exact), strict=True
            )


def errors(params, bse, ssr, exact):
    """Worst error of each response: coefficients, standard errors, residual deviation; (m,).

    Where the fit is said to be exact, standard errors of zero are judged in units of the
    coefficients.
    """
    size = np.fmax(np.abs(exact.params), exact.bse)
    unit = np.where(ssr == 0, size, exact.bse)
    sd = np.where(ssr == 0, 0.0, oracle.relative_error(np.sqrt(ssr), np.sqrt(exact.ssr), 0.0))
    parts = [
        oracle.relative_error(params, exact.params, size),
        np.abs(bse - exact.bse) / unit,
        sd[None],
    ]
    return np.concatenate(parts).max(axis=0)


@pytest.mark.parametrize("tol", [1e-6, 1e-10])
@pytest.mark.parametrize("solver", ["auto", "cholesky"])
def test_nothing_called_ok_is_wrong(draws, solver, tol):
    found = list(judged(draws, solver=solver, tol=tol))
    accepted = [error for status, error in found if status == Status.OK]
    assert len(found) >= 400
    assert len(accepted) >= (300 if solver == "auto" else 100)
    assert np.max(accepted) <= tol


def worst_called_ok(batch, **options):
    """Largest error among regressions called OK; NaN where one has a number that is NaN."""
    result = batch.fit(**options)
    found = [0.0]
    for place, single in enumerate(batch.singles()):
        numbers = (a[place] for a in (result.params, result.bse, result.ssr))
        found += errors(*numbers, exactly(single, 200))[result.status[place] == Status.OK].tolist()
    return np.max(found)


def test_close_fits_of_near_duplicates_keep_their_standard_errors():
    rng = np.random.default_rng(5)
    X = families.near_duplicates(rng, 1e7, (10, 60, 8))
    batch = families.Batch(X, families.respond(rng, X, 1e-9), True)
    assert worst_called_ok(batch, solver="accurate", tol=TOL) <= TOL


def test_a_heavy_row_does_not_pass_for_an_exact_fit():
    rng = np.random.default_rng(3)
    X = families.far_from_zero(rng, 1e2, (20, 9, 2))
    weights = families.WEIGHTS["one very heavy"](rng, (20, 9))
    batch = families.Batch(X, families.respond(rng, X, 1e-6), True, weights)
    assert worst_called_ok(batch, solver="accurate", tol=TOL) <= TOL


@pytest.mark.parametrize("solver", ["auto", "cholesky"])
def test_a_variance_lost_under_a_penalty_is_not_called_ok(solver):
    rng = np.random.default_rng(9)
    X = families.near_duplicate(rng, 1e8, (10, 60, 3))
    y = X.sum(axis=2, keepdims=True) + 0.01 * rng.standard_normal((10, 60, 1))
    batch = families.Batch(X, y, False, ridge=1e-6)
    assert worst_called_ok(batch, solver=solver, tol=1e-6) <= 1e-6

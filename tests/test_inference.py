"""p-values and quantiles against mpmath, at the edges, and where one method hands to another."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from gpuols import inference
from gpuols.inference import f_pvalues, t_log10_pvalues, t_pvalues, t_quantile

DFS = (0.5, 1.0, 2.0, 3.7, 10.0, 39.9, 40.0, 100.0, 1e4, 1e6, 1e9)
NEAR = (1e-12, 1e-9, 1e-5, 0.01, 0.3, 1.0, 1.9, 3.0, 6.2, 12.0, 25.0)
FAR = (31.999999, 32.0, 32.1, 36.5, 45.0, 100.0, 5e3, 1e6)
BEYOND = (1e30, 1e99, 1.1e100, 1e150, 1e200)
PROBABILITIES = (1e-300, 1e-20, 0.005, 0.025, 0.2499, 0.2501, 0.4999, 0.5 - 1e-9, 0.5 + 1e-12)
PROBABILITIES += (0.6, 0.7499, 0.7501, 0.9, 0.975, 0.995, 1 - 1e-6, 1 - 1e-12)


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(80):
        yield


def lentz(a, b, x):
    """I_x(a, b) by DLMF 8.17.22, which converges fast for x < (a + 1)/(a + b + 2)."""
    value, c, d, n = mpf(1), mpf(1), mpf(0), 0
    while n < 2 or abs(c * d - 1) > mpf(10) ** -70:
        n += 1
        m = n // 2
        if n % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / (1 + term * d), 1 + term / c
        value *= c * d
    log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    return mp.exp(a * mp.log(x) + b * mp.log1p(-x) - log_beta) / a / value


def f_sides(f, df_num, df_den):
    """P(F > f) and P(F < f)."""
    a, b = mpf(df_den) / 2, mpf(df_num) / 2
    x = 1 / (1 + f * b / a)
    if x < (a + 1) / (a + b + 2):
        tail = lentz(a, b, x)
        return tail, 1 - tail
    body = lentz(b, a, 1 - x)
    return 1 - body, body


def t_sides(t, df):
    """P(|T| > t) and P(|T| < t)."""
    return f_sides(mpf(float(t)) ** 2, 1, float(df))


def error(got, want):
    return float(abs(mpf(float(got)) / want - 1))


@pytest.mark.parametrize(
    ("f", "num", "den"), [(1.3, 1, 2), (2, 3, 7), (0.5, 4.5, 60), (30, 1, 1e4)]
)
def test_oracle_agrees_with_mpmath(f, num, den):
    x = 1 / (1 + mpf(f) * num / mpf(den))
    want = mp.betainc(mpf(den) / 2, mpf(num) / 2, 0, x, regularized=True)
    assert abs(f_sides(mpf(f), num, den)[0] / want - 1) < 1e-40


@pytest.mark.parametrize("df", DFS)
def test_t_pvalues(df):
    t = np.array(NEAR + FAR + BEYOND)
    for size, got in zip(t, t_pvalues(t, df), strict=True):
        want = t_sides(size, df)[0]
        if want > 1e-300:
            assert error(got, want) < 5e-13, size
        else:
            assert 0 <= got <= 1.001e-300


def test_t_pvalues_of_one_degree_of_freedom_near_one():
    t = np.geomspace(1e-15, 1e-3, 25)
    np.testing.assert_allclose(1 - t_pvalues(t, 1), 2 / np.pi * np.arctan(t), rtol=0, atol=3e-16)


@pytest.mark.parametrize("df", [*DFS, 1e12])
def test_t_log10_pvalues(df):
    t = np.array(NEAR + FAR + BEYOND)
    for size, got in zip(t, t_log10_pvalues(t, df), strict=True):
        tail, body = t_sides(size, df)
        want = (mp.log1p(-body) if tail > 0.5 else mp.log(tail)) / mp.log(10)
        assert error(got, want) < 5e-15, size
        if want > -1e4:
            assert abs(got - want) < 1e-11, size


@pytest.mark.parametrize("df", [*DFS, 1.5, 4.0, 5.5, 1e12, 1e15])
def test_t_quantile(df):
    checked = 0
    for probability, got in zip(PROBABILITIES, t_quantile(PROBABILITIES, df), strict=True):
        below = mpf(probability)
        assert np.sign(got) == np.sign(probability - 0.5)
        if np.isinf(got):
            assert (df, probability) == (0.5, 1e-300)
            continue
        tail, body = t_sides(abs(got), df)
        residual = body - abs(2 * below - 1) if tail > 0.5 else 2 * min(below, 1 - below) - tail
        size, v = mpf(float(abs(got))), mpf(df)
        constant = mp.exp(mp.loggamma((v + 1) / 2) - mp.loggamma(v / 2)) / mp.sqrt(v * mp.pi)
        density = constant * (1 + size**2 / v) ** (-(v + 1) / 2)
        assert abs(residual / (2 * density * size)) < 1e-12, probability
        checked += 1
    assert checked >= len(PROBABILITIES) - 1


def test_t_quantile_inverts_closed_forms():
    p = np.array(PROBABILITIES)
    cauchy = [float(-mpmath.cot(mp.pi * mpf(q))) for q in PROBABILITIES]
    np.testing.assert_allclose(t_quantile(p, 1), cauchy, rtol=1e-12)
    two = [float((2 * mpf(q) - 1) / mp.sqrt(2 * mpf(q) * (1 - mpf(q)))) for q in PROBABILITIES]
    np.testing.assert_allclose(t_quantile(p, 2), two, rtol=1e-12)


@pytest.mark.parametrize("df", [0.02, 0.05, 0.2])
def test_t_quantile_converges_where_the_start_is_poor(df):
    p = np.array([0.2501, 0.4, 0.4999, 0.6, 0.7499])
    np.testing.assert_allclose(
        t_pvalues(t_quantile(p, df), df), 2 * np.minimum(p, 1 - p), rtol=1e-12
    )


@pytest.mark.parametrize("den", [0.5, 1.0, 2.0, 3.7, 10.0, 100.0, 1e4, 1e6, 1e9])
@pytest.mark.parametrize("num", [0.5, 1.0, 2.0, 3.0, 4.5, 10.0, 100.0, 1e3])
def test_f_pvalues(num, den):
    width = min(np.sqrt(2 / num + 2 / den), 5.0)
    f = np.concatenate([[1e-10, 1e-3, 1.0, 20.0, 1e6], np.exp(width * np.array([-2.0, 0.7, 3, 9]))])
    for ratio, got in zip(f, f_pvalues(f, num, den), strict=True):
        want = f_sides(mpf(float(ratio)), num, den)[0]
        if want > 1e-290:
            assert error(got, want) < 1e-12, ratio
        else:
            assert 0 <= got <= 1.001e-290


def test_f_pvalues_of_whole_numbers_and_many_rows():
    for f, num, den in [(15.41, 4, 3.779e9), (2.075, 38, 2.59e9), (1.09, 78, 1.013e9)]:
        assert error(f_pvalues(f, num, den), f_sides(mpf(f), num, den)[0]) < 5e-12


@pytest.mark.parametrize("df", DFS)
def test_one_numerator_degree_of_freedom_is_t_squared(df):
    t = np.array([0.01, 1.0, 2.5, 30.0, 33.0])
    np.testing.assert_allclose(f_pvalues(t * t, 1, df), t_pvalues(t, df), rtol=1e-12)


@pytest.mark.parametrize("df", [*DFS, 1e12])
def test_near_and_far_methods_meet(df, monkeypatch):
    t = np.array([30.0, 32.0, 34.0])
    far_p, far_log = [], []
    for threshold in (20.0, 36.0):
        monkeypatch.setattr(inference, "_FAR", threshold)
        far_p.append(t_pvalues(t, df))
        far_log.append(t_log10_pvalues(t, df))
    np.testing.assert_allclose(*far_p, rtol=1e-12)
    np.testing.assert_allclose(*far_log, rtol=2e-15)
    assert not np.array_equal(far_p, [far_p[0]] * 2) or df < 1, "the same method ran twice"


def test_gamma_and_series_meet(monkeypatch):
    a = np.array([15.0, 20.0, 30.0])
    values = []
    for threshold in (1.0, 100.0):
        monkeypatch.setattr(inference, "_STIRLING_FROM", threshold)
        values.append(inference._log_scaled_beta(a))
    np.testing.assert_allclose(*values, rtol=0, atol=3e-14)


def test_log_is_the_log_of_p():
    t, df = np.meshgrid(np.array(NEAR[3:] + FAR[:3]), np.array(DFS))
    np.testing.assert_allclose(t_log10_pvalues(t, df), np.log10(t_pvalues(t, df)), atol=1e-12)


@pytest.mark.parametrize("df", [0.5, 1.0, 7.0, 1e9])
def test_edges_of_t(df):
    t = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(t_pvalues(t, df), [1, 1, 0, 0, np.nan])
    np.testing.assert_array_equal(t_log10_pvalues(t, df), [0, 0, -np.inf, -np.inf, np.nan])


def test_edges_of_f():
    f = np.array([0.0, -1e-20, -np.inf, np.inf, np.nan])
    for num, den in [(1, 1), (2, 2), (3, 1e9), (1e4, 0.5)]:
        np.testing.assert_array_equal(f_pvalues(f, num, den), [1, 1, 1, 0, np.nan])


def test_edges_of_probability():
    p = np.array([0.0, 0.5, 1.0, -1e-9, 1 + 1e-9, np.nan])
    want = [-np.inf, 0, np.inf, np.nan, np.nan, np.nan]
    for df in (0.5, 1.0, 7.0, 1e9):
        np.testing.assert_array_equal(t_quantile(p, df), want)


@pytest.mark.parametrize("df", [0.0, -1.0, -np.inf, np.inf, np.nan])
def test_degrees_of_freedom_without_a_distribution(df):
    x = np.array([0.0, 0.5, 1.0, 40.0, np.inf])
    every = [t_pvalues(x, df), t_log10_pvalues(x, df), t_quantile(x[:3], df)]
    every += [f_pvalues(x, df, 5), f_pvalues(x, 5, df), f_pvalues(-x, df, df)]
    for values in every:
        assert np.all(np.isnan(values))


def test_a_bad_neighbour_changes_nothing():
    df = np.array([5.0, np.nan, 0.0, 9.0])
    np.testing.assert_array_equal(t_pvalues(2.0, df)[[0, 3]], t_pvalues(2.0, df[[0, 3]]))
    p = np.array([0.0, 0.975, np.nan, 0.3])
    np.testing.assert_array_equal(t_quantile(p, 6.0)[[1, 3]], t_quantile(p[[1, 3]], 6.0))


def test_a_slow_neighbour_changes_nothing():
    df = np.array([3.0, 0.02, 7.5, 40.0])
    for p in (0.3, 0.7, 0.975):
        alone = [t_quantile(p, each) for each in df]
        np.testing.assert_array_equal(t_quantile(p, df), alone)


def test_sign_of_t_does_not_matter():
    t = np.array(NEAR + FAR + BEYOND)
    np.testing.assert_array_equal(t_pvalues(-t, 3.7), t_pvalues(t, 3.7))
    np.testing.assert_array_equal(t_log10_pvalues(-t, 3.7), t_log10_pvalues(t, 3.7))


def test_quantiles_are_symmetric():
    p = np.array([0.25, 0.125, 0.375, 0.0625])
    np.testing.assert_array_equal(t_quantile(p, 3.7), -t_quantile(1 - p, 3.7))


@pytest.mark.parametrize("function", [t_pvalues, t_log10_pvalues, t_quantile])
def test_broadcasting(function):
    x, df = np.linspace(0.1, 0.9, 3), np.array([[1.0], [2.5], [9.0], [1e6]])
    whole = function(x, df)
    assert whole.shape == (4, 3)
    assert whole.dtype == np.float64
    for i, j in np.ndindex(4, 3):
        single = function(x[j], df[i, 0])
        assert single.shape == ()
        assert single == whole[i, j]
    assert function(np.empty((0, 3)), np.ones(3)).shape == (0, 3)
    assert function(np.empty(0), 4).shape == (0,)


def test_broadcasting_of_f():
    f, num, den = np.ones(2), np.ones((3, 1)), np.arange(1.0, 5).reshape(4, 1, 1)
    whole = f_pvalues(f, num, den)
    assert whole.shape == (4, 3, 2)
    assert f_pvalues(1, 1, 3).shape == ()
    assert f_pvalues(1, 1, 3) == whole[2, 1, 1]
    assert f_pvalues(np.empty((0, 2)), 1, np.ones(2)).shape == (0, 2)


def test_arguments_are_left_alone():
    t, df, p = np.array([-1.0, 40.0]), np.array([3.0, -1.0]), np.array([0.1, 0.7])
    for function, first in [(t_pvalues, t), (t_log10_pvalues, t), (t_quantile, p)]:
        before = first.copy(), df.copy()
        function(first, df)
        f_pvalues(first, df, df)
        np.testing.assert_array_equal((first, df), before)


sizes = st.floats(1e-6, 1e12)
degrees = st.floats(0.5, 1e10)


@settings(deadline=None)
@given(size=sizes, growth=st.floats(1.0, 10.0), df=degrees)
def test_pvalues_fall_as_t_grows(size, growth, df):
    larger = size * growth
    assert t_pvalues(larger, df) <= t_pvalues(size, df) * (1 + 1e-12)
    near, far = t_log10_pvalues(size, df), t_log10_pvalues(larger, df)
    assert far <= near + 1e-14 * abs(near)


@settings(deadline=None)
@given(f=sizes, growth=st.floats(1.0, 10.0), num=st.floats(0.5, 1e3), den=degrees)
def test_pvalues_fall_as_f_grows(f, growth, num, den):
    assert f_pvalues(f * growth, num, den) <= f_pvalues(f, num, den) * (1 + 1e-11)


@settings(deadline=None)
@given(probability=st.floats(1e-9, 1 - 1e-9), df=degrees)
def test_quantile_and_pvalue_are_inverse(probability, df):
    two_sided = t_pvalues(t_quantile(probability, df), df)
    want = 2 * min(probability, 1 - probability)
    assert two_sided == pytest.approx(want, rel=1e-12)

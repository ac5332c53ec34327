"""A regression's bits depend on its own rows and the options alone; inputs are never written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuols
from gpuols.options import THREADS_VARIABLE

NUMBERS = ("params", "bse", "ssr", "scale", "rsquared", "error_bound", "status", "nobs", "df_resid")

# Around every change of strategy: k = 16 | 17 (Cholesky), blocks of 256 rows, pieces of 4096.
SHAPES = [
    (5, 1, 1),
    (9, 3, 2),
    (60, 4, 1),
    (100, 5, 3),
    (255, 2, 1),
    (257, 7, 1),
    (300, 16, 2),
    (300, 17, 2),
    (300, 33, 1),
    (4096, 3, 1),
    (4100, 3, 2),
    (9000, 2, 1),
]
VARIANTS = ["plain", "intercept", "weights", "ridge", "all"]

# That lines are reached is seen elsewhere; to count them would take a third of the time.
pytestmark = pytest.mark.uncovered


def batch(shape, variant, count=6, seed=0):
    """Data and options of a batch (count, n, k) with m responses."""
    n, k, m = shape
    rng = np.random.default_rng([seed, n, k, m])
    x = rng.standard_normal((count, n, k)) + 3.0
    y = x[:, :, :1] + rng.standard_normal((count, n, m))
    weights = rng.uniform(0.1, 2.0, (count, n)) * (rng.random((count, n)) > 0.1)
    options = {"add_intercept": variant in ("intercept", "weights", "all")}
    if variant in ("weights", "all"):
        options["weights"] = weights
    if variant in ("ridge", "all"):
        options["ridge"] = 0.5
    for array in (x, y, weights):
        array.flags.writeable = False
    return x, y, options


def numbers(result):
    """Everything that must keep its bits."""
    return {name: np.asarray(getattr(result, name)) for name in NUMBERS}


def assert_same_bits(found, expected):
    """Compare to the last bit, NaN equal to NaN."""
    for name in NUMBERS:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name, strict=True)


def some(options, where):
    """Options of some regressions of the batch."""
    return {
        name: value[where] if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


def test_alone_permuted_and_chunked(shape, variant):
    x, y, options = batch(shape, variant)
    whole = gpuols.fit(x, y, **options)
    expected = numbers(whole)
    for i in (0, 3, 5):
        one = slice(i, i + 1)
        alone = gpuols.fit(x[one], y[one], **some(options, one))
        assert_same_bits(numbers(alone), numbers(whole[one]))
    order = np.array([3, 0, 5, 1, 4, 2])
    permuted = gpuols.fit(x[order], y[order], **some(options, order))
    assert_same_bits(numbers(permuted), numbers(whole[order]))
    for size in (1, 4):
        assert_same_bits(numbers(gpuols.fit(x, y, batch_size=size, **options)), expected)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_threads(shape, variant, count, monkeypatch):
    x, y, options = batch(shape, variant)
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    expected = numbers(gpuols.fit(x, y, **options))
    monkeypatch.setenv(THREADS_VARIABLE, str(count))
    assert_same_bits(numbers(gpuols.fit(x, y, batch_size=1, **options)), expected)


def test_memory_order_strides_and_alignment(shape, variant):
    x, y, options = batch(shape, variant)
    expected = numbers(gpuols.fit(x, y, **options))
    shifted = np.empty(x.size + 3)[3:].reshape(x.shape)
    shifted[...] = x
    wide = np.empty((*x.shape[:2], 2 * x.shape[2] + 1))[:, :, 1::2]
    wide[...] = x
    bytes_apart = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    bytes_apart[...] = x
    flipped = np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    for same in (np.asfortranarray(x), shifted, wide, bytes_apart, flipped):
        assert_same_bits(numbers(gpuols.fit(same, y, **options)), expected)
    assert_same_bits(numbers(gpuols.fit(x, np.asfortranarray(y), **options)), expected)


@pytest.mark.parametrize("harm", [np.nan, np.inf, 1e200, 0.0])
def test_bad_neighbours(shape, variant, harm):
    x, y, options = batch(shape, variant)
    good = np.array([0, 2, 4])
    expected = numbers(gpuols.fit(x, y, **options)[good])
    spoilt, worse = x.copy(), y.copy()
    spoilt[1] = harm
    worse[3] = harm
    spoilt[5, :, 0] = spoilt[5, :, -1]
    result = gpuols.fit(spoilt, worse, **options)
    assert_same_bits(numbers(result[good]), expected)


@pytest.mark.parametrize("m", [1, 2, 127, 128, 129, 700])
def test_responses_on_a_shared_design_do_not_meet(shape, variant, m):
    n = shape[0]
    x, _, options = batch(shape, variant, count=1)
    options = {name: v[0] if isinstance(v, np.ndarray) else v for name, v in options.items()}
    y = np.random.default_rng(m).standard_normal((n, 700))
    expected = gpuols.fit(x[0], y, **options)
    places = np.random.default_rng(n).permutation(700)[:m]
    mixed = y[:, places].copy()
    assert_same_bits(numbers(gpuols.fit(x[0], mixed, **options)), numbers(expected[places]))
    if m > 1:
        mixed[0, 0] = np.nan
        spoilt = gpuols.fit(x[0], mixed, batch_size=200, **options)
        assert_same_bits(numbers(spoilt[1:]), numbers(expected[places[1:]]))
    as_rows = gpuols.fit(x, np.ascontiguousarray(mixed.T), **options)
    if m > 1:
        np.testing.assert_array_equal(as_rows.params[1:], expected[places[1:]].params.T)


def test_groups_keep_the_bits_of_a_fit_alone(shape, variant):
    n, k, m = shape
    x, y, options = batch(shape, variant, count=3)
    options["device"] = "cpu:numpy"
    expected = numbers(gpuols.fit(x, y, **options))
    keys = np.repeat([2, 0, 1], n)
    mixing = np.argsort(np.tile(np.arange(n), 3) * 3 + np.repeat([0, 1, 2], n))
    flat = {
        name: v.reshape(-1)[mixing] if isinstance(v, np.ndarray) else v
        for name, v in options.items()
    }
    result = gpuols.fit_groups(
        x.reshape(-1, k)[mixing], y.reshape(-1, m)[mixing], keys[mixing], **flat
    )
    back = np.array([2, 0, 1])
    assert_same_bits(numbers(result[back]), expected)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 600),
    k=st.integers(0, 20),
    m=st.integers(1, 4),
    intercept=st.booleans(),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_alone_or_in_company(n, k, m, intercept, weighted, seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 40))
    x, y = rng.standard_normal((count, n, k)), rng.standard_normal((count, n, m))
    w = rng.random((count, n)) if weighted else None
    i = int(rng.integers(count))
    one = slice(i, i + 1)
    whole = gpuols.fit(x, y, weights=w, add_intercept=intercept)
    alone = gpuols.fit(
        x[one].copy(), y[one].copy(), weights=None if w is None else w[one], add_intercept=intercept
    )
    assert_same_bits(numbers(alone), numbers(whole[one]))


def test_inputs_are_never_written(variant):
    x, y, options = batch((40, 3, 2), variant)
    before = x.copy(), y.copy()
    gpuols.fit(x, y, **options)
    gpuols.fit(x[0], y[0], **some(options, 0))
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


@pytest.mark.parametrize("layout", ["batch", "rows"])
def test_a_neighbours_penalty_does_not_matter(layout):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((3, 50, 4) if layout == "batch" else (1, 50, 4))
    y = rng.standard_normal((3, 50))
    for own in (0.0, 1.0):
        one, other = (
            gpuols.fit(x, y, ridge=np.array([own, own, last]), add_intercept=True)
            for last in (own, 2.0)
        )
        assert_same_bits(numbers(one[:2]), numbers(other[:2]))
        np.testing.assert_array_equal(one[:2].normalized_cov, other[:2].normalized_cov)

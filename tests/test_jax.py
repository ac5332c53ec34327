"""JAX arrays on the CPU: the same kind out under x64, NumPy float64 without it."""

import pickle

import numpy as np
import pytest

import gpuols
from gpuols import arrays

jax = pytest.importorskip("jax", reason="JAX is an optional peer, not a dependency")

STATISTICS = (
    *("params", "bse", "tvalues", "pvalues", "log10_pvalues", "normalized_cov"),
    *("ssr", "scale", "centered_tss", "uncentered_tss", "rsquared", "rsquared_adj"),
    *("fvalue", "f_pvalue", "llf", "aic", "bic", "nobs", "df_model", "df_resid"),
    *("rank", "status", "error_bound"),
)

SHAPES = {
    "one regression": ((30, 3), (30,)),
    "one design": ((30, 3), (30, 5)),
    "a batch": ((4, 30, 3), (4, 30)),
    "a batch with responses": ((2, 2, 30, 3), (2, 2, 30, 2)),
    "responses as rows": ((1, 30, 3), (7, 30)),
    "an empty batch": ((0, 30, 3), (0, 30)),
}
shapes = pytest.mark.parametrize(("x", "y"), SHAPES.values(), ids=SHAPES)
CALLS = {
    "conf_int": lambda r, X, y: r.conf_int(),
    "cov_params": lambda r, X, y: r.cov_params(),
    "predict": lambda r, X, y: r.predict(X),
    "resid": lambda r, X, y: r.resid(X, y),
    "t_test effect": lambda r, X, y: r.t_test([1, 0, 0, 1]).effect,
    "f_test statistic": lambda r, X, y: r.f_test([1, 0, 0, 1]).statistic,
}


def normal(*shape, seed=0):
    """float64 numbers that float32 holds."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(float)


@pytest.fixture(params=[True, False], ids=["x64", "x32"])
def x64(request):
    with jax.enable_x64(request.param):
        yield request.param


def assert_same(got, want, x64):
    """The same numbers to the bit, of the kind and dtype that the precision asks for."""
    want = np.asarray(want)
    assert isinstance(got, jax.Array if x64 else (np.ndarray, np.generic))
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    assert np.asarray(got).tobytes() == want.tobytes()


@shapes
def test_every_statistic_is_of_the_kind_that_came(x64, x, y):
    X, y = normal(*x), normal(*y, seed=1)
    got = gpuols.fit(jax.numpy.array(X), jax.numpy.array(y), add_intercept=True)
    want = gpuols.fit(X, y, add_intercept=True)
    for name in STATISTICS:
        assert_same(getattr(got, name), getattr(want, name), x64)


@shapes
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_answer_is_of_the_kind_that_came(x64, x, y, call):
    X, y = normal(*x), normal(*y, seed=1)
    given = jax.numpy.array(X), jax.numpy.array(y)
    got, want = gpuols.fit(*given, add_intercept=True), gpuols.fit(X, y, add_intercept=True)
    assert_same(call(got, *given), call(want, X, y), x64)


def test_arrays_are_read_in_place():
    array = jax.numpy.ones((4, 3))
    read = arrays.read("X", array).array
    assert read.ctypes.data == array.unsafe_buffer_pointer()
    assert not read.flags.writeable


def test_results_never_change_with_the_memory_they_came_from():
    with jax.enable_x64(True):
        array = normal(1000)
        given = arrays.give(array, arrays.JAX)
        before = np.array(given)
        array[:] = 0.0
        np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "float16", "float32"])
def test_dtypes_give_the_bits_of_their_float64_copy(x64, dtype):
    rng = np.random.default_rng(0)
    X, y = (jax.numpy.array(rng.integers(0, 2, s)).astype(dtype) for s in ((30, 3), 30))
    want = gpuols.fit(np.asarray(X, float), np.asarray(y, float))
    assert_same(gpuols.fit(X, y).params, want.params, x64)


@pytest.mark.parametrize("argument", ["X", "y", "weights", "ridge"])
def test_bfloat16_is_refused(argument):
    given = {"X": normal(4, 1), "y": normal(4), argument: jax.numpy.ones(4, "bfloat16")}
    with pytest.raises(gpuols.InputTypeError, match=rf"^{argument}: .*bfloat16.*astype\(float\)"):
        gpuols.fit(given.pop("X"), given.pop("y"), **given)


def test_complex_is_refused():
    with pytest.raises(gpuols.InputTypeError, match=r"^y: .*complex64.*imaginary"):
        gpuols.fit(normal(4, 1), jax.numpy.ones(4, "complex64"))


TRANSFORMS = {
    "jit": lambda f, y: jax.jit(f)(y),
    "vmap": lambda f, y: jax.vmap(f)(y[None]),
    "grad": lambda f, y: jax.grad(f)(y),
    "jvp": lambda f, y: jax.jvp(f, (y,), (y,)),
    "eval_shape": lambda f, y: jax.eval_shape(f, y),
    "scan": lambda f, y: jax.lax.scan(lambda c, z: (c, f(z)), 0.0, y[None]),
}


@pytest.mark.parametrize("argument", ["X", "y", "weights", "ridge"])
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_traced_value_is_refused(transform, argument):
    def total(value):
        given = {"X": normal(4, 1), "y": normal(4), argument: value}
        return gpuols.fit(given.pop("X"), given.pop("y"), **given).ssr.sum()

    value = jax.numpy.ones((4, 1) if argument == "X" else 4)
    with pytest.raises(gpuols.InputTypeError, match=rf"^{argument}: .*Tracer.*outside jit"):
        transform(total, value)


def test_constants_inside_jit_are_fitted():
    X, y = normal(9, 2), normal(9, seed=1)
    want = gpuols.fit(X, y).params

    @jax.jit
    def shifted(x):
        return x + gpuols.fit(X, y).params

    np.testing.assert_allclose(shifted(jax.numpy.zeros(2)), want, rtol=1e-6)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_jax_array_among_numpy_arrays_makes_the_results_jax(x64, which):
    given = [normal(20, 2), normal(20, seed=1), np.ones(20)]
    want = gpuols.fit(given[0], given[1], weights=given[2])
    given[which] = jax.numpy.array(given[which])
    got = gpuols.fit(given[0], given[1], weights=given[2])
    assert_same(got.params, want.params, x64)


def test_results_are_indexed_by_jax_arrays(x64):
    X, y = normal(5, 9, 2), normal(5, 9)
    X[2, 0, 0] = np.nan
    result = gpuols.fit(jax.numpy.array(X), jax.numpy.array(y))
    mask = jax.numpy.array(result.status == 0)
    assert mask.tolist() == [True, True, False, True, True]
    np.testing.assert_array_equal(result[mask].params, result.params[np.asarray(mask)])
    places = jax.numpy.array([3, 0])
    np.testing.assert_array_equal(result[places].params, result.params[np.array([3, 0])])


def test_groups_take_jax_arrays_for_everything(x64):
    X, y, keys = normal(40, 2), normal(40, seed=1), np.arange(40) % 7
    given = [jax.numpy.array(a) for a in (X, y, keys)]
    got, want = gpuols.fit_groups(*given), gpuols.fit_groups(X, y, keys)
    for name in STATISTICS:
        assert_same(getattr(got, name), getattr(want, name), x64)
    np.testing.assert_array_equal(got.keys, want.keys)
    assert_same(got.resid(*given), want.resid(X, y, keys), x64)


@pytest.mark.parametrize("touched", [False, True])
def test_results_pickle(x64, touched):
    result = gpuols.fit(jax.numpy.array(normal(4, 9, 2)), jax.numpy.array(normal(4, 9)))
    if touched:
        _ = result.pvalues
    again = pickle.loads(pickle.dumps(result))
    for name in STATISTICS:
        assert_same(getattr(again, name), np.asarray(getattr(result, name)), x64)


def test_results_are_loaded_as_numpy(tmp_path, x64):
    result = gpuols.fit(jax.numpy.array(normal(4, 9, 2)), jax.numpy.array(normal(4, 9)))
    result.save(tmp_path / "result.npz")
    again = gpuols.Result.load(tmp_path / "result.npz")
    assert_same(again.params, np.asarray(result.params), False)

"""gpuols inside other people's programs: the libraries themselves, not doubles of them."""

import os
import signal
import subprocess
import sys
import tracemalloc
from multiprocessing import get_all_start_methods
from pathlib import Path

import numpy as np
import pytest

import gpuols

TESTS = Path(__file__).resolve().parent
STATISTICS = (
    *("params", "bse", "tvalues", "pvalues", "log10_pvalues", "normalized_cov"),
    *("ssr", "scale", "rsquared", "fvalue", "llf", "nobs", "df_resid"),
    *("rank", "status", "error_bound"),
)
POSIX = "fork" in get_all_start_methods()


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def assert_same_bits(got, want):
    for name in STATISTICS:
        a, b = np.asarray(getattr(got, name)), np.asarray(getattr(want, name))
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        assert a.tobytes() == b.tobytes(), name


# Worker processes and threads


def play(scene, tmp_path):
    """A scene of workers.py, all of whose processes end with it."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", TESTS / "workers.py", scene],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")]),
            "OPENBLAS_NUM_THREADS": "2",
            "GPUOLS_NUM_THREADS": "2",
            "JOBLIB_TEMP_FOLDER": str(tmp_path),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        if POSIX:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.communicate()
        raise
    assert (process.returncode, out, errors) == (0, "done\n", "")


@pytest.mark.parametrize("method", get_all_start_methods())
def test_worker_processes_give_the_bits_of_their_parent(method, tmp_path):
    play(method, tmp_path)


@pytest.mark.skipif(not POSIX, reason="there is no fork")
@pytest.mark.parametrize("scene", ["meanwhile", "at_the_door", "on_the_way"])
def test_a_process_may_be_forked_while_a_thread_fits(scene, tmp_path):
    play(scene, tmp_path)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_of_joblib_give_the_bits_of_their_parent(backend, tmp_path):
    pytest.importorskip("joblib", reason="joblib is no dependency")
    play(backend, tmp_path)


# Memory maps


@pytest.fixture
def stored(tmp_path):
    """Files (300, 2000, 4) and (300, 2000), about 24 MB, and what they hold."""
    X, y = normal(300, 2000, 4), normal(300, 2000, seed=1)
    paths = tmp_path / "X.npy", tmp_path / "y.npy"
    for path, array in zip(paths, (X, y), strict=True):
        np.save(path, array)
    return paths, (X, y)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_maps_are_read_in_pieces_and_never_written(stored, mode):
    paths, (X, y) = stored
    want = gpuols.fit(X, y, add_intercept=True)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    mapped = [np.load(path, mmap_mode=mode) for path in paths]
    tracemalloc.start()
    try:
        got = gpuols.fit(*mapped, add_intercept=True, batch_size=4)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 4
    assert type(got.params) is type(got.bse) is np.ndarray
    assert_same_bits(got, want)
    del mapped
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths] == before


def test_groups_and_moments_read_memory_maps(stored):
    paths, (X, y) = stored
    X, y = X.reshape(-1, 4), y.reshape(-1)
    mapped = [np.load(path, mmap_mode="r") for path in paths]
    long = mapped[0].reshape(-1, 4), mapped[1].reshape(-1)
    keys = np.arange(len(y)) % 7
    assert_same_bits(gpuols.fit_groups(*long, keys), gpuols.fit_groups(X, y, keys))
    got, want = (gpuols.fit_moments(gpuols.moments(*rows)) for rows in (long, (X, y)))
    assert_same_bits(got, want)


# torch


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is an optional peer, not a dependency")


def trained(torch, head, steps=3):
    """Weights and losses of a small net whose last layer is found anew by `head` each step."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x, y = torch.randn(200, 5), torch.randn(200)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        features = net(x)
        with torch.no_grad():
            beta = head(features, y).to(features.dtype)
        assert not beta.requires_grad
        loss = ((features @ beta - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [parameter.detach().clone() for parameter in net.parameters()], losses


def test_a_fit_inside_a_training_loop_leaves_the_rest_alone(torch):
    found = []

    def fit(features, y):
        found.append(gpuols.fit(features.detach(), y).params)
        return found[-1]

    state = torch.get_num_threads(), torch.get_num_interop_threads(), torch.get_default_dtype()
    weights, losses = trained(torch, fit)
    assert (torch.get_num_threads(), torch.get_num_interop_threads()) == state[:2]
    assert torch.get_default_dtype() == state[2]
    assert torch.is_grad_enabled()
    assert losses == sorted(losses, reverse=True)
    # The same loop, with the same numbers but no fit in it.
    numbers = iter([beta.clone() for beta in found])
    plain, plain_losses = trained(torch, lambda features, y: next(numbers))
    assert losses == plain_losses
    for mine, other in zip(weights, plain, strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("grad", [True, False])
def test_what_requires_grad_is_refused_under_no_grad_too(torch, grad):
    net, x = torch.nn.Linear(5, 3), torch.randn(20, 5)
    features = net(x)
    with torch.set_grad_enabled(grad), pytest.raises(gpuols.InputTypeError, match=r"\.detach\(\)"):
        gpuols.fit(features, x[:, 0])
    with torch.no_grad():
        want = gpuols.fit(net(x), x[:, 0])  # made without a graph
    assert_same_bits(gpuols.fit(features.detach(), x[:, 0]), want)


def test_a_target_may_come_from_a_fit(torch):
    X, y = torch.randn(50, 3, dtype=torch.float64), torch.randn(50, dtype=torch.float64)
    residuals = gpuols.fit(X, y).resid(X, y)
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    (scale * residuals).square().sum().backward()
    torch.testing.assert_close(scale.grad, 2 * residuals.square().sum())


def test_inference_mode(torch):
    X, y = torch.randn(50, 3), torch.randn(50)
    want = gpuols.fit(X, y)
    with torch.inference_mode():
        got = gpuols.fit(X * 1, y * 1)
        assert_same_bits(got, want)


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16"])
def test_the_default_dtype_and_device_of_torch_do_not_matter(torch, name):
    X, y = torch.randn(50, 3), torch.randn(50)
    want = gpuols.fit(X, y)
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, name))
    try:
        with torch.device("meta"):
            got = gpuols.fit(X, y)
            assert_same_bits(got, want)
        assert torch.get_default_dtype() == getattr(torch, name)
    finally:
        torch.set_default_dtype(before)


def test_torch_keeps_its_threads_during_a_fit(torch):
    before, seen = torch.get_num_threads(), []
    X, y = torch.randn(60, 50, 3), torch.randn(60, 50)
    gpuols.fit(X, y, progress=lambda done, total: seen.append(torch.get_num_threads()))
    assert {*seen, torch.get_num_threads()} == {before}


# JAX


@pytest.fixture
def jax():
    return pytest.importorskip("jax", reason="JAX is an optional peer, not a dependency")


def test_a_fit_called_back_from_a_function_jitted_by_jax(jax):
    X, y = normal(50, 3).astype(np.float32), normal(50, seed=1).astype(np.float32)
    shape = jax.ShapeDtypeStruct((3,), "float32")

    def fit(y):
        return np.asarray(gpuols.fit(X, y).params, np.float32)

    got = jax.jit(lambda y: 2 * jax.pure_callback(fit, shape, y))(y)
    np.testing.assert_array_equal(got, 2 * gpuols.fit(X, y).params.astype(np.float32))


def test_a_fit_before_a_gradient_of_jax(jax):
    np_ = jax.numpy
    X, y = np_.array(normal(50, 3)), np_.array(normal(50, seed=1))
    beta = np_.asarray(gpuols.fit(X, y).params)
    slope = jax.grad(lambda b: ((X @ b - y) ** 2).sum())(beta)
    np.testing.assert_allclose(slope, 0.0, atol=1e-3)


# xarray


@pytest.fixture
def xr():
    return pytest.importorskip("xarray", reason="xarray is no dependency")


def test_values_of_xarray_are_fitted_and_coordinates_name_them(xr):
    X, Y = normal(20, 3), normal(20, 2, seed=1)
    time = np.arange("2020-01", "2021-09", dtype="M8[M]").astype("M8[ns]")
    table = xr.DataArray(X, {"time": time, "band": ["a", "b", "c"]}, ("time", "band"), "design")
    flux = xr.DataArray(Y, {"time": time, "star": [7, 8]}, ("time", "star"), "flux")
    got = gpuols.fit(table, flux, weights=xr.ones_like(flux[:, 0]), add_intercept=True)
    assert type(got.params) is np.ndarray
    assert got.terms == ("Intercept", "a", "b", "c")
    assert got.responses == ("7", "8")
    assert_same_bits(got, gpuols.fit(X, Y, weights=np.ones(20), add_intercept=True))
    one = gpuols.fit(table, flux[:, 1])
    assert one.responses == ("flux",)
    assert_same_bits(one, gpuols.fit(X, Y[:, 1]))
    np.testing.assert_array_equal(one.predict(table), gpuols.fit(X, Y[:, 1]).predict(X))


def test_a_cube_of_xarray_is_a_batch(xr):
    X, y = normal(4, 20, 3), normal(4, 20, seed=1)
    got = gpuols.fit(
        xr.DataArray(X, dims=("x", "t", "c"), coords={"c": list("abc"), "t": np.zeros(20)}),
        xr.DataArray(y, dims=("x", "t"), coords={"t": np.zeros(20)}),
    )
    assert (got.terms, got.responses) == (("a", "b", "c"), ("y",))
    assert_same_bits(got, gpuols.fit(X, y))


def test_a_stacked_cube_of_xarray_has_a_response_a_pixel(xr):
    X, cube = normal(20, 2), normal(20, 2, 3, seed=1)
    pixels = xr.DataArray(cube, dims=("t", "y", "x"), coords={"y": [1, 2], "x": [5, 6, 7]})
    with pytest.raises(gpuols.InputError, match=r"^y: .*y\.stack"):
        gpuols.fit(X, pixels)
    got = gpuols.fit(X, pixels.stack(pixel=("y", "x")))
    assert got.responses[:4] == ("(1, 5)", "(1, 6)", "(1, 7)", "(2, 5)")
    assert_same_bits(got, gpuols.fit(X, cube.reshape(20, 6)))


@pytest.mark.parametrize("trap", ["columns", "column_names", "collect", "toarray", "null_count"])
def test_dimensions_and_attributes_of_xarray_are_no_methods(xr, trap):
    X, y = normal(9, 2), normal(9, seed=1)
    coordinate = xr.DataArray(X, dims=("row", trap), coords={trap: [4, 5]})
    attribute = xr.DataArray(X, dims=("row", "c"), attrs={trap: ["q"]})
    got = gpuols.fit(coordinate, y)
    assert got.terms == ("4", "5")
    assert_same_bits(got, gpuols.fit(X, y))
    assert gpuols.fit(attribute, y).terms == ("x0", "x1")


def test_coordinates_that_repeat_name_nothing(xr):
    X = xr.DataArray(normal(9, 2), dims=("row", "c"), coords={"c": [1, 1]})
    assert gpuols.fit(X, normal(9)).terms == ("x0", "x1")


def test_a_variable_of_xarray_is_read(xr):
    X, y = normal(9, 2), normal(9, seed=1)
    got = gpuols.fit(xr.Variable(("row", "c"), X), xr.Variable("row", y))
    assert_same_bits(got, gpuols.fit(X, y))


@pytest.mark.parametrize("argument", ["y", "weights"])
def test_axes_of_other_names_are_refused(xr, argument):
    X = xr.DataArray(normal(6, 2), dims=("time", "band"))
    given = {"y": normal(6), argument: xr.DataArray(np.ones(6), dims="star")}
    with pytest.raises(
        gpuols.InputError, match=rf"^{argument}: got axis 'star' where X has 'time'"
    ):
        gpuols.fit(X, **given)


def test_a_square_table_of_xarray_on_its_side_is_refused(xr):
    X = xr.DataArray(normal(6, 6), dims=("time", "band"))
    y = xr.DataArray(normal(6), dims="time")
    assert gpuols.fit(X[:, :2], y).status == 0
    with pytest.raises(gpuols.InputError, match=r"^y: got axis 'time' where X has 'band'.*trans"):
        gpuols.fit(X.T, y)
    Y = xr.DataArray(normal(6, 6), dims=("star", "time"))
    with pytest.raises(gpuols.InputError, match=r"^y: got axis 'star' where X has 'time'"):
        gpuols.fit(X[:, :2], Y)
    assert gpuols.fit(X[:, :2], Y.T).params.shape == (2, 6)


@pytest.mark.parametrize("verb", ["fit", "moments", "fit_groups"])
def test_rows_in_another_order_are_refused(xr, verb):
    X = xr.DataArray(normal(6, 2), dims=("time", "band"), coords={"time": range(6)})
    y = xr.DataArray(normal(6), dims="time", coords={"time": range(6)})
    more = (np.arange(6) % 2,) if verb == "fit_groups" else ()
    call = getattr(gpuols, verb)
    call(X, y, *more)
    with pytest.raises(gpuols.InputError, match=r"^y: got other coordinates of 'time'.*align"):
        call(X, y[::-1], *more)
    call(X, y[::-1].to_numpy(), *more)
    call(X, y[::-1].drop_vars("time"), *more)


def test_missing_coordinates_are_equal_to_themselves(xr):
    index = {"time": [0.0, np.nan, 2.0, 3.0]}
    X = xr.DataArray(normal(4, 1), dims=("time", "band"), coords=index)
    assert gpuols.fit(X, xr.DataArray(normal(4), dims="time", coords=index)).nobs == 4


def test_axes_of_length_one_fit_any(xr):
    X = xr.DataArray(normal(1, 9, 2), dims=("all", "time", "band"))
    y = xr.DataArray(normal(5, 9), dims=("star", "time"))
    w = xr.DataArray(np.ones((5, 9)), dims=("planet", "time"))
    assert gpuols.fit(X, y).params.shape == (5, 2)
    with pytest.raises(gpuols.InputError, match=r"^weights: got axis 'planet' where y has 'star'"):
        gpuols.fit(X, y, weights=w)


def test_a_dataset_says_what_to_pass(xr):
    data = xr.Dataset({"a": ("time", normal(9)), "b": ("time", normal(9, seed=1))})
    with pytest.raises(gpuols.InputTypeError, match=r"^X: got an xarray Dataset.*\.to_dataarray"):
        gpuols.fit(data, normal(9))
    columns = data.to_dataarray("column").transpose(..., "column")
    assert gpuols.fit(columns, normal(9, seed=2)).terms == ("a", "b")


def test_nulls_in_xarray_are_missing(xr):
    y = [1.0, None, 3.0, 4.0]
    for values in (np.array(y, object), np.array(y, float)):
        with pytest.raises(gpuols.InputError, match=r"^y: got 1 missing .* first at \(1,\)"):
            gpuols.fit(normal(4, 1), xr.DataArray(values, dims="t"), missing="raise")
    table = xr.DataArray(np.array([y, y], object).T, dims=("t", "c"))
    with pytest.raises(gpuols.InputError, match=r"^X: got 2 missing .* first at \(1, 0\)"):
        gpuols.fit(table, normal(4), missing="raise")


def test_keys_and_penalties_may_be_of_xarray(xr):
    X, y, keys = normal(12, 2), normal(12, seed=1), np.arange(12) % 3
    got = gpuols.fit_groups(X, y, xr.DataArray(keys, dims="t"), ridge=xr.DataArray(2.0))
    want = gpuols.fit_groups(X, y, keys, ridge=2.0)
    np.testing.assert_array_equal(got.keys, want.keys)
    assert_same_bits(got, want)

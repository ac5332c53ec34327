"""What only a CUDA device can show: sizes, alignment, streams, memory, other libraries.

``pytest -m gpu`` runs this and every test of `test_cuda.py` that a device can run; without a device
they are skipped, saying why.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from agreement import disagreements

import gpuols
from gpuols import costs, engines, plan
from gpuols.engines import device

pytestmark = pytest.mark.gpu

NUMBERS = ("params", "bse", "ssr", "error_bound", "status")


@pytest.fixture(scope="module")
def cupy():
    if reason := device.why_not():
        pytest.skip(reason)
    return device.namespace()


def normal(cupy, *shape, dtype="float64", seed=0):
    return cupy.random.default_rng(seed).standard_normal(shape, dtype=np.dtype(dtype))


def assert_right(X, y, some, **options):
    """Some regressions of a batch on the device, against the CPU."""
    result = gpuols.fit(X, y, **options)
    where = device.upload(np.asarray(some))
    expected = gpuols.fit(X[where].get(), y[where].get(), **options)
    assert disagreements(result[some], expected) == []
    return result


def assert_same_bits(found, expected):
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(found, name).get(), getattr(expected, name).get())


SIZES = [
    (65_539, 20, 3),
    (524_284, 12, 2),
    (2_200_000, 30, 4),
    (70_000, 80, 40),
    (3, 20_000_000, 5),
]


@pytest.mark.parametrize(("count", "n", "k"), SIZES)
def test_large_batches(cupy, count, n, k):
    X, y = normal(cupy, count, n, k), normal(cupy, count, n, seed=1)
    some = sorted({0, 1, count // 2, count - 2, count - 1})
    result = assert_right(X, y, some, add_intercept=True, solver="cholesky")
    assert int((result.status != 0).sum()) == 0
    del X, y, result
    device.release()


@pytest.mark.parametrize("k", [129, 200, 300])
def test_many_columns(cupy, k):
    X, y = normal(cupy, 9, 3 * k, k), normal(cupy, 9, 3 * k, seed=1)
    X[4, :, 5] = X[4, :, 3]
    y[6, 1] = np.nan
    assert_right(X, y, range(9))
    assert_right(X, y, range(9), ridge=2.0, solver="cholesky")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [3, 20, 50])
def test_pointers_and_strides_of_any_kind(cupy, dtype, k):
    size = 8 * 200 * k
    memory = normal(cupy, 4 * size + 64, dtype=dtype)
    y = normal(cupy, 8, 400, dtype=dtype, seed=1)[:, ::2]
    for X in (
        memory[1 : 1 + size].reshape(8, 200, k),
        memory[3 : 3 + size].reshape(8, k, 200).transpose(0, 2, 1),
        memory[5 : 5 + size].reshape(200, k, 8).transpose(2, 0, 1),
        memory[7 : 7 + 4 * size].reshape(8, 400, 2 * k)[:, ::-2, ::2],
        cupy.broadcast_to(memory[9 : 9 + 200 * k].reshape(200, k), (8, 200, k)),
    ):
        found = assert_right(X, y, range(8), add_intercept=True)
        assert_same_bits(gpuols.fit(X.copy(), y.copy(), add_intercept=True), found)


@pytest.mark.parametrize(
    ("n", "k"), [(60, 4), (1000, 10), (300, 30), (5000, 3), (500, 50), (500, 150)]
)
def test_bits_are_a_regressions_own(cupy, n, k):
    X, y = normal(cupy, 257, n, k), normal(cupy, 257, n, seed=1)
    y[100] = np.nan
    whole = gpuols.fit(X, y, solver="cholesky")
    for _ in range(3):
        assert_same_bits(gpuols.fit(X, y, solver="cholesky"), whole)
    assert_same_bits(gpuols.fit(X, y, solver="cholesky", batch_size=10), whole)
    some = [256, 3, 77]
    where = device.upload(np.array(some))
    assert_same_bits(gpuols.fit(X[where], y[where], solver="cholesky"), whole[some])
    from_host = gpuols.fit(X.get(), y.get(), solver="cholesky", device="cuda")
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(from_host, name), getattr(whole, name).get())


@pytest.mark.parametrize(
    ("n", "k"), [(200, 6), (1000, 10), (60, 0), (100, 31), (300, 64), (9000, 3)]
)
def test_responses_with_rows_of_their_own(cupy, n, k):
    X, y = normal(cupy, n, k) + 3.0, normal(cupy, 5_000, n, seed=1)
    y[cupy.random.default_rng(2).random(y.shape) < 0.1] = np.nan
    y[7] = np.nan
    if k:
        X[5, 0], y[::2, 5] = np.inf, np.nan
    weights = 0.5 + abs(normal(cupy, *y.shape, seed=3))
    for options in ({}, {"weights": weights}):
        options |= {"missing": "drop", "add_intercept": True}
        whole = gpuols.fit(X[None], y, solver="cholesky", **options)
        some = np.array([0, 1, 7, 2_500, 4_999])
        where = device.upload(some)
        host = {**options, "solver": "cholesky"}
        if "weights" in options:
            host["weights"] = weights[where].get()
        expected = gpuols.fit(X.get()[None], y[where].get(), **host)
        assert disagreements(whole[some], expected) == []
        for _ in range(2):
            assert_same_bits(gpuols.fit(X[None], y, solver="cholesky", **options), whole)
        parts = {**options, "solver": "cholesky", "batch_size": 777}
        assert_same_bits(gpuols.fit(X[None], y, **parts), whole)
        other = cupy.asfortranarray(y)
        assert_same_bits(gpuols.fit(X[None], other, solver="cholesky", **options), whole)
        host["weights"] = weights.get() if "weights" in options else None
        there = gpuols.fit(X.get()[None], y.get(), device="cuda", **host)
        for name in NUMBERS:
            np.testing.assert_array_equal(getattr(there, name), getattr(whole, name).get())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_the_host_come_through_the_ring(cupy, dtype):
    X, y = normal(cupy, 400_000, 30, 4, dtype=dtype), normal(cupy, 400_000, 30, dtype=dtype, seed=1)
    X[7, :, 3] = X[7, :, 1]
    there = gpuols.fit(X, y)
    host = X.get(), y.get()
    for _ in range(3):
        found = gpuols.fit(*host, device="cuda")
        for name in NUMBERS:
            np.testing.assert_array_equal(getattr(found, name), getattr(there, name).get())
    rows = np.random.default_rng(0).permutation(400_000 * 30)
    keys, long = rows // 30, (host[0].reshape(-1, 4)[rows], host[1].reshape(-1)[rows])
    found = gpuols.fit_groups(*long, keys, device="cuda")
    assert disagreements(found[:9], there[:9]) == []


def test_all_devices_have_the_bits_of_one(cupy):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100_000, 60, 4)), rng.standard_normal((100_000, 60))
    one, every = (gpuols.fit(X, y, device=name) for name in ("cuda:0", "cuda:all"))
    assert every.engine == f"cuda:all ({cupy.cuda.runtime.getDeviceCount()})"
    for name in NUMBERS:
        np.testing.assert_array_equal(getattr(every, name), getattr(one, name))


def test_rates_are_measured_and_auto_says_what_it_chose(cupy, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    costs.forget()
    rates = costs.rates_of(0)
    assert rates is not None
    print(rates)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100_000, 60, 4)), rng.standard_normal((100_000, 60))
    sizes = {"rows": 6_000_000, "count": 100_000, "k": 4, "m": 1, "largest": 60}
    wins = plan.device_wins(plan.load(X.size + y.size, **sizes), rates)
    assert gpuols.fit(X, y).engine == ("cuda:0" if wins else engines.choose("cpu").NAME)
    costs.forget()


def test_hard_regressions_are_told_from_easy_ones(cupy):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 50, 5))
    X[:, :, 4] = X[:, :, 0] + 10.0 ** -np.linspace(0, 12, 400)[:, None] * X[:, :, 4]
    y = X.sum(axis=2) + rng.standard_normal((400, 50))
    for options in ({}, {"solver": "cholesky"}, {"add_intercept": True}):
        found = gpuols.fit(device.upload(X), device.upload(y), **options)
        assert disagreements(found, gpuols.fit(X, y, **options)) == []


def test_the_current_stream_is_used(cupy):
    X, y = normal(cupy, 1000, 60, 4), normal(cupy, 1000, 60, seed=1)
    expected = gpuols.fit(X, y)
    cupy.cuda.get_current_stream().synchronize()
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        late = cupy.zeros_like(X)
        for _ in range(50):
            late += 0.02 * X
        late += X - late
        found = gpuols.fit(late, y)
        numbers = [getattr(found, name).get() for name in NUMBERS]
    for mine, name in zip(numbers, NUMBERS, strict=True):
        np.testing.assert_array_equal(mine, getattr(expected, name).get())


def test_out_of_memory_halves_the_chunk(cupy):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4000, 500, 10)), rng.standard_normal((4000, 500))
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.get_limit()
    pool.set_limit(size=pool.used_bytes() + X.nbytes // 3)
    try:
        found = gpuols.fit(X, y, device="cuda", batch_size=4000)
    finally:
        pool.set_limit(size=before)
    assert disagreements(found, gpuols.fit(X, y)) == []


def test_torch_tensors_stay_where_they_are(cupy):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    X, y = torch.randn(500, 60, 4, device="cuda"), torch.randn(500, 60, device="cuda")
    expected = gpuols.fit(X.cpu().numpy(), y.cpu().numpy())
    for stream in (torch.cuda.current_stream(), torch.cuda.Stream()):
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), torch.no_grad():
            found = gpuols.fit(X, y)
            assert found.params.device == X.device
            assert found.params.dtype == torch.float64
            assert disagreements(found, expected) == []
    with pytest.raises(gpuols.InputTypeError, match="detach"):
        gpuols.fit(X.clone().requires_grad_(), y)


def test_jax_arrays_stay_where_they_are(cupy):
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    if jax.default_backend() != "gpu":
        pytest.skip("JAX sees no CUDA device")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 60, 4), np.float32), rng.standard_normal((50, 60), np.float32)
    found = gpuols.fit(jax.numpy.asarray(X), jax.numpy.asarray(y))
    assert found.place == "cuda:0"
    assert disagreements(found, gpuols.fit(X, y)) == []


@pytest.mark.parametrize(("visible", "words"), [("", "no CUDA device"), ("0", "ready")])
def test_hidden_devices_are_respected(cupy, visible, words):
    code = "import gpuols; print(gpuols.info().engines['cuda'])"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert words in run.stdout


def test_kernels_are_compiled_ahead(cupy):
    assert gpuols.precompile("cuda") > 50

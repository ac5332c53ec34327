"""The emulator that kernels are tested on: what it must notice, and what it must leave alone."""

import re

import numpy as np
import pytest
from emulator import build, faults, mutate

pytestmark = pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")

RUNS = [("fifo", 0), ("lifo", 0), *(("random", seed) for seed in range(5))]


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_fault_is_noticed_in_every_order(name):
    fault = faults.FAULTS[name]
    for mode in fault.modes:
        module = faults.toy(fault, True, mode)
        for module.order, module.seed in RUNS:
            with pytest.raises(build.KernelError) as caught:
                faults.run(module)
            error = caught.value
            assert re.search(fault.words, error.what), error
            assert (error.kernel, error.file) == ("toy", "toy.cu")
            assert 1 <= error.line <= 1 + fault.body.count("\n")


@pytest.mark.parametrize("mode", ["fast", "check"])
@pytest.mark.parametrize("name", faults.FAULTS)
def test_without_its_fault_a_kernel_passes_in_every_order(name, mode):
    fault = faults.FAULTS[name]
    module = faults.toy(fault, False, mode)
    for module.order, module.seed in RUNS:
        x, out = faults.run(module)
        np.testing.assert_array_equal(out, fault.answer(x))


@pytest.mark.parametrize("name", ["uninitialised", "copy-read-early"])
def test_what_is_not_there_yet_is_nan_in_fast_mode(name):
    _, out = faults.run(faults.toy(faults.FAULTS[name], True, "fast"))
    assert np.isnan(out).any()


_SHARED_SUM = """
template <class T, int THREADS>
__global__ void total(const T* in, T* out) {
    SHARED_ARRAY(T, part, THREADS);
    const int t = threadIdx.x;
    part[t] = in[blockIdx.x * THREADS + t];
    __syncthreads();
    for (int step = THREADS / 2; step > 0; step /= 2) {
        if (t < step) part[t] += part[t + step];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = part[0];
}
extern "C" __global__ void all(const void* a, const float* b, double* c, int d, bool e,
                               unsigned long long f, double2* g, double h) {}
"""
_NAMES = ["total<double, 64>", "total<float, 32>", "all"]


@pytest.fixture(scope="module")
def sums():
    return build.Module(build.with_common(_SHARED_SUM), _NAMES, mode="check")


def test_a_signature_tells_direction_size_and_type(sums):
    assert sums.signature("total<double, 64>") == ["r8f", "w8f"]
    assert sums.signature("total<float, 32>") == ["r4f", "w4f"]
    marks = ["r1x", "r4f", "w8f", "s4i", "s1u", "s8u", "w16x", "s8f"]
    assert sums.signature("all") == marks


def test_instances_of_a_template_are_kernels(sums):
    x = np.random.default_rng(0).integers(0, 99, 192)
    for name, threads, dtype in ((_NAMES[0], 64, float), (_NAMES[1], 32, np.float32)):
        blocks = x.size // threads
        out = np.zeros(blocks, dtype)
        sums.launch(name, (blocks,), (threads,), [x.astype(dtype), out])
        np.testing.assert_array_equal(out, x.reshape(blocks, threads).sum(1))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([np.zeros(64)], "takes 2 values, not 1"),
        ([np.zeros(64), np.zeros(1, np.float32)], "value 1 is float32, the parameter w8f"),
        ([np.zeros(64), np.float64(0)], "value 1 is float64, the parameter w8f"),
        ([np.zeros(64), 0.5], "value 1 is float, the parameter w8f"),
    ],
)
def test_values_that_do_not_fit_are_refused(sums, values, words):
    with pytest.raises(TypeError, match=words):
        sums.launch(_NAMES[0], (1,), (64,), values)


@pytest.mark.parametrize("block", [(0,), (1025,), (32, 33), (32, 0, 1)])
def test_launches_that_cannot_be_are_refused(sums, block):
    with pytest.raises(ValueError, match="no launch"):
        sums.launch(_NAMES[0], (1,), block, [np.zeros(64), np.zeros(1)])


def test_addresses_reach_the_memory_that_is_named(sums):
    memory = np.arange(200.0)
    whole = build.Array(memory.ctypes.data, memory.nbytes, 8, True)
    values = [memory.ctypes.data + 80, memory.ctypes.data + 8 * 199]
    sums.launch(_NAMES[0], (1,), (64,), values, arrays=[whole])
    assert memory[199] == np.arange(10.0, 74).sum()
    with pytest.raises(build.KernelError, match="const to the kernel"):
        sums.launch(_NAMES[0], (1,), (64,), values, arrays=[whole._replace(writable=False)])
    with pytest.raises(build.KernelError, match="far from every array"):
        sums.launch(_NAMES[0], (1,), (64,), values)


def test_views_of_one_buffer_are_one_array(sums):
    rows = np.arange(128.0).reshape(64, 2)
    sums.launch(_NAMES[0], (1,), (64,), [rows[:, 0], rows[1:, 1]])
    assert rows[1, 1] == np.arange(64.0).sum()


def test_an_error_says_who_and_where():
    module = faults.toy(faults.FAULTS["trap"], True, "fast")
    with pytest.raises(build.KernelError) as caught:
        faults.run(module)
    error = caught.value
    assert (error.block, error.thread, error.line) == ((0, 0, 0), (7, 0, 0), 1)
    words = "toy: __trap() was called (block (0, 0, 0) thread (7, 0, 0), toy.cu line 1)"
    assert str(error) == words


def test_a_launch_after_an_error_is_a_new_one():
    body = "if (n) __trap(); out[threadIdx.x] = 5;"
    text = f'extern "C" __global__ void toy(int* out, int n) {{ {body} }}'
    module = build.Module(text, ["toy"])
    for n in (1, 0, 1, 0):
        out = np.zeros(32, np.int32)
        if n:
            with pytest.raises(build.KernelError):
                module.launch("toy", (1,), (32,), [out, np.int32(n)])
        else:
            module.launch("toy", (1,), (32,), [out, np.int32(n)])
            np.testing.assert_array_equal(out, 5)


@pytest.mark.parametrize("text", ["__global__ void toy() { __shared__ int x[3]; }", "int toy = ;"])
def test_what_does_not_compile_is_shown(text):
    with pytest.raises(build.BuildError, match="error: "):
        build.Module(text, ["toy"])


def test_executed_lines_are_counted():
    text = """extern "C" __global__ void toy(int* out, int n) {
        if (n > 3)
            out[threadIdx.x] = n;
        else
            out[threadIdx.x] = -1;
        __syncwarp();
    }"""
    module = build.Module(f'#line 1 "lines.cu"\n{text}', ["toy"], mode="coverage")
    out = np.zeros(32, np.int32)
    module.launch("toy", (1,), (32,), [out, np.int32(9)])
    counts = module.executed()
    assert set(counts) == {("lines.cu", line) for line in (1, 2, 3, 5, 6, 7)}
    assert [counts["lines.cu", line] for line in (2, 3, 5, 6)] == [32, 32, 0, 32]
    module.launch("toy", (2,), (32,), [np.zeros(32, np.int32), np.int32(1)])
    assert [module.executed()["lines.cu", line] for line in (2, 3, 5)] == [96, 32, 64]


_BARRIERS = """
extern "C" __global__ void toy(const double* in, double* out) {
    SHARED_ARRAY(double, rows, 64);
    SHARED_ARRAY(double, sums, 2);
    const int t = threadIdx.x;
    cp_async<8>(rows + t, in + t);  // no __syncthreads(); here
    cp_async_commit();
    cp_async_wait<0>();
    __syncwarp();
    const double sum = warp_sum(rows[t ^ 1]);
    if (t % 32 == 0) sums[t / 32] = sum;
    __syncthreads();
    out[t] = sums[0] + sums[1];
    __syncwarp();
}
"""


def test_a_team_s_barriers_are_barriers():
    text = "team.sync();\nx(); // team.sync();\nif (x) team.sync();"
    assert list(mutate.barriers(text)) == [(1, "team.sync();"), (3, "team.sync();")]
    assert mutate.numbered(text, 7).endswith("\nif (x) if (emu_left_out != 8) team.sync();")


def test_barriers_are_taken_away_one_at_a_time():
    x = np.arange(64.0)

    def run(sources, mode, order, file):
        assert file in (None, "toy.cu")
        module = build.Module(build.with_common(sources["toy.cu"], "toy.cu"), ["toy"], (), mode)
        module.order, out = order, np.zeros(64)
        module.launch("toy", (1,), (64,), [x, out])
        np.testing.assert_array_equal(out, x.sum())

    found = mutate.survey({"toy.cu": _BARRIERS}, run)
    everyone = set(mutate.RUNS)
    checks = {(mode, order) for mode, order in everyone if mode == "check"}
    calls = ["cp_async_wait<0>();", "__syncwarp();", "__syncthreads();", "__syncwarp();"]
    assert [removal.barrier for removal in found] == calls
    assert [removal.line for removal in found] == [8, 9, 12, 14]
    assert set(found[0].noticed) == everyone
    assert all(set(removal.noticed) >= checks for removal in found[1:3])
    assert found[3].noticed == ()
    assert mutate.report(found).endswith("toy.cu:14 __syncwarp(); nobody notices")
    with pytest.raises((AssertionError, build.KernelError)):
        mutate.survey({"toy.cu": _BARRIERS.replace("__syncthreads();\n", "\n")}, run)

"""What kernel code calls, executed by the emulator and held against NumPy."""

import functools
import operator

import numpy as np
import pytest
from emulator import build

pytestmark = pytest.mark.skipif(bool(build.available()), reason=build.available() or "g++ is here")

LANES = np.arange(32)


def compute(body, out, *inputs, block=(32,), shared_bytes=0, head=""):
    """Run a body over `in0`, `in1`, ... and `out`, by one block, in both modes and all orders."""
    types = {"f8": "double", "f4": "float", "i4": "int", "i8": "long long", "u4": "unsigned"}
    names = [f"const {types[a.dtype.str[1:]]}* in{i}" for i, a in enumerate(inputs)]
    names.append(f"{types[out.dtype.str[1:]]}* out")
    text = (
        f'{head}\nextern "C" __global__ void toy({", ".join(names)}) {{'
        f"const int t = threadIdx.x; {body} }}"
    )
    answers = []
    for mode in ("fast", "check"):
        module = build.Module(build.with_common(text), ["toy"], mode=mode, seed=3)
        for module.order in build.ORDERS:
            answer = out.copy()
            module.launch("toy", (1,), block, [*inputs, answer], shared_bytes)
            answers.append(answer)
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])
    return answers[0]


def shuffled(kind, amount, width):
    """The source of each lane."""
    start, last = LANES & ~(width - 1), LANES | (width - 1)
    source = {
        "": start + amount % width,
        "_xor": LANES ^ amount,
        "_up": LANES - amount,
        "_down": LANES + amount,
    }[kind]
    beyond = source < start if kind == "_up" else source > last
    return np.where(beyond, LANES, source)


@pytest.mark.parametrize("width", [32, 8])
@pytest.mark.parametrize("kind", ["", "_xor", "_up", "_down"])
def test_shuffles(kind, width):
    x = np.random.default_rng(0).normal(size=32)
    amounts = (0, 1, 5, 16)
    body = "".join(
        f"out[{32 * i} + t] = __shfl{kind}_sync(FULL_WARP, in0[t], {amount}, {width});"
        for i, amount in enumerate(amounts)
    )
    answer = compute(body, np.zeros(32 * len(amounts)), x).reshape(-1, 32)
    for row, amount in zip(answer, amounts, strict=True):
        np.testing.assert_array_equal(row, x[shuffled(kind, amount, width)])


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_shuffles_move_every_type(dtype):
    x = np.random.default_rng(0).normal(size=32).view(np.int64).astype(dtype)
    answer = compute("out[t] = __shfl_xor_sync(FULL_WARP, in0[t], 31);", np.zeros(32, dtype), x)
    np.testing.assert_array_equal(answer, x[::-1])


def test_votes_and_sums_of_a_warp():
    x = np.random.default_rng(1).integers(-50, 50, 32).astype(np.int32)
    body = """
        const unsigned half = t < 16 ? 0xffffu : 0xffff0000u;
        out[t] = __ballot_sync(half, in0[t] > 0);
        out[32 + t] = __any_sync(half, in0[t] == in0[3]);
        out[64 + t] = __all_sync(half, t < 16);
        out[96 + t] = __reduce_add_sync(half, in0[t]);
        if (t >= 30) return;
        out[128 + t] = __popc(__ballot_sync(0x3fffffffu, 1));
    """
    answer = compute(body, np.zeros(160, np.int32), x).reshape(-1, 32)
    ballots = np.where(LANES < 16, [[0xFFFF]], [[0xFFFF0000]]) & (1 << LANES[x > 0]).sum()
    np.testing.assert_array_equal(answer[0].view(np.uint32), ballots[0])
    np.testing.assert_array_equal(answer[1], np.repeat([1, (x[16:] == x[3]).any()], 16))
    np.testing.assert_array_equal(answer[2], np.repeat([1, 0], 16))
    np.testing.assert_array_equal(answer[3], np.repeat([x[:16].sum(), x[16:].sum()], 16))
    np.testing.assert_array_equal(answer[4], np.where(LANES < 30, 30, 0))


def test_lanes_that_have_ended_are_not_active():
    text = """
        extern "C" __global__ void toy(int* out) {
            if (threadIdx.x >= 5) return;
            __syncwarp(31);
            out[threadIdx.x] = __popc(__activemask());
            __syncwarp(31);
        }
    """
    module = build.Module(text, ["toy"])
    for module.order in ("fifo", "lifo"):
        out = np.zeros(32, np.int32)
        module.launch("toy", (1,), (32,), [out])
        np.testing.assert_array_equal(out, np.where(LANES < 5, 5, 0))


def test_votes_of_a_block_count_who_is_left():
    body = """
        if (t >= 90) return;
        const int p = in0[t];
        out[t] = __syncthreads_count(p);
        out[96 + t] = __syncthreads_and(p || t != 7);
        out[192 + t] = __syncthreads_and(p >= 0);
        out[288 + t] = __syncthreads_or(p > 1);
        out[384 + t] = __syncthreads_or(t == 89);
    """
    x = np.arange(96, dtype=np.int32) % 7 % 2
    answer = compute(body, np.zeros(480, np.int32), x, block=(96,)).reshape(-1, 96)[:, :90]
    expected = np.array([x[:90].sum(), x[7] != 0, 1, 0, 1])
    np.testing.assert_array_equal(answer, np.repeat(expected[:, None], 90, 1))


def test_atomics():
    x = np.random.default_rng(2).integers(1, 1 << 20, 128).astype(np.int32)
    body = """
        SHARED_ARRAY(int, total, 1);
        if (t == 0) *total = 0;
        __syncthreads();
        atomicAdd(total, in0[t]);
        __syncthreads();
        if (t == 0) out[0] = *total;
        atomicMin(out + 1, in0[t]);
        atomicMax(out + 2, in0[t]);
        atomicOr(out + 3, in0[t]);
        atomicAnd(out + 4, in0[t]);
        atomicExch(out + 5, 17);
        int old = 0;
        for (int seen = -1; seen != old;) {
            seen = old;
            old = atomicCAS(out + 6, seen, seen + in0[t]);
        }
    """
    start = np.array([0, 1 << 30, 0, 0, -1, 0, 0], np.int32)
    answer = compute(body, start, x, block=(128,))
    both = [functools.reduce(op, x.tolist()) for op in (operator.or_, operator.and_)]
    expected = [x.sum(), x.min(), x.max(), *both, 17, x.sum()]
    np.testing.assert_array_equal(answer, expected)


def test_atomic_sums_of_doubles_come_from_every_block():
    text = 'extern "C" __global__ void toy(double* out) { atomicAdd(out + threadIdx.x, 0.5); }'
    for mode in ("fast", "check"):
        module = build.Module(text, ["toy"], mode=mode)
        for module.order in build.ORDERS:
            out = np.zeros(40)
            module.launch("toy", (7, 2), (40,), [out])
            np.testing.assert_array_equal(out, 7.0)


def test_arithmetic_rounds_once():
    rng = np.random.default_rng(3)
    a, b, c = (rng.normal(size=32) * 10.0 ** rng.integers(-9, 9, 32) for _ in range(3))
    body = """
        const double a = in0[t], b = in1[t], c = in2[t];
        out[t] = __dadd_rn(a, b);
        out[32 + t] = __dsub_rn(a, b);
        out[64 + t] = __dmul_rn(a, b);
        out[96 + t] = __ddiv_rn(a, b);
        out[128 + t] = __dsqrt_rn(fabs(a));
        out[160 + t] = __drcp_rn(a);
        const double product = a * b;
        out[192 + t] = __fma_rn(a, b, -product);
        out[224 + t] = a * b + c;
        out[256 + t] = min(a, b) + max(a, __longlong_as_double(0x7ff8000000000000ll));
        out[288 + t] = __longlong_as_double(__double_as_longlong(a) + 1);
        out[320 + t] = __int_as_float(__float_as_int(float(a)) + 1);
        out[352 + t] = __hiloint2double(__double2hiint(a), __double2loint(a));
    """
    answer = compute(body, np.zeros(384), a, b, c).reshape(-1, 32)
    float_bits = (a.astype(np.float32).view(np.int32) + 1).view(np.float32)
    expected = [a + b, a - b, a * b, a / b, np.sqrt(abs(a)), 1 / a]
    np.testing.assert_array_equal(answer[:6], expected)
    np.testing.assert_array_equal(answer[7:9], [a * b + c, np.minimum(a, b) + a])
    np.testing.assert_array_equal(answer[9], (a.view(np.int64) + 1).view(float))
    np.testing.assert_array_equal(answer[10:], [float_bits, a])
    assert (abs(answer[6]) <= abs(a * b) * 2.0**-53).all()
    assert (answer[6] != 0).any()


def test_sum_of_a_warp():
    x = np.random.default_rng(4).integers(-99, 99, 32).astype(float)
    body = "out[t] = warp_sum(in0[t]); out[32 + t] = warp_sum<8>(in0[t]);"
    answer = compute(body, np.zeros(64), x)
    eights = np.repeat(x.reshape(4, 8).sum(axis=1), 8)
    np.testing.assert_array_equal(answer, [*np.full(32, x.sum()), *eights])


@pytest.mark.parametrize("steps", [1, 3])
def test_tensor_core_product(steps):
    rng = np.random.default_rng(5)
    A, B, D = (rng.normal(size=s) for s in ((16, 4 * steps), (4 * steps, 8), (16, 8)))
    body = f"""
        const int r = t / 4, c = t % 4, k = {4 * steps};
        double d[4] = {{in2[r * 8 + 2 * c], in2[r * 8 + 2 * c + 1],
                        in2[(r + 8) * 8 + 2 * c], in2[(r + 8) * 8 + 2 * c + 1]}};
        for (int s = 0; s < k; s += 4) {{
            const double a[2] = {{in0[r * k + s + c], in0[(r + 8) * k + s + c]}};
            mma_f64_16x8x4(d, a, in1[(s + c) * 8 + r]);
        }}
        for (int i = 0; i < 4; i++) out[(r + i / 2 * 8) * 8 + 2 * c + i % 2] = d[i];
    """
    answer = compute(body, np.zeros((16, 8)), A, B, D)
    np.testing.assert_allclose(answer, D + A @ B, rtol=0, atol=1e-14)


@pytest.mark.parametrize("nbytes", [4, 8, 16])
def test_copies_in_two_stages(nbytes):
    x = np.random.default_rng(6).normal(size=4 * 16 * nbytes)
    per = nbytes // 4
    body = f"""
        SHARED_ARRAY(float4, room, {2 * 32 * per} / 4);
        float* stage = reinterpret_cast<float*>(room);
        float sum = 0;
        cp_async<{nbytes}>(stage + t * {per}, in0 + t * {per});
        cp_async_commit();
        for (int s = 0; s < 4; s++) {{
            const int next = 32 * (s + 1) + t;
            if (s < 3) cp_async<{nbytes}>(stage + next % 64 * {per}, in0 + next * {per});
            cp_async_commit();
            cp_async_wait<1>();
            __syncwarp();
            for (int i = 0; i < {per}; i++) sum += stage[(s % 2 * 32 + (t ^ 1)) * {per} + i];
            __syncwarp();
        }}
        out[t] = sum;
    """
    whole = np.round(x[: 4 * 32 * per] * 8).astype(np.float32)
    answer = compute(body, np.zeros(32, np.float32), whole)
    np.testing.assert_array_equal(answer, whole.reshape(4, 32, per).sum((0, 2))[LANES ^ 1])


def test_dynamic_shared_memory_is_handed_out_in_pieces():
    body = """
        DYNAMIC_SHARED(memory);
        char* marks = memory.take<char>(3);
        double* values = memory.take<double>(32);
        int* order = memory.take<int>(32);
        if (t < 3) marks[t] = char(t);
        values[t] = in0[t];
        order[t] = 31 - t;
        __syncwarp();
        out[t] = values[order[t]] + marks[2];
    """
    x = np.arange(32.0)
    answer = compute(body, np.zeros(32), x, shared_bytes=16 + 256 + 128)
    np.testing.assert_array_equal(answer, x[::-1] + 2)


def test_each_instance_of_a_template_has_shared_memory_of_its_own():
    head = """
        template <int N> __device__ int* place() { SHARED_ARRAY(int, own, N); return own; }
    """
    body = """
        if (t == 0) { place<1>()[0] = 5; place<2>()[0] = 6; }
        __syncwarp();
        out[t] = 10 * place<1>()[0] + place<2>()[0];
    """
    np.testing.assert_array_equal(compute(body, np.zeros(32, np.int32), head=head), 56)


def test_threads_and_blocks_have_three_coordinates():
    text = """
        extern "C" __global__ void toy(int* out) {
            const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
            const int size = blockDim.x * blockDim.y * blockDim.z;
            const int t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
            out[block * size + t] = threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z
                + 1000 * (blockIdx.x + 10 * blockIdx.y + 100 * blockIdx.z);
        }
    """
    module = build.Module(text, ["toy"], mode="check", order="random")
    out = np.zeros((4, 1, 3, 4, 2, 5), np.int32)
    module.launch("toy", (3, 1, 4), (5, 2, 4), [out])
    bz, by, bx, tz, ty, tx = np.indices(out.shape)
    np.testing.assert_array_equal(out, tx + 10 * ty + 100 * tz + 1000 * (bx + 10 * by + 100 * bz))

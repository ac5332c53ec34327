"""Toy kernels, each with one fault that can be put in or left out.

In a body `i` counts threads over all blocks and `t` within one. WRONG(a, b) is `a` with the fault
and `b` without.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from emulator import build

BLOCKS, THREADS = 2, 64

_KERNEL = """
#ifdef FAULT
#define WRONG(faulty, good) faulty
#else
#define WRONG(faulty, good) good
#endif
extern "C" __global__ void toy(const double* in, double* out, int n) {{
    const int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
#line 1 "toy.cu"
    {body}
}}
"""


def same(x: np.ndarray) -> np.ndarray:
    """What the input is."""
    return x


def swapped(step: int) -> Callable[[np.ndarray], np.ndarray]:
    """The input, each thread's with that of the thread whose number differs in one bit."""
    return lambda x: x[np.arange(x.size) ^ step]


def mirrored(x: np.ndarray) -> np.ndarray:
    """The input, each block's backwards."""
    return x.reshape(BLOCKS, THREADS)[:, ::-1].ravel()


class Fault(NamedTuple):
    """One fault.

    Attributes
    ----------
    words : str
        What the error says, as a pattern.
    body : str
        Of the kernel.
    answer : callable
        What the kernel computes without the fault.
    modes : tuple of str
        In which the fault is noticed.
    """

    words: str
    body: str
    answer: Callable[[np.ndarray], np.ndarray] = same
    modes: tuple[str, ...] = ("check",)


BOTH = ("fast", "check")
ZEROED = "SHARED_ARRAY(double, s, 64); s[t] = 0; __syncthreads();\n"

FAULTS = {
    "read-past": Fault(
        "reads out of bounds: bytes 1024 to 1031 of a global array of 1024 bytes",
        "out[i] = in[WRONG(i + 1, i)];",
    ),
    "write-before": Fault(
        "writes out of bounds: bytes -8 to -1 of a global array of 1024 bytes",
        "out[WRONG(i - 1, i)] = in[i];",
    ),
    "write-far-away": Fault(
        "writes 8 bytes out of bounds, far from every array",
        "out[WRONG(i + (1ll << 50), i)] = in[i];",
    ),
    "shared-overrun": Fault(
        "writes out of bounds: bytes 512 to 519 of a shared array of 512 bytes declared at toy.cu "
        "line 1",
        "SHARED_ARRAY(double, s, 64);\ns[WRONG(t + 1, t)] = in[i];"
        "\n__syncthreads(); out[i] = s[t];",
    ),
    "canary": Fault(
        "shared array of 512 bytes was overrun: byte 512 was written",
        "SHARED_ARRAY(double, s, 64); s[WRONG(t + 1, t)] = in[i]; SHARED_ARRAY(double, u, 64);"
        "u[t] = s[t]; __syncthreads(); out[i] = u[t];",
        modes=("fast",),
    ),
    "race-in-block": Fault(
        "race: writes global memory that thread [0-9]+ wrote with no barrier in between",
        "out[WRONG(i | 1, i)] = in[i];",
    ),
    "race-of-blocks": Fault(
        "race: writes global memory that another block wrote",
        "out[WRONG(t, i)] = 1;",
        np.ones_like,
    ),
    "race-with-atomics": Fault(
        "race: (reads|writes) global memory that another block (wrote|updated atomically)",
        "if (t == 0) { if (WRONG(blockIdx.x == 0, false)) out[0] = out[0] + 1;"
        "\nelse atomicAdd(out, 1.0); }",
        lambda x: np.where(np.arange(x.size) == 0, BLOCKS, 0.0),
    ),
    "no-syncthreads": Fault(
        "race: (reads|writes) shared memory that thread [0-9]+ (wrote|read) with no barrier",
        ZEROED + "s[t] = in[i]; WRONG(, __syncthreads();)\nout[i] = s[63 - t];",
        mirrored,
    ),
    "syncwarp-for-syncthreads": Fault(
        "race: (reads|writes) shared memory that thread [0-9]+ (wrote|read) with no barrier",
        ZEROED + "s[t] = in[i]; WRONG(__syncwarp(), __syncthreads()); out[i] = s[t ^ 32];",
        swapped(32),
    ),
    "no-syncwarp": Fault(
        "race: (reads|writes) shared memory that thread [0-9]+ (wrote|read) with no barrier",
        ZEROED + "s[t] = in[i]; WRONG(, __syncwarp();) out[i] = s[t ^ 1];",
        swapped(1),
    ),
    "syncwarp-of-half": Fault(
        "race: (reads|writes) shared memory that thread [0-9]+ (wrote|read) with no barrier",
        ZEROED + "s[t] = in[i]; __syncwarp(t & 16 ? 0xffff0000 : 0xffff);"
        "\nout[i] = s[t ^ WRONG(16, 8)];",
        swapped(8),
    ),
    "shuffle-for-syncwarp": Fault(
        "race: (reads|writes) shared memory that thread [0-9]+ (wrote|read) with no barrier",
        ZEROED + "s[t] = in[i]; WRONG(__shfl_sync(FULL_WARP, t, 0), __syncwarp());"
        "\nout[i] = s[t ^ 1];",
        swapped(1),
    ),
    "uninitialised": Fault(
        "reads uninitialised shared memory",
        "SHARED_ARRAY(double, s, 64); if (t != WRONG(5, -1)) s[t] = in[i];"
        "\n__syncthreads(); out[i] = s[t];",
    ),
    "divergent-barrier": Fault(
        "divergent __syncthreads: other threads wait at line [12] of toy.cu",
        "if (t < WRONG(32, 64)) __syncthreads();\nelse __syncthreads();\nout[i] = in[i];",
        modes=BOTH,
    ),
    "not-in-own-mask": Fault(
        "wrong mask: lane [0-9]+ is not in its own mask 0000ffff",
        "out[i] = __shfl_sync(WRONG(0xffffu, FULL_WARP), in[i], t);",
        modes=BOTH,
    ),
    "partner-has-ended": Fault(
        "wrong mask: .* ended",
        "if (t >= WRONG(48, 64)) return;\nout[i] = __shfl_xor_sync(FULL_WARP, in[i], 1);",
        swapped(1),
        BOTH,
    ),
    "masks-disagree": Fault(
        "deadlock: no thread can go on: thread 0 waits in a warp intrinsic at line 1 with mask "
        "0001ffff, thread 16 waits in a warp intrinsic at line 1 with mask ffffffff",
        "out[i] = __shfl_sync(t & 16 ? FULL_WARP : WRONG(0x1ffffu, FULL_WARP), in[i], t);",
        modes=BOTH,
    ),
    "shuffle-from-outside": Fault(
        "lane [0-9]+ shuffles from lane [0-9]+, which is not in mask 0000ffff",
        "out[i] = in[i];\nif (t % 32 < 16) out[i] = __shfl_sync(0xffffu, in[i], t + WRONG(16, 0));",
        modes=BOTH,
    ),
    "write-to-const": Fault(
        "writes to an array that is const to the kernel",
        "double* to = WRONG(const_cast<double*>(in), out);\nto[i] = 2 * in[i];",
        lambda x: 2 * x,
    ),
    "copy-read-early": Fault(
        "reads shared memory that a cp.async not yet waited for writes",
        "SHARED_ARRAY(double, s, 64); cp_async<8>(s + t, in + i); cp_async_commit();"
        "\nWRONG(, cp_async_wait<0>();) out[i] = s[t]; cp_async_wait<0>();",
    ),
    "copy-waits-for-older": Fault(
        "reads shared memory that a cp.async not yet waited for writes",
        "SHARED_ARRAY(double, s, 128); cp_async<8>(s + t, in + i); cp_async_commit();"
        "\ncp_async<8>(s + 64 + t, in + i); cp_async_commit(); cp_async_wait<1>();"
        "\nout[i] = s[t + WRONG(64, 0)]; cp_async_wait<0>();",
    ),
    "copy-without-barrier": Fault(
        "race: (reads|writes) shared memory that thread [0-9]+ (wrote|read)|not yet waited for"
        "|uninitialised",
        "SHARED_ARRAY(double, s, 64); cp_async<8>(s + t, in + i); cp_async_commit();"
        "\ncp_async_wait<0>(); WRONG(, __syncwarp();) out[i] = s[t ^ 1];",
        swapped(1),
    ),
    "copy-never-waited-for": Fault(
        "the thread ends before its cp.async copies do",
        "SHARED_ARRAY(double, s, 64); out[i] = in[i]; cp_async<8>(s + t, in + i);"
        "\ncp_async_commit(); WRONG(, cp_async_wait<0>();)",
        modes=BOTH,
    ),
    "copy-misaligned": Fault(
        "misaligned cp.async: 16 bytes need addresses that 16 divides",
        "SHARED_ARRAY(double, s, 66); if (t % 2 == 0) cp_async<16>(s + t + WRONG(1, 0), in + i);"
        "\ncp_async_commit(); cp_async_wait<0>(); __syncthreads(); out[i] = s[t];",
        modes=BOTH,
    ),
    "copy-to-global": Fault(
        "cp.async writes outside shared memory",
        "SHARED_ARRAY(double, s, 64); cp_async<8>(WRONG(out + i, s + t), in + i);"
        "\ncp_async_commit(); cp_async_wait<0>(); out[i] = s[t];",
        modes=BOTH,
    ),
    "trap": Fault(
        r"__trap\(\) was called", "if (WRONG(t == 7, false)) __trap();\nout[i] = in[i];", modes=BOTH
    ),
    "undefined": Fault(
        "undefined behaviour", "out[i] = in[i] * (1 << WRONG(n, 1)) / (1 << WRONG(n, 1));"
    ),
    "division": Fault(
        "an integer division that has no answer",
        "out[i] = in[i] + (n / (n - WRONG(128, 127)) - 128);",
        modes=("fast",),
    ),
    "crash": Fault(
        "a crash: memory that is not there",
        "out[i + WRONG(1ll << 44, 0)] = in[i];",
        modes=("fast",),
    ),
    "deadlock": Fault(
        "deadlock: no thread can go on: thread 0 waits in a warp intrinsic at line 1 with mask "
        "ffffffff, thread 16 waits in __syncthreads at line 2",
        "if (t % 32 < WRONG(16, 32)) __syncwarp();\nelse __syncthreads();\nout[i] = in[i];",
        modes=BOTH,
    ),
    "dynamic-too-small": Fault(
        "the kernel takes 1040 bytes of dynamic shared memory, the launch gave 1024",
        "DYNAMIC_SHARED(memory); memory.take<char>(8); double* s = memory.take<double>(64);"
        "\nmemory.take<double>(WRONG(64, 62)); s[t] = in[i]; out[i] = s[t];",
        modes=BOTH,
    ),
    "dynamic-disagrees": Fault(
        "threads disagree: [0-9]+ bytes of shared memory from 0 on, but [0-9]+ from 0 on",
        "DYNAMIC_SHARED(memory);\ndouble* s = memory.take<double>(64 + WRONG(t % 2, 0));"
        "\ns[t] = in[i]; out[i] = s[t];",
        modes=BOTH,
    ),
}


def toy(fault: Fault, faulty: bool, mode: str) -> build.Module:
    """The kernel, with its fault or without."""
    text = build.with_common(_KERNEL.format(body=fault.body), "frame.cu")
    return build.Module(text, ["toy"], ["-DFAULT"] if faulty else [], mode)


def run(module: build.Module) -> tuple[np.ndarray, np.ndarray]:
    """Launch the kernel; what it read and what it wrote, which lie two numbers apart."""
    size = BLOCKS * THREADS
    memory = np.zeros(2 * size + 2)
    x, out = memory[:size], memory[size + 2 :]
    x[:] = np.random.default_rng(0).normal(size=size)
    values = [x, out, np.int32(x.size)]
    module.launch("toy", (BLOCKS,), (THREADS,), values, shared_bytes=1024)
    return x, out

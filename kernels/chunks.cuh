// chunks.cuh: the sums of a long regression's chunks added up.

#ifndef GPUOLS_CHUNKS_CUH
#define GPUOLS_CHUNKS_CUH
#include "doubledouble.cuh"
#include "moments.cuh"

// The sum of numbers of several chunks that lie `apart` doubles from each other, compensated, so that
// however many there are it errs by a rounding of its own only.
__device__ __forceinline__ double sum_of(const double* first, long long apart, long long chunks) {
    double total = *first, rest = 0.0;
#pragma unroll 1
    for (long long c = 1; c < chunks; c++) {
        double error;
        total = two_sum(total, first[c * apart], error);
        rest = __dadd_rn(rest, error);
    }
    // Of an infinite sum the rest is not a number.
    return total - total == 0.0 ? __dadd_rn(total, rest) : total;
}

// Numbers that are added in one go. More are added in runs of so many (fold.cu), the sums of the runs
// in runs again, and so on: how is decided by the number of chunks alone.
constexpr int TOGETHER = 16;

// How many chunks apart lie the sums that runs have left of so many, TOGETHER at most.
__device__ __forceinline__ long long apart_when_folded(long long chunks) {
    long long step = 1;
    while (chunks > TOGETHER * step) step *= TOGETHER;
    return step;
}

// The sum of numbers of chunks 0, step, 2 step, ..., and what it lost to rounding. What a run's sum
// lost lies in the chunk after it. Several are loaded before any is added.
__device__ __forceinline__ Pair add_run(const double* first, int apart, long long step,
                                        long long chunks) {
    constexpr int AHEAD = 4;
    const double* const last = first + chunks * apart;
    const long long next = step * apart;
    Pair total;
#pragma unroll 1
    for (const double* own = first; own < last; own += AHEAD * next) {
        double high[AHEAD], low[AHEAD];
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            const double* const one = own + i * next;
            high[i] = one < last ? *one : 0.0;
            low[i] = step > 1 && one + apart < last ? one[apart] : 0.0;
        }
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            double error;
            total.high = two_sum(total.high, high[i], error);
            total.low = __dadd_rn(total.low, __dadd_rn(error, low[i]));
        }
    }
    return total;
}

// Adds the sums of a regression's chunks, those of runs where there are many, to those of chunk 0.
// All have the same anchor.
template <class Team>
__device__ void add_chunks(double* sums, long long chunks, const Layout& at, const Team& team) {
    const int size = at.size();
    const long long step = apart_when_folded(chunks);
#pragma unroll 1
    for (int e = team.lane; e < size && chunks > 1; e += Team::SIZE) {
        if (e >= at.anchor(0) && e < at.mean(0)) continue;
        const Pair total = add_run(sums + e, size, step, chunks);
        // Of an infinite sum the rest is not a number.
        sums[e] = total.high - total.high == 0.0 ? __dadd_rn(total.high, total.low) : total.high;
    }
    team.sync();
}

#endif  // GPUOLS_CHUNKS_CUH

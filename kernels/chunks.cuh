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

// Adds the sums of chunks 1, 2, ... to those of chunk 0. All have the same anchor.
template <class Team>
__device__ void add_chunks(double* sums, long long chunks, const Layout& at, const Team& team) {
    const int size = at.size();
    for (int e = team.lane; e < size; e += Team::SIZE)
        if (e < at.anchor(0) || e >= at.mean(0)) sums[e] = sum_of(sums + e, size, chunks);
    team.sync();
}

#endif  // GPUOLS_CHUNKS_CUH

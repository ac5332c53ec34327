// chunks.cuh: the sums of a long regression's chunks added up.

#ifndef GPUOLS_CHUNKS_CUH
#define GPUOLS_CHUNKS_CUH
#include "doubledouble.cuh"
#include "moments.cuh"

// Adds the sums of chunks 1, 2, ... to those of chunk 0, compensated, so that however many there are
// a sum errs by a rounding of its own only. All have the same anchor.
template <class Team>
__device__ void add_chunks(double* sums, long long chunks, const Layout& at, const Team& team) {
    const int size = at.size();
    for (int e = team.lane; e < size; e += Team::SIZE) {
        if (e >= at.anchor(0) && e < at.mean(0)) continue;
        double total = sums[e], rest = 0.0;
        for (long long c = 1; c < chunks; c++) {
            double error;
            total = two_sum(total, sums[c * size + e], error);
            rest = __dadd_rn(rest, error);
        }
        // Of an infinite sum the rest is not a number.
        sums[e] = total - total == 0.0 ? __dadd_rn(total, rest) : total;
    }
    team.sync();
}

#endif  // GPUOLS_CHUNKS_CUH

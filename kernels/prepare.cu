// prepare: sums of chunks to moments and to the scaled matrices A that cuSOLVER factors, a block a
// regression; `solve` goes on from the factors.
//
// Launch: 128 threads, no dynamic shared memory.

#include "chunks.cuh"
#include "design.cuh"

extern "C" __global__ void __launch_bounds__(128, 2)
    prepare(double* sums,             // (chunks, entries); changed
            const double* ridge,      // (B,) or null
            const long long* starts,  // (B + 1,) first chunk of each regression, or null: `each` of each
            int centered, int k, int m, long long each, long long count,
            double* scale,    // (B, k)
            double* factors,  // (B, k, k), the lower triangle by columns
            double* moments,  // (entries, room)
            long long room) {
    const Layout at = {k, m};
    const Chunks chunks = {nullptr, starts, each};
    SHARED_ARRAY(double, part, 4);
    const Block<128> team = {int(threadIdx.x), part};
    for (long long b = blockIdx.x; b < count; b += gridDim.x) {
        double* const first = sums + chunks.start(b) * at.size();
        const Moments v = {first, 1};
        add_chunks(first, chunks.number(b), at, team);
        centre(v, at, centered, team);
        write_moments(first, 1, 1, at, moments + b, room, team.lane, team.SIZE);
        const double penalty = ridge ? ridge[b] : 0.0;
        double* const own = scale + b * k;
        scale_design(v, at, penalty, own, k, team);
        for (int e = team.lane; e < k * k; e += team.SIZE)
            if (e % k >= e / k)
                factors[b * k * k + e] = entry_of(v, at, penalty, own, e % k, e / k);
    }
}

// fold: the sums of a long regression's chunks added in runs, so that `solve`, `prepare` or `settle`
// is left with few of them.
//
// A block takes a run: TOGETHER sums, `step` chunks from one to the next, whose sum goes to the first
// of them. Launched for step 1, TOGETHER, its square and so on, as long as some regression has more
// sums than it adds in one go (chunks.cuh); in double-double the runs are parts of a tree (tree.cuh).
//
// Macro: GPUOLS_PRECISE. Launch: 128 threads.

#include "chunks.cuh"
#include "team.cuh"
#include "tree.cuh"

constexpr int THREADS = 128;

// Adds the sums of a run's chunks to those of the first; what they lost to rounding goes to the next.
__device__ void add_sums(double* sums, long long step, long long chunks, const Layout& at) {
    const int size = at.size();
    for (int e = threadIdx.x; e < size; e += THREADS) {
        if (e >= at.anchor(0) && e < at.mean(0)) continue;
        const Pair total = add_run(sums + e, size, step, chunks);
        sums[e] = total.high;
        if (chunks > 1) sums[size + e] = total.low;
    }
}

extern "C" __global__ void __launch_bounds__(128, 4)
    fold(double* sums,                                // (chunks, numbers of each); changed
         const int* owners, const long long* starts,  // (chunks,) and (B + 1,), or null
         const signed char* found,                    // (B,) Finding: of those that are far; or null
         int k, int m, long long step, long long count, long long items) {
    const Layout at = {k, m};
    const Chunks chunks = {owners, starts, items / count};
    const long long longest = TOGETHER * step;
    for (long long item = blockIdx.x; item < items; item += gridDim.x) {
        const long long b = chunks.owner(item), all = chunks.number(b);
        const long long before = item - chunks.start(b), left = all - before;
        if (all <= longest || before % longest != 0 || (found && !(found[b] & FAR))) continue;
        const long long run = left < longest ? left : longest;
        if (GPUOLS_PRECISE)
            add_levels(sums + item * stride(at), step, run, at, Block<THREADS>{int(threadIdx.x), nullptr});
        else
            add_sums(sums + item * at.size(), step, run, at);
    }
}

// tree.cuh: the sums of chunks in double-double (dealing.cuh) added as a tree, the NumPy engine's.

#ifndef GPUOLS_TREE_CUH
#define GPUOLS_TREE_CUH
#include "dealing.cuh"

// Adds entry e of the sums b to that of a.
__device__ void add_entry(double* a, const double* b, int e, const Layout& at) {
    const int size = at.size();
    if (e == ROWS || e == LOG_WEIGHT) {
        a[e] = __dadd_rn(a[e], b[e]);
    } else if (e == 2 * size + 1) {
        a[e] = fmin(a[e], b[e]);
    } else if (e == 2 * size || (e >= at.raw(0) && e < at.raw(at.columns()))) {
        a[e] = larger(a[e], b[e]);
    } else {
        const Numbers sum = {a, a + size};
        sum.put(e, add(sum[e], {b[e], b[size + e]}));
    }
}

// Adds to the sums of chunk 0 those of chunks step, 2 step, ... as a tree; the threads of a team share
// out each level.
template <class Team>
__device__ void add_levels(double* sums, long long step, long long chunks, const Layout& at,
                           const Team& team) {
    const int size = at.size(), entries = size - at.columns() + 2, apart = stride(at);
    for (; step < chunks; step *= 2) {
        const long long pairs = (chunks + step - 1) / (2 * step);
        for (long long task = team.lane; task < pairs * entries; task += Team::SIZE) {
            int e = task % entries;
            if (e >= at.anchor(0)) e += at.columns();
            if (e >= size) e += size;
            double* const own = sums + task / entries * 2 * step * apart;
            add_entry(own, own + step * apart, e, at);
        }
        team.sync();
    }
}

#endif  // GPUOLS_TREE_CUH

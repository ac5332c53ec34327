// settle: sums of chunks to moments about the mean in double-double, a block a regression:
// gpuols.engines.centring.
//
// It finds, too, whose anchors are far from the mean, so that they are to be summed once more about
// it, and whose columns or weights are so large or small that they had to be divided by a power of
// two first.
//
// Launch: 128 threads.

#include "dealing.cuh"
#include "team.cuh"

constexpr int THREADS = 128;
// Sizes that need no units; gpuols.engines.precise allows a little more.
constexpr double LARGE = 4.5e74, SMALL = 1.0 / LARGE;
// A weight beside the largest, 2^-1000, below which nothing is promised.
constexpr double LEAST = 9.332636185032189e-302;
// Squares about the anchor in those about the mean: four standard deviations.
constexpr double MOST = 16.0;

// Whether a size tells that numbers should have been divided by a power of two.
__device__ __forceinline__ bool is_extreme(double size) {
    return size > LARGE || (size > 0.0 && size < SMALL);
}

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

// Adds the sums of all chunks to those of the first, as a tree.
template <class Team>
__device__ void add_chunks(double* sums, long long chunks, const Layout& at, const Team& team) {
    const int size = at.size(), step = stride(at);
    for (int i = team.lane; i < size + 2; i += Team::SIZE) {
        if (i >= at.anchor(0) && i < at.mean(0)) continue;
        const int e = i < size ? i : i + size;
        for (long long apart = 1; apart < chunks; apart *= 2)
            for (long long c = 0; c + apart < chunks; c += 2 * apart)
                add_entry(sums + c * step, sums + (c + apart) * step, e, at);
    }
    team.sync();
}

extern "C" __global__ void __launch_bounds__(128, 4)
    settle(double* sums,             // (chunks, stride); changed
           const long long* starts,  // (B + 1,) first chunk of each regression, or null: `each` of each
           int again, int centered, int k, int m, long long each, long long count,
           double* anchors,     // (B, k + m), of those that are far from it the mean
           signed char* found,  // (B,) Finding; with `again` only those that are far have new sums
           double* moments,     // (2, entries, room), high and low parts
           long long room) {
    const Layout at = {k, m};
    const Chunks chunks = {nullptr, starts, each};
    SHARED_ARRAY(double, part, THREADS / 32);
    const Block<THREADS> team = {int(threadIdx.x), part};
    for (long long b = blockIdx.x; b < count; b += gridDim.x) {
        if (again && !(found[b] & FAR)) continue;
        double* const first = sums + chunks.start(b) * stride(at);
        const Numbers v = {first, first + at.size()};
        add_chunks(first, chunks.number(b), at, team);

        const double heaviest = first[2 * at.size()], least = first[2 * at.size() + 1];
        const Pair weight = {v.high[WEIGHT] > 0.0 ? v.high[WEIGHT] : 1.0, v.low[WEIGHT]};
        unsigned finding = is_extreme(heaviest) ? EXTREME : 0;
        for (int c = team.lane; c < at.columns(); c += THREADS) {
            if (is_extreme(__ddiv_rn(v.high[at.raw(c)], __dsqrt_rn(heaviest)))) finding |= EXTREME;
            const bool lost = c >= k && least < LEAST * heaviest;
            v.high[at.raw(c)] = lost ? infinite() : v.high[at.product(c, c)];
            // Others need the sum for now: the mean waits where there are no low parts.
            const Pair mean = divide(v[at.mean(c)], weight);
            v.low[at.anchor(c)] = mean.high;
            v.low[at.raw(c)] = mean.low;
            for (int j = 0; centered && j <= c; j++) {
                if (!at.keeps(c, j)) continue;
                const int e = at.product(c, j);
                v.put(e, subtract(v[e], multiply(v[at.mean(j)], mean)));
            }
        }
        team.sync();
        for (int c = team.lane; c < at.columns(); c += THREADS) {
            if (centered && v.high[at.raw(c)] > MOST * v.high[at.product(c, c)]) finding |= FAR;
            v.put(at.mean(c), {v.low[at.anchor(c)], v.low[at.raw(c)]});
        }
        finding = team.either(finding);
        if (finding & FAR)
            for (int c = team.lane; c < at.columns(); c += THREADS) {
                const Pair mean = v[at.mean(c)];
                anchors[b * at.columns() + c] =
                    __dadd_rn(__dadd_rn(mean.low, mean.high), v.high[at.anchor(c)]);
            }
        if (team.lane == 0) found[b] = static_cast<signed char>(finding);
        const int entries = 3 + 3 * at.columns() + k * k + k * m + m;
        write_moments(v.high, 1, 1, at, moments + b, room, team.lane, THREADS);
        write_moments(v.low, 1, 1, at, moments + entries * room + b, room, team.lane, THREADS);
    }
}

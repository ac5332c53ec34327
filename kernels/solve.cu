// solve: sums of chunks to moments and answers, a team of GPUOLS_TEAM threads a regression.
//
// The team adds the chunks, centres, writes the moments and solves (solve.cuh). What it works with
// lies in shared memory, or, for many columns, in `spare`. Where `factors` are given, `prepare` has
// done all but the last, and L is there already, by columns.
//
// Macro: GPUOLS_TEAM (8, 16 or 32: 128 / GPUOLS_TEAM regressions a block; or 128). Launch: 128 threads;
// dynamic shared memory of 128 / GPUOLS_TEAM * Room::size doubles unless `spare` is given.

#include "solve.cuh"

constexpr int THREADS = 128, TEAMS = THREADS / GPUOLS_TEAM;

// L from columns (k, k) to packed rows, its diagonal apart.
template <class Team>
__device__ void unpack(const double* columns, double* lower, double* root, int k, const Team& team) {
    for (int e = team.lane; e < k * k; e += Team::SIZE) {
        const int j = e / k, i = e % k;
        if (i > j) lower[packed(i, j)] = columns[e];
        if (i == j) root[j] = columns[e];
    }
    team.sync();
}

// Whether the pivots of L, given by columns, are finite: a library takes infinity for one.
__device__ bool is_sound(const double* columns, int k) {
    bool sound = true;
#pragma unroll 1
    for (int j = 0; j < k; j++) sound = sound && is_finite(columns[(k + 1) * j]);
    return sound;
}

extern "C" __global__ void __launch_bounds__(128, 2)
    solve(double* sums,             // (chunks, entries); changed
          const double* ridge,      // (B,) or null
          const long long* starts,  // (B + 1,) first chunk of each regression, or null: `each` of each
          double tol, int centered, int k, int m, long long each, long long count,
          double* spare,          // (B, Room::size) or null
          const double* factors,  // (B, k, k) or null
          const int* failed,      // (B,) zero where the factor exists
          double* moments,        // (entries, room)
          double* answers,        // (entries, room)
          signed char* status,    // (m, room)
          int* rejected,          // (1,)
          long long room) {
    const Layout at = {k, m};
    const int own = threadIdx.x / GPUOLS_TEAM;
#if GPUOLS_TEAM <= 32
    const Lanes<GPUOLS_TEAM> team(threadIdx.x);
#else
    SHARED_ARRAY(double, part, THREADS / 32);
    const Block<THREADS> team = {int(threadIdx.x), part};
#endif
    const Chunks chunks = {nullptr, starts, each};
    DYNAMIC_SHARED(memory);
    double* const near = spare ? nullptr : memory.take<double>(TEAMS * Room::size(k));

    for (long long b = blockIdx.x * (long long)TEAMS + own; b < count;
         b += (long long)gridDim.x * TEAMS) {
        double* const first = sums + chunks.start(b) * at.size();
        const Moments v = {first, 1};
        const Room work(spare ? spare + b * Room::size(k) : near + own * Room::size(k), k);
        const Answers out = {answers + b, status + b, rejected, room, k + centered, m};
        const double penalty = ridge ? ridge[b] : 0.0;
        bool solved;
        if (factors) {
            scale_design(v, at, penalty, work.scale, k, team);
            const double* const columns = factors + (long long)k * k * b;
            unpack(columns, work.lower, work.root, k, team);
            solved = failed[b] == 0 && is_sound(columns, k);
        } else {
            add_chunks(first, chunks.number(b), at, team);
            centre(v, at, centered, team);
            write_moments(first, 1, 1, at, moments + b, room, team.lane, GPUOLS_TEAM);
            solved = factor_design(v, at, penalty, work, k, team);
        }
        solve_one(v, at, penalty, solved, centered, tol, work, out, k, team);
    }
}

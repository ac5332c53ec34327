// solve: sums of chunks to moments and answers, a team of GPUOLS_TEAM threads a regression.
//
// The chunks are added in order, compensated, so that however many there are a sum errs by a
// rounding of its own only. Then the team centres, writes the moments and solves (solve.cuh). What
// it works with lies in shared memory, or, for many columns, in `spare`.
//
// Macros: GPUOLS_TEAM (32: 4 regressions a block, or 128), GPUOLS_RIDGE. Launch: 128 threads;
// dynamic shared memory of 128 / GPUOLS_TEAM * Room::size doubles unless `spare` is given.

#include "solve.cuh"

constexpr int THREADS = 128, TEAMS = THREADS / GPUOLS_TEAM;

// Adds the sums of chunks 1, 2, ... to those of chunk 0; all have the same anchor.
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
        sums[e] = __dadd_rn(total, rest);
    }
    team.sync();
}

extern "C" __global__ void __launch_bounds__(128, 2)
    solve(double* sums,         // (B * chunks, entries); changed
          const double* ridge,  // (B,) or null
          double tol, int centered, int k, int m, long long chunks, long long count,
          double* spare,        // (B, Room::size) or null
          double* moments,      // (entries, room)
          double* answers,      // (entries, room)
          signed char* status,  // (m, room)
          int* counts,          // (2,)
          long long room) {
    const Layout at = {k, m};
    const int own = threadIdx.x / GPUOLS_TEAM;
#if GPUOLS_TEAM == 32
    const Lanes<32> team(threadIdx.x);
#else
    SHARED_ARRAY(double, part, THREADS / 32);
    const Block<THREADS> team = {int(threadIdx.x), part};
#endif
    DYNAMIC_SHARED(memory);
    double* const near = spare ? nullptr : memory.take<double>(TEAMS * Room::size(k));

    for (long long b = blockIdx.x * (long long)TEAMS + own; b < count;
         b += (long long)gridDim.x * TEAMS) {
        double* const first = sums + b * chunks * at.size();
        const Moments v = {first, 1};
        add_chunks(first, chunks, at, team);
        centre(v, at, centered, team);
        write_moments(first, 1, 1, at, moments + b, room, team.lane, GPUOLS_TEAM);
        const Room work(spare ? spare + b * Room::size(k) : near + own * Room::size(k), k);
        const Answers out = {answers + b, status + b, counts, room, k + centered, m};
        const double penalty = GPUOLS_RIDGE ? ridge[b] : 0.0;
        solve_one(v, at, penalty, centered, tol, work, out, k, team);
        team.sync();
    }
}

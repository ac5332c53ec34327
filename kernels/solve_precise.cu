// solve_precise: moments in double-double, where `settle` leaves them, to answers, a team of
// GPUOLS_TEAM threads a regression.
//
// L⁻¹ X'y takes the place of X'y. Those that had to be divided by powers of two first are left out;
// where a column is redundant, that is noted, and whether answers of anchored sums are in doubt: where
// other sums might change more than the last digits, or a status.
//
// Macro: GPUOLS_TEAM (8, 32 or 128). Launch: 128 threads; dynamic shared memory of 128 / GPUOLS_TEAM *
// Room::size doubles. k is 64 at most.

#include "anchored.cuh"
#include "answers.cuh"
#include "dealing.cuh"
#include "precise.cuh"
#include "verdict.cuh"

constexpr int THREADS = 128, TEAMS = THREADS / GPUOLS_TEAM;

// Redundant columns are dropped: they have no coefficient.
struct Dropped {
    bool whole;  // whether there is one only where all have one

    __device__ bool gives(const Design& design, int j, int k) const {
        return is_in(design.kept, j) && !(whole && design.slopes < k);
    }
    __device__ bool gives_intercept(const Design& design, int k) const {
        return !(whole && design.slopes < k);
    }
    template <class Team>
    __device__ void turn(const Room&, int, const Team&) const {}
    template <class Value>
    __device__ double error(const Value&, double, double, int) const {
        return 0.0;
    }
};

// L⁻¹ X'y of all responses in place of X'y.
template <class Team>
__device__ __forceinline__ void substitute_responses(const Regression& own, Kept kept, const Room& room,
                                                     int k, const Team& team) {
#pragma unroll 1
    for (int r = 0; r < own.at.m; r++) {
        const int first = own.at.product(k + r, 0);
#pragma unroll 1
        for (int j = team.lane; j < k; j += Team::SIZE) {
            const Pair entry = own.v[first + j];
            const double scale = is_in(kept, j) ? room.scale[j] : 0.0;
            room.right.put(j, {__dmul_rn(entry.high, scale), __dmul_rn(entry.low, scale)});
        }
        team.sync();
        substitute(room.lower, room.right, k, team);
#pragma unroll 1
        for (int j = team.lane; j < k; j += Team::SIZE) own.v.put(first + j, room.right[j]);
    }
}

extern "C" __global__ void __launch_bounds__(128, FEW_REGISTERS ? 3 : 4)
    solve_precise(double* sums,             // (chunks, stride), as `settle` leaves them; changed
                  const double* ridge,      // (B,) or null
                  const long long* starts,  // (B + 1,) first chunk of each, or null: `each` of each
                  int anchored,             // whether the sums are
                  double tol, int whole, int centered, int k, int m, long long each, long long count,
                  signed char* found,   // (B,) Finding
                  double* answers,      // (entries, room)
                  signed char* status,  // (m, room)
                  long long room) {
    const Layout at = {k, m};
    const Chunks chunks = {nullptr, starts, each};
    DYNAMIC_SHARED(memory);
    const int number = threadIdx.x / GPUOLS_TEAM;
    const Room work(memory.take<double>(TEAMS * Room::size(k)) + number * Room::size(k), k);
#if GPUOLS_TEAM == 128
    const Block<THREADS> team = {int(threadIdx.x), nullptr};
#else
    const Lanes<GPUOLS_TEAM> team(threadIdx.x);
#endif
    for (long long b = blockIdx.x * (long long)TEAMS + number; b < count;
         b += (long long)gridDim.x * TEAMS) {
        if (found[b] & EXTREME) continue;
        double* const first = sums + chunks.start(b) * stride(at);
        const Regression own = {{first, first + at.size()}, at, ridge ? ridge[b] : 0.0, centered != 0};
        const Answers out = {answers + b, status + b, nullptr, room, k + centered, m};
        double gamma = rounding_of_pairs(own.rows());
        if (anchored) gamma = __dadd_rn(gamma, rounding_of_anchored(own.rows()));
        const Kept kept = factor_design(own, gamma, anchored ? 2.0 : 1.0, work, k, team);
        substitute_responses(own, kept, work, k, team);
        const Design design = examine(own, kept, gamma, work, k, team);
        const Dropped rest = {whole != 0};
        bool sure = own.rows() - centered > k;
        for (int r = 0; r < m; r++)
            sure = answer(own, r, design, rest, tol, work, out, k, team) <= UNSEEN && sure;

        answer_design(own, design, rest, work, out, k, team);
        if (team.lane == 0 && design.slopes < k) found[b] |= REDUNDANT;
        if (team.lane == 0 && anchored && !sure) found[b] |= IN_DOUBT;
        team.sync();
    }
}

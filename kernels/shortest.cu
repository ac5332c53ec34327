// shortest: the shortest of all solutions where columns are redundant, from moments in double-double
// as `solve_precise` leaves them, a team of GPUOLS_TEAM threads a regression: gpuols.engines.choice
// says what the error of the choice is.
//
// What it works with is too large for shared memory, and few regressions come here: it is in global
// memory, for as many as are worked on at a time.
//
// Macro: GPUOLS_TEAM (8, 32 or 128). Launch: 128 threads. k is 64 at most.

#include "answers.cuh"
#include "dealing.cuh"
#include "precise.cuh"
#include "projection.cuh"
#include "verdict.cuh"

constexpr int THREADS = 128, TEAMS = THREADS / GPUOLS_TEAM;

// What is known of a choice before there is a response; binary logarithms.
struct Shortest {
    Space space;  // its `deviation`: standard errors in the caller's units over the residuals'
    const double* scale;
    double doubt, own, of_level, of_errors;
    bool centered;

    __device__ bool gives(const Design&, int, int) const { return true; }
    __device__ bool gives_intercept(const Design&, int) const { return true; }

    // P b in place of b.
    template <class Team>
    __device__ void turn(const Room& room, int k, const Team& team) const {
#pragma unroll 1
        for (int h = team.lane; h < k; h += Team::SIZE) {
            Pair sum;
#pragma unroll 1
            for (int j = 0; j < k; j++) sum = add(sum, multiply(space.onto[h * k + j], room.b[j]));
            space.turned.put(h, sum);
        }
        team.sync();
#pragma unroll 1
        for (int h = team.lane; h < k; h += Team::SIZE) room.b.put(h, space.turned[h]);
        team.sync();
    }

    // Error of coefficients and standard errors from the choice, given the residual variance.
    template <class Slope>
    __device__ double error(const Slope& slope, double intercept, double noise, int k) const {
        const double spread = log2(noise) / 2.0;
        double length = -infinite(), found = -infinite();
#pragma unroll 1
        for (int j = 0; j < k; j++)
            length = larger(length, log2(fabs(slope(j))) + exponent_of(scale[j]));
#pragma unroll 1
        for (int j = 0; j < k; j++) {
            const double size = log2(fabs(slope(j))) + exponent_of(scale[j]);
            found = larger(found, beside(doubt + length, fmax(size, space.deviation[j] + spread)));
        }
        if (centered)
            found = larger(found, beside(of_level + length, fmax(log2(fabs(intercept)), own + spread)));
        if (noise > 0.0) found = larger(found, of_errors);
        return sane(exp2(found));
    }
};

// What follows from the choice alone.
template <class Team>
__device__ __forceinline__ Shortest choose(const Regression& own, Design& design, const Room& room,
                                           const Space& space, int k, const Team& team) {
    const double doubt = project(own, design, room, space, k, team);
    // L⁻¹P' in place of Q.
#pragma unroll 1
    for (int h = team.lane; h < k; h += Team::SIZE) {
        double spread = 0.0;
#pragma unroll 1
        for (int g = 0; g < k; g++) {
            Pair root;
#pragma unroll 1
            for (int j = 0; j <= g; j++)
                root = add(root, multiply(room.lower[packed(g, j)], space.onto[h * k + j]));
            space.rows.put(g * k + h, root);
            spread = __dadd_rn(spread, __dmul_rn(root.high, root.high));
        }
        room.spread[h] = room.variance.high[h] = spread;
        space.deviation[h] = log2(spread) / 2.0 + exponent_of(room.scale[h]);
    }
    team.sync();
#pragma unroll 1
    for (int g = team.lane; g < k; g += Team::SIZE) {
        Pair half;
#pragma unroll 1
        for (int h = 0; h < k; h++) half = add(half, multiply(space.rows[g * k + h], room.center[h]));
        room.half.put(g, half);
    }
    team.sync();

    double length = 0.0, width = -infinite(), farthest = -infinite(), of_errors = -infinite();
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        length = __dadd_rn(length, __dmul_rn(room.half.high[j], room.half.high[j]));
        width = larger(width, space.deviation[j]);
        farthest = larger(farthest, log2(fabs(room.center.high[j])) - exponent_of(room.scale[j]));
    }
#pragma unroll 1
    for (int j = 0; j < k; j++)
        of_errors = larger(of_errors, beside(doubt + width, space.deviation[j]));
    design.reach = design.variance = __dadd_rn(__ddiv_rn(1.0, own.v.high[WEIGHT]), length);
    const double level = log2(design.variance) / 2.0, of_level = doubt + farthest + log2(double(k));
    if (own.centered) of_errors = larger(of_errors, beside(of_level + width, level));
    return {space, room.scale, doubt, level, of_level, of_errors, own.centered};
}

extern "C" __global__ void __launch_bounds__(128, FEW_REGISTERS ? 2 : 3)
    shortest(double* sums,             // (chunks, stride), as `solve_precise` leaves them
             const long long* starts,  // (B + 1,) first chunk of each, or null: `each` of each
             const long long* which,   // (count,) the regressions with redundant columns
             double tol, int centered, int k, int m, long long each, long long count,
             double* spare,        // (teams, Room::size + Space::size)
             double* answers,      // (entries, room)
             signed char* status,  // (m, room)
             long long room) {
    const Layout at = {k, m};
    const Chunks chunks = {nullptr, starts, each};
    const long long number = blockIdx.x * (long long)TEAMS + threadIdx.x / GPUOLS_TEAM;
    double* const own_spare = spare + number * (Room::size(k) + Space::size(k));
    const Room work(own_spare, k);
    const Space space(own_spare + Room::size(k), k);
#if GPUOLS_TEAM == 128
    const Block<THREADS> team = {int(threadIdx.x), nullptr};
#else
    const Lanes<GPUOLS_TEAM> team(threadIdx.x);
#endif
    for (long long i = number; i < count; i += (long long)gridDim.x * TEAMS) {
        const long long b = which[i];
        double* const first = sums + chunks.start(b) * stride(at);
        const Regression own = {{first, first + at.size()}, at, 0.0, centered != 0};
        const Answers out = {answers + b, status + b, nullptr, room, k + centered, m};
        const double gamma = rounding_of_pairs(own.rows());
        const Kept kept = factor_design(own, gamma, 1.0, work, k, team);
        Design design = examine(own, kept, gamma, work, k, team);
        const Shortest rest = choose(own, design, work, space, k, team);
        for (int r = 0; r < m; r++) answer(own, r, design, rest, tol, work, out, k, team);
        answer_design(own, design, rest, work, out, k, team);
        team.sync();
    }
}

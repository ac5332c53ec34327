// solve.cuh: from moments to coefficients, variances, error bound and status, by a team of threads.
//
// With the design's A = L L' (design.cuh) the slopes are b = D A⁻¹ D sxy, and the intercept is
// ȳ - b'x̄ in about 106 bits. Every number is as gpuols.engines.solve says.

#ifndef GPUOLS_SOLVE_CUH
#define GPUOLS_SOLVE_CUH
#include "answers.cuh"
#include "chunks.cuh"
#include "design.cuh"

// The intercept of response r with slopes b in scaled units, in every thread.
__device__ __forceinline__ double intercept_of(const Moments& v, const Layout& at,
                                               const double* scale, const double* b, int k, int r) {
    double rest;
    double value = two_sum(v[at.anchor(k + r)], v[at.mean(k + r)], rest);
#pragma unroll 1
    for (int j = 0; j < k; j++) {
        double low, carry;
        const double center = __dmul_rn(two_sum(v[at.anchor(j)], v[at.mean(j)], low), scale[j]);
        const double product = __dmul_rn(b[j], -center), error = __fma_rn(b[j], -center, -product);
        value = two_sum(value, product, carry);
        rest = __dadd_rn(rest, carry + error - b[j] * (low * scale[j]));
    }
    return __dadd_rn(value, rest);
}

// Slopes, still in scaled units, and intercepts of all responses.
template <class Team>
__device__ __forceinline__ void solve_responses(const Moments& v, const Layout& at, bool centered,
                                                const Room& room, const Answers& out, int k,
                                                const Team& team) {
#pragma unroll 1
    for (int r = 0; r < at.m; r++) {
#pragma unroll 1
        for (int j = team.lane; j < k; j += Team::SIZE)
            room.right[j] = __dmul_rn(v[at.product(k + r, j)], room.scale[j]);
        team.sync();
        substitute(room.lower, room.root, room.right, room.half, k, team);
        substitute_back(room.lower, room.root, room.half, room.right, k, team);
#pragma unroll 1
        for (int j = team.lane; j < k; j += Team::SIZE) out.param(centered + j, r) = room.right[j];
        if (centered) {
            const double own = intercept_of(v, at, room.scale, room.right, k, r);
            if (team.lane == 0) out.param(0, r) = own;
        }
        team.sync();
    }
}

// Sum of squares, bound and status of response r, and its slopes in the caller's units; gives the
// status.
template <class Team>
__device__ __forceinline__ int judge(const Moments& v, const Layout& at, const Room& room, int k,
                                     int r, bool centered, double tol, const Design& design,
                                     const Answers& out, const Team& team) {
    const double raw = v[at.raw(k + r)];
    double explained = 0.0, shrunk = 0.0, size = 0.0;
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double b = out.param(centered + j, r), square = __dmul_rn(room.scale[j], room.scale[j]);
        explained = __fma_rn(b, __dmul_rn(v[at.product(k + r, j)], room.scale[j]), explained);
        shrunk = __fma_rn(__dmul_rn(design.penalty, square) * b, b, shrunk);
        size = __fma_rn(__dmul_rn(v[at.raw(j)], square) * b, b, size);
    }
    explained = team.sum(explained);
    shrunk = team.sum(shrunk);
    size = __dadd_rn(team.sum(size), raw);
    double ssr = __dsub_rn(__dsub_rn(v[at.product(k + r, k + r)], explained), shrunk);
    if (ssr < 0.0 || design.df == 0.0) ssr = 0.0;

    const double df = design.df > 0.0 ? design.df : unknown();
    const double deviation = __dsqrt_rn(__ddiv_rn(ssr, df));
    const double step = design.gamma * __dsqrt_rn(design.leverage * size);
    double error = 0.0;
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double se = __dsqrt_rn(room.variance[j]) * deviation;
        const double own = __dsqrt_rn(room.spread[j]) * step;
        error = fmax(error, relative(own, out.param(centered + j, r), se));
    }
    if (centered) {
        const double level = step + design.gamma * __dsqrt_rn(raw);
        const double se = __dsqrt_rn(design.variance) * deviation;
        error = fmax(error, relative(__dsqrt_rn(design.reach) * level, out.param(0, r), se));
    }
    error = team.max(error);
    const double of_ssr = (design.gamma * size + 2.0 * step * __dsqrt_rn(shrunk)) / ssr;
    error = fmax(error, sane(0.5 * (design.of_variances + of_ssr))) + (8.0 + 0.5 * k) * UNIT;
    if ((design.flaws & OUT_OF_RANGE) || !in_range(raw)) error = infinite();

    const bool finite = !(design.flaws & STRANGE) && is_finite(v[at.mean(k + r)]) && raw == raw;
    const bool few = design.df <= 0.0, known = finite && design.solved && !(design.df < 0.0);
    const bool trusted = design.solved && error <= tol && !(design.flaws & DEPENDENT);
    const int status = !finite ? NONFINITE : few ? TOO_FEW_ROWS : trusted ? OK : UNTRUSTED;
    team.sync();
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        double& b = out.param(centered + j, r);
        b = known ? __dmul_rn(b, room.scale[j]) : unknown();
    }
    if (team.lane == 0) {
        if (centered && !known) out.param(0, r) = unknown();
        out.ssr(r) = known ? ssr : unknown();
        out.bound(r) = known && !few ? error : infinite();
        out.status[r * out.room] = (signed char)status;
    }
    return status;
}

// Answers of one regression from its moments, with A scaled and factored in `room`.
template <class Team>
__device__ __forceinline__ void solve_one(const Moments& v, const Layout& at, double penalty,
                                          bool solved, bool centered, double tol, const Room& room,
                                          const Answers& out, int k, const Team& team) {
    Design design = {};
    design.solved = solved;
    design.penalty = penalty;
    design.penalised = penalty > 0.0;
    design.gamma = rounding(v[ROWS]);
    solve_responses(v, at, centered, room, out, k, team);
    if (centered) reach_mean(v, at, room, k, design, team);
    find_variances(v, at, room, k, design.penalised, team);
    examine(v, at, room, k, centered, design, team);

    // Where no response can be trusted for the rank, the factor alone has to be.
    bool rejected = false;
    bool ranked = !(design.flaws & (OUT_OF_RANGE | DEPENDENT)) && 0.5 * design.of_variances <= tol;
#pragma unroll 1
    for (int r = 0; r < at.m; r++) {
        const int status = judge(v, at, room, k, r, centered, tol, design, out, team);
        const double raw = v[at.raw(k + r)];
        if (status != OK && !(design.flaws & LOST) && raw == raw) rejected = true;
        if (status != NONFINITE) ranked = true;
    }
    const bool enough = ranked && design.solved && !(design.df < 0.0);
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double own = __dmul_rn(room.variance[j], __dmul_rn(room.scale[j], room.scale[j]));
        out.variance(centered + j) = enough ? own : unknown();
    }
    if (team.lane == 0) {
        if (centered) out.variance(0) = enough ? design.variance : unknown();
        out.df() = enough ? design.df : unknown();
        out.rank() = enough ? out.p : -1.0;
        if (rejected) atomicAdd(out.rejected, 1);
    }
}

#endif  // GPUOLS_SOLVE_CUH

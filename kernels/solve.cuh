// solve.cuh: from moments to coefficients, variances, error bound and status, by a team of threads.
//
// S is the Gram matrix about the mean, λ the penalty, D powers of two that bring the diagonal of
// A = D (S + λ I) D near one, exactly. A = L L' and b = D A⁻¹ D sxy. The variances of the slopes over
// the residual variance are the diagonal of D A⁻¹ D S D A⁻¹ D, without a penalty that of D A⁻¹ D.
// The intercept is ȳ - b'x̄ in about 106 bits, its variance 1/W + u'Su with A u = D x̄. Every number
// is as gpuols.engines.solve says.
//
// Source: Björck (1996), Numerical Methods for Least Squares Problems, 2.2; Hoerl & Kennard (1970)
// for the covariance under a penalty.

#ifndef GPUOLS_SOLVE_CUH
#define GPUOLS_SOLVE_CUH
#include "chunks.cuh"
#include "cholesky.cuh"
#include "trust.cuh"

// What a team works with: k numbers each, but k (k + 1) / 2 of `lower`.
struct Room {
    double *lower, *root, *scale, *right, *half, *spread, *variance;

    __device__ Room(double* start, int k)
        : lower(start),
          root(start + packed(k, 0)),
          scale(root + k),
          right(scale + k),
          half(right + k),
          spread(half + k),
          variance(spread + k) {}
    __device__ static int size(int k) { return packed(k, 0) + 6 * k; }
};

// Where the answers of one regression go: entry e to values[e * room], the status of response r to
// status[r * room]. Entries: params (p, m), variances (p,), ssr (m,), error_bound (m,), df_resid.
struct Answers {
    double* values;
    signed char* status;
    int* counts;  // regressions that call for a closer look; those without all of their answers
    long long room;
    int p, m;

    __device__ double& param(int j, int r) const { return values[((long long)j * m + r) * room]; }
    __device__ double& variance(int j) const { return values[((long long)p * m + j) * room]; }
    __device__ double& ssr(int r) const { return values[((long long)p * (m + 1) + r) * room]; }
    __device__ double& bound(int r) const { return values[((long long)p * (m + 1) + m + r) * room]; }
    __device__ double& df() const { return values[((long long)p * (m + 1) + 2 * m) * room]; }
};

// What every response of a regression needs to know of its design; the same in all threads.
struct Design {
    bool solved, penalised;
    unsigned flaws;
    double penalty, gamma, leverage, inflation, freed, df;
    double reach, variance;  // of the intercept: 1/W + ‖L⁻¹ D x̄‖², and that without shrinkage
};
enum Flaw { STRANGE = 1, LOST = 2, OUT_OF_RANGE = 4, DEPENDENT = 8 };

// A power of two near one over the root of a diagonal entry.
__device__ __forceinline__ double scale_of(double diagonal) {
    if (!(diagonal > 0.0)) return 1.0;
    const int exponent = int(__double_as_longlong(diagonal) >> 52) - 1022;
    return __longlong_as_double((1023LL - (exponent >> 1)) << 52);
}

// u' D S D u.
template <class Team>
__device__ __forceinline__ double quadratic(const Moments& v, const Layout& at, const double* scale,
                                            const double* u, int k, const Team& team) {
    double part = 0.0;
#pragma unroll 1
    for (int i = team.lane; i < k; i += Team::SIZE) {
        double row = 0.0;
#pragma unroll 1
        for (int j = 0; j < k; j++) {
            const double entry = v[i < j ? at.product(j, i) : at.product(i, j)];
            row = __fma_rn(__dmul_rn(entry, scale[j]), u[j], row);
        }
        part = __fma_rn(__dmul_rn(u[i], scale[i]), row, part);
    }
    return team.sum(part);
}

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

// The powers of two that bring the diagonal of A near one.
template <class Team>
__device__ __forceinline__ void scale_design(const Moments& v, const Layout& at, double penalty,
                                             double* scale, int k, const Team& team) {
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE)
        scale[j] = scale_of(__dadd_rn(v[at.product(j, j)], penalty));
    team.sync();
}

// Entry of A, j <= i.
__device__ __forceinline__ double entry_of(const Moments& v, const Layout& at, double penalty,
                                           const double* scale, int i, int j) {
    const double entry = v[at.product(i, j)], own = i == j ? penalty : 0.0;
    return __dmul_rn(__dadd_rn(entry, own), __dmul_rn(scale[i], scale[j]));
}

// Scales and factors A; whether it is positive definite.
template <class Team>
__device__ __forceinline__ bool factor_design(const Moments& v, const Layout& at, double penalty,
                                              const Room& room, int k, const Team& team) {
    scale_design(v, at, penalty, room.scale, k, team);
#pragma unroll 1
    for (int i = team.lane; i < k; i += Team::SIZE)
#pragma unroll 1
        for (int j = 0; j <= i; j++)
            room.lower[packed(i, j)] = entry_of(v, at, penalty, room.scale, i, j);
    team.sync();
    return factor(room.lower, room.root, k, team);
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

// The intercept's reach and variance.
template <class Team>
__device__ __forceinline__ void reach_mean(const Moments& v, const Layout& at, const Room& room,
                                           int k, Design& design, const Team& team) {
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE)
        room.right[j] = __dmul_rn(__dadd_rn(v[at.anchor(j)], v[at.mean(j)]), room.scale[j]);
    team.sync();
    substitute(room.lower, room.root, room.right, room.half, k, team);
    double part = 0.0;
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) part = __fma_rn(room.half[j], room.half[j], part);
    const double own = __ddiv_rn(1.0, v[WEIGHT]);
    design.reach = design.variance = __dadd_rn(own, team.sum(part));
    if (design.penalised) {
        substitute_back(room.lower, room.root, room.half, room.right, k, team);
        design.variance = __dadd_rn(own, quadratic(v, at, room.scale, room.right, k, team));
    }
}

// Variances of the slopes, in scaled units: L becomes its inverse.
template <class Team>
__device__ __forceinline__ void find_variances(const Moments& v, const Layout& at, const Room& room,
                                               int k, bool penalised, const Team& team) {
    invert(room.lower, room.root, room.right, k, team);
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE)
        room.spread[j] = room.variance[j] = inverse_entry(room.lower, room.root, j, j, k);
    if (!penalised) return;
#pragma unroll 1
    for (int j = 0; j < k; j++) {
#pragma unroll 1
        for (int h = team.lane; h < k; h += Team::SIZE)
            room.right[h] = inverse_entry(room.lower, room.root, h, j, k);
        team.sync();
        const double own = quadratic(v, at, room.scale, room.right, k, team);
        if (team.lane == 0) room.variance[j] = own;
        team.sync();
    }
}

// What the bound needs of the design.
template <class Team>
__device__ __forceinline__ void examine(const Moments& v, const Layout& at, const Room& room, int k,
                                        bool centered, Design& design, const Team& team) {
    const double weight = v[WEIGHT];
    double leverage = 0.0, freed = 0.0, inflation = 1.0;
    unsigned flaws = (is_finite(weight) ? 0 : STRANGE) | (in_range(weight) ? 0 : OUT_OF_RANGE);
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double square = __dmul_rn(room.scale[j], room.scale[j]);
        const double spread = room.spread[j], variance = room.variance[j];
        const double raw = v[at.raw(j)], about_mean = v[at.product(j, j)];
        leverage = __fma_rn(__dmul_rn(raw, square), spread, leverage);
        if (design.penalised) freed = __fma_rn(__dmul_rn(design.penalty, square), spread, freed);
        if (raw > 0.0 && spread > 0.0)
            inflation = fmax(inflation, variance > 0.0 ? spread / variance : infinite());
        const double mean = __dadd_rn(v[at.anchor(j)], v[at.mean(j)]);
        const double about_zero = centered ? about_mean + weight * mean * mean : about_mean;
        if (!is_finite(v[at.mean(j)]) || raw != raw) flaws |= STRANGE;
        if (raw != raw) flaws |= LOST;
        if (!in_range(about_mean) || !in_range(raw)) flaws |= OUT_OF_RANGE;
        if (!design.penalised && near_zero(1.0 / (spread * square), about_mean, about_zero))
            flaws |= DEPENDENT;
    }
    design.leverage = team.sum(leverage);
    design.freed = team.sum(freed);
    design.flaws = team.either(flaws);
    if (centered) {
        const double own = design.variance > 0.0 ? design.reach / design.variance : infinite();
        inflation = fmax(inflation, own);
    }
    design.inflation = team.max(inflation);
    const double rows = v[ROWS] - centered;
    design.df = rows - k + design.freed;
    if (design.penalised && rows > 0.0 && design.df <= 0.0) design.df = unknown();
}

// Sum of squares, bound and status of response r, and its slopes in the caller's units; whether it
// calls for a closer look.
template <class Team>
__device__ __forceinline__ bool judge(const Moments& v, const Layout& at, const Room& room, int k,
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
    const double of_variance = design.gamma * design.leverage * (design.inflation + design.freed / df);
    const double of_ssr = (design.gamma * size + 2.0 * step * __dsqrt_rn(shrunk)) / ssr;
    error = fmax(error, sane(0.5 * (of_variance + of_ssr))) + (8.0 + 0.5 * k) * UNIT;
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
    return status != OK && !(design.flaws & LOST) && raw == raw;
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

    bool rejected = false;
#pragma unroll 1
    for (int r = 0; r < at.m; r++)
        if (judge(v, at, room, k, r, centered, tol, design, out, team)) rejected = true;
    const bool enough = design.solved && !(design.df < 0.0);
#pragma unroll 1
    for (int j = team.lane; j < k; j += Team::SIZE) {
        const double own = __dmul_rn(room.variance[j], __dmul_rn(room.scale[j], room.scale[j]));
        out.variance(centered + j) = enough ? own : unknown();
    }
    if (team.lane == 0) {
        if (centered) out.variance(0) = enough ? design.variance : unknown();
        out.df() = enough ? design.df : unknown();
        if (rejected) atomicAdd(&out.counts[0], 1);
        if (!enough) atomicAdd(&out.counts[1], 1);
    }
}

#endif  // GPUOLS_SOLVE_CUH
